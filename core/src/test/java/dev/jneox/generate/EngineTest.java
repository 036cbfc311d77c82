package dev.jneox.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.generate.Engine.Metrics;
import dev.jneox.generate.Engine.Settings;
import dev.jneox.generate.Generator.Listener;
import dev.jneox.generate.Generator.Request;
import dev.jneox.generate.Generator.Result;
import dev.jneox.generate.Generator.StopReason;
import dev.jneox.io.InputException;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.RandomModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class EngineTest {
  private static final ModelConfig CONFIG = ModelConfig.neox(60, 32, 2, 2, 512);
  private static final CausalLM MODEL = RandomModel.of(CONFIG, 3);
  private static final PackedModel PACKED = PackedModel.of(MODEL);
  private static final long PAGE = KvFormat.of(CONFIG, KvPrecision.F32).pageBytes();

  private static Engine engine(int sessions, int queue, int promptRows, int pages) {
    return new Engine(
        PACKED,
        null,
        new Settings(sessions, queue, promptRows, KvPrecision.F32, pages * PAGE + 5, 2));
  }

  private static Request request(int[] prompt, int tokens, long seed) {
    return new Request(prompt, tokens, new Sampler(1, 0, 1, 1, seed), List.of());
  }

  private static int[] prompt(int length, long seed) {
    return new Random(seed).ints(length, 1, 60).toArray(); // id 0 ends a text
  }

  /** What a request gives where nothing else is written. */
  private static int[] alone(Request request) {
    try (Engine engine = engine(1, 1, 512, 8)) {
      return new Generator(engine).generate(request, Listener.NONE).ids();
    }
  }

  /** Requests of which many begin alike, so that they share pages. */
  private static List<Request> requests(Random random, int n) {
    List<Request> requests = new ArrayList<>();
    int[] common = prompt(300, 99);
    for (int i = 0; i < n; i++) {
      int[] prompt = prompt(1 + random.nextInt(200), random.nextLong());
      if (random.nextBoolean()) {
        System.arraycopy(common, 0, prompt, 0, random.nextInt(prompt.length + 1));
      }
      requests.add(request(prompt, 1 + random.nextInt(80), random.nextLong()));
    }
    return requests;
  }

  @Property(tries = 25)
  void theSameTokensWhateverElseIsWritten(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 20) int sessions,
      @ForAll @IntRange(min = 1, max = 300) int promptRows)
      throws Exception {
    Random random = new Random(seed);
    List<Request> requests = requests(random, 12);
    List<Session> written = new ArrayList<>();
    Metrics last;
    try (Engine engine = engine(sessions, 100, promptRows, 5 + random.nextInt(40))) {
      for (int i = 0; i < requests.size(); i++) {
        int cancelAt = random.nextInt(4) == 0 ? random.nextInt(10) : Integer.MAX_VALUE;
        AtomicInteger count = new AtomicInteger();
        written.add(
            engine.submit(requests.get(i), (id, text) -> count.incrementAndGet() <= cancelAt));
        if (random.nextInt(5) == 0) {
          written.get(random.nextInt(written.size())).cancel();
        }
        if (random.nextInt(3) == 0) {
          Thread.sleep(random.nextInt(5));
        }
      }
      for (Session session : written) {
        session.result().join();
      }
      last = awaitIdle(engine);
    }
    for (int i = 0; i < requests.size(); i++) {
      Result result = written.get(i).result().join();
      int[] expected = alone(requests.get(i));
      if (result.stopReason() == StopReason.CANCELLED) {
        assertThat(result.ids()).isEqualTo(Arrays.copyOf(expected, result.ids().length));
      } else {
        assertThat(result.ids()).as("request %d", i).isEqualTo(expected);
      }
    }
    assertThat(last.kvUsed()).isLessThanOrEqualTo(last.kvLimit());
    assertThat(last.tokens())
        .isEqualTo(written.stream().mapToLong(s -> s.result().join().ids().length).sum());
  }

  private static Metrics awaitIdle(Engine engine) throws InterruptedException {
    for (int i = 0; i < 1000; i++) {
      Metrics metrics = engine.metrics();
      if (metrics.active() == 0 && metrics.queued() == 0) {
        return metrics;
      }
      Thread.sleep(1);
    }
    throw new AssertionError("still busy: " + engine.metrics());
  }

  @Test
  void aPromptThatWasReadBeforeIsNotReadAgain() throws InterruptedException {
    int[] first = prompt(200, 1);
    int[] second = Arrays.copyOf(first, 250);
    Arrays.fill(second, 200, 250, 7);
    try (Engine engine = engine(1, 10, 64, 40)) {
      Generator generator = new Generator(engine);
      int[] ids = generator.generate(request(first, 5, 1), Listener.NONE).ids();
      assertThat(generator.generate(request(first, 5, 1), Listener.NONE).ids()).isEqualTo(ids);
      assertThat(generator.generate(request(second, 5, 2), Listener.NONE).ids())
          .isEqualTo(alone(request(second, 5, 2)));
      Metrics metrics = awaitIdle(engine);
      assertThat(metrics.reusedTokens()).isEqualTo(2 * 192);
      assertThat(metrics.promptTokens()).isEqualTo(200 + 8 + 58);
      // The first text and the second share their three full pages: only the second is remembered.
      assertThat(metrics.kvUsed()).isEqualTo(3 * PAGE);
    }
  }

  @Test
  void aTextThatIsBeingWrittenSharesItsBeginning() throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    try (Engine engine = engine(2, 10, 200, 40)) {
      int[] prompt = prompt(130, 1);
      Session slow =
          engine.submit(
              request(prompt, 50, 1),
              (id, text) -> {
                begun.countDown();
                await(goOn);
                return true;
              });
      begun.await();
      Session second = engine.submit(request(prompt, 50, 2), Listener.NONE);
      goOn.countDown();
      assertThat(second.result().join().ids()).isEqualTo(alone(request(prompt, 50, 2)));
      assertThat(slow.result().join().ids()).isEqualTo(alone(request(prompt, 50, 1)));
      assertThat(awaitIdle(engine).reusedTokens()).isEqualTo(128);
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void aRequestThatCanNeverFitIsRefusedAndTheEngineGoesOn() {
    try (Engine engine = engine(4, 10, 64, 2)) {
      assertThatThrownBy(() -> engine.submit(request(prompt(100, 1), 30, 1), Listener.NONE))
          .isInstanceOf(InputException.class)
          .hasMessage(
              "the request may take 129 positions, there is memory for keys and values of 128:"
                  + " ask for fewer tokens or give the engine more memory");
      assertThat(
              new Generator(engine).generate(request(prompt(100, 1), 29, 1), Listener.NONE).ids())
          .isEqualTo(alone(request(prompt(100, 1), 29, 1)));
    }
    assertThatThrownBy(() -> engine(1, 1, 1, 0))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("for 64 positions");
  }

  @Test
  void theLineIsBoundedAndMovesOnAsMemoryIsGivenBack() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    try (Engine engine = engine(4, 2, 64, 2)) { // memory for one such text at a time
      Request request = request(prompt(100, 1), 20, 1);
      Session running =
          engine.submit(
              request,
              (id, text) -> {
                begun.countDown();
                await(goOn);
                return true;
              });
      begun.await();
      Session second = engine.submit(request, Listener.NONE);
      Session third = engine.submit(request, Listener.NONE);
      assertThatThrownBy(() -> engine.submit(request, Listener.NONE))
          .isInstanceOf(BusyException.class)
          .hasMessage("2 requests wait already: try again later");
      assertThat(engine.metrics().queued()).isEqualTo(2);
      third.cancel();
      goOn.countDown();
      assertThat(running.result().join().ids())
          .isEqualTo(alone(request))
          .isEqualTo(second.result().join().ids());
      assertThat(third.result().join().stopReason()).isEqualTo(StopReason.CANCELLED);
      assertThat(third.result().join().ids()).isEmpty();
    }
  }

  @Test
  void aTextThatFailsLeavesTheOthersAlone() {
    try (Engine engine = engine(4, 10, 64, 20)) {
      Session good = engine.submit(request(prompt(100, 1), 50, 1), Listener.NONE);
      Session bad =
          engine.submit(
              request(prompt(100, 2), 50, 2),
              (id, text) -> {
                throw new IllegalStateException("gone");
              });
      assertThatThrownBy(() -> bad.result().join())
          .isInstanceOf(CompletionException.class)
          .cause()
          .hasMessage("gone");
      assertThat(good.result().join().ids()).isEqualTo(alone(request(prompt(100, 1), 50, 1)));
    }
  }

  @Test
  void closingCancelsWhatIsInHandAndInLine() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    Engine engine = engine(1, 10, 64, 20);
    Session running =
        engine.submit(
            request(prompt(10, 1), 500, 1),
            (id, text) -> {
              begun.countDown();
              return true;
            });
    Session waiting = engine.submit(request(prompt(10, 2), 500, 1), Listener.NONE);
    begun.await();
    engine.close();
    assertThat(running.result()).isDone();
    assertThat(waiting.result().join().stopReason()).isEqualTo(StopReason.CANCELLED);
    assertThatThrownBy(() -> engine.submit(request(prompt(10, 2), 5, 1), Listener.NONE))
        .hasMessage("the engine is closed");
    engine.close();
  }

  @Test
  void settingsOutOfRangeAreNamed() {
    assertThatThrownBy(() -> new Settings(0, 1, 1, KvPrecision.F32, 1, 1))
        .hasMessage("sessions: expected 1 to 65536, found 0");
    assertThatThrownBy(() -> new Settings(1, 1, 1, KvPrecision.F32, 1, 0))
        .hasMessage("threads: expected 1 to 4096, found 0");
  }
}
