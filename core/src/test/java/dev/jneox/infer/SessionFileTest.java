package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.RandomWeights;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Keys and values that are saved and taken up again, against never having stopped. */
@Timeout(120)
class SessionFileTest {
  private static final ModelSpec SPEC = ModelSpec.neox(60, 32, 2, 2, 1024);
  private static final PackedModel PACKED =
      PackedModel.of(new RandomWeights(SPEC, 3), Precision.STORED);
  private static final int PROMPT = 300;

  @TempDir private Path dir;

  private static Engine.Settings settings(KvPrecision kv) {
    return Engine.Settings.of(PACKED, 4).withThreads(2).withKv(kv).withKvBytes(64 << 20);
  }

  private static Engine engine(KvPrecision kv) {
    return new Engine(PACKED, settings(kv));
  }

  private static int[] prompt() {
    return new Random(1).ints(PROMPT, 1, 60).toArray();
  }

  private static GenerationResult draw(Engine engine, int[] prompt, int tokens) {
    return engine
        .submit(
            GenerationRequest.builder(prompt)
                .maxTokens(tokens)
                .sampler(Sampler.GREEDY.withTemperature(1).withSeed(5))
                .ignoreEnd()
                .logprobs(3)
                .build())
        .result();
  }

  private static int[] join(int[] first, int... second) {
    return IntStream.concat(Arrays.stream(first), Arrays.stream(second)).toArray();
  }

  @ParameterizedTest
  @EnumSource(KvPrecision.class)
  void whatFollowsIsTheSameToTheBitAndThePromptIsNotComputed(KvPrecision kv) {
    Path file = dir.resolve("session");
    int[] text;
    GenerationResult expected;
    try (Engine engine = engine(kv)) {
      text = join(prompt(), draw(engine, prompt(), 100).ids());
      assertThat(engine.saveSession(file, text, "näme\n")).isEqualTo(384); // of 400
      expected = draw(engine, join(text, 7, 8), 50);
    }
    try (Engine engine = engine(kv)) {
      GenerationResult fresh = draw(engine, join(text, 7, 8), 50);
      assertThat(fresh.tokens()).isEqualTo(expected.tokens());
      assertThat(engine.metrics().promptTokens()).isEqualTo(402);
    }
    try (Engine engine = engine(kv)) {
      SavedSession saved = engine.openSession(file);
      assertThat(saved.ids()).isEqualTo(text);
      assertThat(saved.note()).isEqualTo("näme\n");
      assertThat(saved.positions()).isEqualTo(384);
      GenerationResult resumed = draw(engine, join(text, 7, 8), 50);
      assertThat(resumed.tokens()).isEqualTo(expected.tokens()); // log-probabilities as well
      assertThat(resumed.usage().reusedTokens()).isEqualTo(384);
      assertThat(engine.metrics().promptTokens()).isEqualTo(18);
      assertThat(engine.saveSession(dir.resolve("again"), text, "näme\n")).isEqualTo(384);
    }
    assertThat(dir.resolve("again")).hasSameBinaryContentAs(file);
  }

  private Path saved() {
    Path file = dir.resolve("session");
    try (Engine engine = engine(KvPrecision.F32)) {
      draw(engine, prompt(), 1);
      engine.saveSession(file, prompt(), "note");
    }
    return file;
  }

  private static void refused(Engine engine, Path file, String... parts) {
    long used = engine.metrics().kvUsed();
    assertThatThrownBy(() -> engine.openSession(file))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(parts)
        .hasMessageStartingWith(file.toString())
        .message()
        .hasLineCount(1);
    assertThat(engine.metrics().kvUsed()).isEqualTo(used);
    assertThat(draw(engine, prompt(), 1).usage().reusedTokens()).isZero();
  }

  @Test
  void anotherModelOrTypeIsRefused() {
    Path file = saved();
    PackedModel other = PackedModel.of(new RandomWeights(SPEC, 4), Precision.STORED);
    try (Engine engine = new Engine(other, settings(KvPrecision.F32))) {
      refused(engine, file, "model: expected the one that is open", "other weights");
    }
    PackedModel rounded = PackedModel.of(new RandomWeights(SPEC, 3), Precision.BF16);
    try (Engine engine = new Engine(rounded, settings(KvPrecision.F32))) {
      refused(engine, file, "model: expected the one that is open");
    }
    try (Engine engine = engine(KvPrecision.BF16)) {
      refused(engine, file, "type of keys and values: expected 1, found 0");
    }
    assertThat(PackedModel.of(new RandomWeights(SPEC, 3), Precision.STORED).fingerprint())
        .isEqualTo(PACKED.fingerprint());
    assertThat(SPEC.toString()).as("no identity of an object is in it").doesNotContain("@");
  }

  @Test
  void everyDamagedByteAndEveryTruncationIsRefused() throws IOException {
    Path file = saved();
    byte[] whole = Files.readAllBytes(file);
    Random random = new Random(2);
    Path broken = dir.resolve("broken");
    try (Engine engine = engine(KvPrecision.F32)) {
      List<Integer> places = new ArrayList<>(IntStream.range(0, 80).boxed().toList());
      for (int i = 0; i < 60; i++) {
        places.add(random.nextInt(whole.length));
      }
      places.add(whole.length - 1);
      for (int place : places) {
        byte[] bytes = whole.clone();
        bytes[place] ^= (byte) (1 << random.nextInt(8));
        Files.write(broken, bytes);
        assertThatThrownBy(() -> engine.openSession(broken))
            .as("byte " + place)
            .isInstanceOf(InputException.class)
            .hasMessageStartingWith(broken.toString());
      }
      for (int length : new int[] {0, 1, 67, 75, 76, 300, whole.length - 1, whole.length + 1}) {
        Files.write(broken, Arrays.copyOf(whole, length));
        try (Engine other = engine(KvPrecision.F32)) {
          refused(other, broken, "size: expected");
        }
      }
      // A length that would be negative or huge, with a right sum or not.
      for (int field = 24; field <= 32; field += 4) {
        for (int value : new int[] {-1, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
          byte[] bytes = whole.clone();
          ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(field, value);
          Files.write(broken, bytes);
          assertThatThrownBy(() -> engine.openSession(broken)).isInstanceOf(InputException.class);
        }
      }
      assertThat(engine.metrics().kvUsed()).as("no page is lost").isZero();
      assertThat(engine.openSession(file).positions()).isEqualTo(256);
    }
    assertThatThrownBy(
            () -> {
              try (Engine engine = engine(KvPrecision.F32)) {
                engine.openSession(dir.resolve("none"));
              }
            })
        .isInstanceOf(StorageException.class)
        .hasMessageContaining("none: cannot be read");
  }

  @Test
  void aFileThatCannotBeWrittenLeavesTheOldOne() throws IOException {
    Path file = saved();
    byte[] whole = Files.readAllBytes(file);
    try (Engine engine = engine(KvPrecision.F32)) {
      draw(engine, prompt(), 1);
      assertThatThrownBy(() -> engine.saveSession(file.resolve("below"), prompt(), ""))
          .isInstanceOf(StorageException.class);
      assertThatThrownBy(() -> engine.saveSession(file, new int[] {SPEC.vocabulary().rows()}, ""))
          .isInstanceOf(InputException.class);
    }
    assertThat(file).hasBinaryContent(whole);
    try (var files = Files.list(dir)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void thereMustBeMemoryForIt() {
    Path file = saved();
    long page = KvFormat.of(SPEC, KvPrecision.F32).pageBytes();
    Engine.Settings small = settings(KvPrecision.F32).withKvBytes(3 * page);
    try (Engine engine = new Engine(PACKED, small)) {
      assertThatThrownBy(() -> engine.openSession(file))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("at most the 192 positions that there is memory for")
          .hasMessageContaining("found 256");
    }
    Engine closed = engine(KvPrecision.F32);
    closed.close();
    assertThatThrownBy(() -> closed.openSession(file)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> closed.saveSession(file, prompt(), ""))
        .isInstanceOf(IllegalStateException.class);
  }

  /** Pages that a request at work may still take are not held while a file is written. */
  @Test
  void whatWasPromisedToARequestIsNotTakenFromIt() {
    long page = KvFormat.of(SPEC, KvPrecision.F32).pageBytes();
    Engine.Settings small =
        settings(KvPrecision.F32)
            .withKvBytes(10 * page)
            .withReaders(new Engine.Readers(1, Duration.ofMinutes(5), Engine.Stalled.RECOMPUTE));
    try (Engine engine = new Engine(PACKED, small)) {
      draw(engine, prompt(), 1);
      assertThat(engine.saveSession(dir.resolve("first"), prompt(), "")).isEqualTo(256);
      GenerationRequest whole = // of all ten pages
          GenerationRequest.builder(7).maxTokens(640).ignoreEnd().build();
      try (TokenStream stream = engine.stream(whole)) {
        stream.next();
        assertThat(engine.saveSession(dir.resolve("second"), prompt(), "")).isZero();
        assertThat(stream.result().tokens()).hasSize(640);
      }
    }
  }

  /** Other requests go on, and get what they get alone. */
  @Test
  void savingAndOpeningBesideRequests() throws Exception {
    int[] other = new Random(9).ints(100, 1, 60).toArray();
    Path file = dir.resolve("session");
    try (Engine engine = engine(KvPrecision.F32);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Token> alone = draw(engine, other, 300).tokens();
      draw(engine, prompt(), 1);
      List<Future<List<Token>>> running = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        running.add(threads.submit(() -> draw(engine, other, 300).tokens()));
      }
      for (int i = 0; i < 5; i++) {
        engine.saveSession(file, prompt(), "");
        assertThat(engine.openSession(file).positions()).isEqualTo(256);
      }
      for (Future<List<Token>> request : running) {
        assertThat(request.get()).isEqualTo(alone);
      }
    }
  }
}
