package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.infer.Engine.Metrics;
import dev.jneox.infer.Engine.Readers;
import dev.jneox.infer.Engine.Settings;
import dev.jneox.infer.Engine.Stalled;
import dev.jneox.infer.Token.Candidate;
import dev.jneox.io.BusyException;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.PlainForward;
import dev.jneox.weights.RandomWeights;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
@net.jqwik.api.Tag("slow") // of the properties alone
class EngineTest {
  private static final int VOCABULARY = 60;
  private static final ModelSpec SPEC = ModelSpec.neox(VOCABULARY, 32, 2, 2, 512);
  private static final RandomWeights WEIGHTS = new RandomWeights(SPEC, 3);
  private static final PackedModel PACKED = PackedModel.of(WEIGHTS, Precision.STORED);
  private static final long PAGE = KvFormat.of(SPEC, KvPrecision.F32).pageBytes();

  /** Long enough for a test to fail rather than to be slow. */
  private static final Duration FOREVER = Duration.ofMinutes(5);

  private static final Duration SOON = Duration.ofMillis(20);

  private static Settings settings(int sessions, int pages) {
    return new Settings(sessions, 100, 64, KvPrecision.F32, pages * PAGE + 5, 2, Readers.DEFAULT);
  }

  private static Engine engine(int sessions, int queue, int promptRows, int pages) {
    return new Engine(
        PACKED, settings(sessions, pages).withQueue(queue).withPromptRows(promptRows));
  }

  private static Engine engine(int sessions, int pages, Readers readers) {
    return new Engine(PACKED, settings(sessions, pages).withReaders(readers));
  }

  private static GenerationRequest.Builder drawn(int[] prompt, int tokens, long seed) {
    return GenerationRequest.builder(prompt)
        .maxTokens(tokens)
        .sampler(Sampler.GREEDY.withTemperature(1).withSeed(seed));
  }

  private static GenerationRequest request(int[] prompt, int tokens, long seed) {
    return drawn(prompt, tokens, seed).build();
  }

  private static int[] prompt(int length, long seed) {
    return new Random(seed).ints(length, 1, VOCABULARY).toArray(); // id 0 ends a text
  }

  /** What a request gives where nothing else runs. */
  private static GenerationResult alone(GenerationRequest request) {
    try (Engine engine = engine(1, 1, 512, 8)) {
      return engine.submit(request).result();
    }
  }

  private static Metrics awaitIdle(Engine engine) throws InterruptedException {
    return await(engine, metrics -> metrics.active() == 0 && metrics.queued() == 0);
  }

  private static Metrics await(Engine engine, Predicate<Metrics> state)
      throws InterruptedException {
    for (int i = 0; i < 20_000; i++) {
      Metrics metrics = engine.metrics();
      if (state.test(metrics)) {
        return metrics;
      }
      Thread.sleep(1);
    }
    throw new AssertionError("not reached: " + engine.metrics());
  }

  /** Requests of all kinds, of which many begin alike, so that they share pages. */
  private static List<GenerationRequest> requests(Random random, int n) {
    List<GenerationRequest> requests = new ArrayList<>();
    int[] common = prompt(300, 99);
    for (int i = 0; i < n; i++) {
      int[] prompt = prompt(1 + random.nextInt(200), random.nextLong());
      if (random.nextBoolean()) {
        System.arraycopy(common, 0, prompt, 0, random.nextInt(prompt.length + 1));
      }
      GenerationRequest.Builder request =
          drawn(prompt, 1 + random.nextInt(80), random.nextLong())
              .prefixKey(random.nextInt(4) == 0 ? new PrefixKey("other") : PrefixKey.NONE);
      if (random.nextInt(3) == 0) {
        request.promptLogprobs(random.nextInt(3)).scoreFrom(1 + random.nextInt(prompt.length));
        request.maxTokens(random.nextInt(20));
      }
      if (random.nextInt(3) == 0) {
        request.logprobs(random.nextInt(3));
      }
      requests.add(request.build());
    }
    return requests;
  }

  /** Reads a stream at its own pace, or a part of it. */
  private static GenerationResult read(TokenStream stream, Random random)
      throws InterruptedException {
    int pace = random.nextInt(3) == 0 ? 20 : 0;
    int cancelAt = random.nextInt(4) == 0 ? random.nextInt(10) : Integer.MAX_VALUE;
    List<Token> tokens = new ArrayList<>();
    while (stream.hasNext()) {
      tokens.add(stream.next());
      if (tokens.size() > cancelAt) {
        stream.close();
      }
      if (random.nextInt(10) == 0) {
        Thread.sleep(random.nextInt(1 + pace));
      }
    }
    GenerationResult result = stream.result();
    assertThat(tokens).isEqualTo(result.tokens());
    return result;
  }

  @Property(tries = 25)
  void theSameTokensAndScoresWhateverElseRuns(
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 20) int sessions,
      @ForAll @IntRange(min = 1, max = 300) int promptRows,
      @ForAll @IntRange(min = 1, max = 40) int ahead)
      throws Exception {
    Random random = new Random(seed);
    List<GenerationRequest> requests = requests(random, 14);
    List<Future<GenerationResult>> results = new ArrayList<>();
    Settings settings =
        settings(sessions, 5 + random.nextInt(40))
            .withPromptRows(promptRows)
            .withReaders(
                new Readers(ahead, Duration.ofMillis(random.nextInt(4)), Stalled.RECOMPUTE));
    Metrics last;
    try (Engine engine = new Engine(PACKED, settings)) {
      try (ExecutorService readers = Executors.newVirtualThreadPerTaskExecutor()) {
        for (GenerationRequest request : requests) {
          Random own = new Random(random.nextLong());
          if (random.nextBoolean()) {
            TokenStream stream = engine.stream(request);
            results.add(readers.submit(() -> read(stream, own)));
          } else {
            Session session = engine.submit(request);
            results.add(readers.submit(session::result));
            if (random.nextInt(5) == 0) {
              session.cancel();
            }
          }
          if (random.nextInt(3) == 0) {
            Thread.sleep(random.nextInt(5));
          }
        }
      }
      last = awaitIdle(engine);
    }
    int tokens = 0;
    for (int i = 0; i < requests.size(); i++) {
      GenerationResult result = results.get(i).get();
      GenerationResult expected = alone(requests.get(i));
      tokens += result.tokens().size();
      assertThat(result.tokens())
          .as("request %d", i)
          .isEqualTo(expected.tokens().subList(0, result.tokens().size()));
      assertThat(result.prompt()).isEqualTo(expected.prompt().subList(0, result.prompt().size()));
      if (result.reason() != FinishReason.CANCELLED) {
        assertThat(result.reason()).isEqualTo(expected.reason());
        assertThat(result.tokens()).hasSameSizeAs(expected.tokens());
        assertThat(result.prompt()).hasSameSizeAs(expected.prompt());
      }
    }
    assertThat(last.kvUsed()).isLessThanOrEqualTo(last.kvLimit());
    assertThat(last.tokens()).isEqualTo(tokens);
  }

  @Test
  void aPromptThatWasReadBeforeIsNotReadAgain() throws InterruptedException {
    int[] first = prompt(200, 1);
    int[] second = Arrays.copyOf(first, 250);
    Arrays.fill(second, 200, 250, 7);
    try (Engine engine = engine(1, 10, 64, 40)) {
      GenerationResult result = engine.submit(request(first, 5, 1)).result();
      assertThat(result.usage().reusedTokens()).isZero();
      GenerationResult again = engine.submit(request(first, 5, 1)).result();
      assertThat(again.ids()).isEqualTo(result.ids());
      assertThat(again.usage()).isEqualTo(new GenerationResult.Usage(200, 192, 5));
      assertThat(engine.submit(request(second, 5, 2)).result().ids())
          .isEqualTo(alone(request(second, 5, 2)).ids());
      Metrics metrics = awaitIdle(engine);
      assertThat(metrics.reusedTokens()).isEqualTo(2 * 192);
      assertThat(metrics.promptTokens()).isEqualTo(200 + 8 + 58);
      assertThat(metrics.kvUsed()).isEqualTo(3 * PAGE);
    }
  }

  @Test
  void aSequenceThatRunsSharesItsBeginning() {
    try (Engine engine = engine(2, 40, new Readers(1, FOREVER, Stalled.RECOMPUTE))) {
      int[] prompt = prompt(130, 1);
      try (TokenStream first = engine.stream(request(prompt, 50, 1))) {
        assertThat(first.hasNext()).isTrue();
        GenerationResult second = engine.submit(request(prompt, 50, 2)).result();
        assertThat(second.ids()).isEqualTo(alone(request(prompt, 50, 2)).ids());
        assertThat(second.usage().reusedTokens()).isEqualTo(128);
        assertThat(first.result().ids()).isEqualTo(alone(request(prompt, 50, 1)).ids());
      }
    }
  }

  @Test
  void prefixesAreSharedUnderTheSameKeyOnly() {
    int[] prompt = prompt(130, 1);
    try (Engine engine = engine(1, 10, 64, 40)) {
      int[] reused = new int[4];
      for (int i = 0; i < reused.length; i++) {
        PrefixKey key = i % 2 == 0 ? PrefixKey.NONE : new PrefixKey("adapter 1");
        GenerationRequest request = drawn(prompt, 5, 1).prefixKey(key).build();
        reused[i] = engine.submit(request).result().usage().reusedTokens();
      }
      assertThat(reused).containsExactly(0, 0, 128, 128);
    }
  }

  @Test
  void aRequestThatCanNeverFitIsRefusedAndTheEngineGoesOn() {
    try (Engine engine = engine(4, 10, 64, 2)) {
      assertThatThrownBy(() -> engine.submit(request(prompt(100, 1), 30, 1)))
          .isInstanceOf(InputException.class)
          .hasMessage(
              "the request may take 129 positions, there is memory for keys and values of 128:"
                  + " ask for fewer tokens or give the engine more memory");
      assertThat(engine.submit(request(prompt(100, 1), 29, 1)).result().ids())
          .isEqualTo(alone(request(prompt(100, 1), 29, 1)).ids());
    }
    assertThatThrownBy(() -> engine(1, 1, 1, 0))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("for 64 positions");
  }

  @Test
  void theQueueIsBoundedAndMovesOnAsMemoryIsGivenBack() throws Exception {
    Settings settings =
        settings(4, 2) // memory for one such request at a time
            .withQueue(2)
            .withReaders(new Readers(1, FOREVER, Stalled.RECOMPUTE));
    try (Engine engine = new Engine(PACKED, settings)) {
      GenerationRequest request = request(prompt(100, 1), 20, 1);
      TokenStream running = engine.stream(request);
      assertThat(running.hasNext()).isTrue();
      Session second = engine.submit(request);
      Session third = engine.submit(request);
      assertThatThrownBy(() -> engine.submit(request))
          .isInstanceOfSatisfying(BusyException.class, e -> assertThat(e.waiting()).isEqualTo(2))
          .hasMessage("2 requests wait already: try again later");
      assertThat(engine.metrics().queued()).isEqualTo(2);
      third.cancel();
      assertThat(third.result().reason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(third.result().ids()).isEmpty();
      assertThat(running.result().ids())
          .isEqualTo(alone(request).ids())
          .isEqualTo(second.result().ids());
    }
  }

  @Test
  void aRequestThatFailsLeavesTheOthersAlone() {
    RandomWeights weights = new RandomWeights(SPEC, 3);
    weights.set(ParamId.weight(Part.EMBEDDING), 59 * 32, Float.NaN);
    {
      int[] prompt = new Random(1).ints(100, 1, 59).toArray();
      int[] broken = prompt.clone();
      broken[99] = 59;
      try (PackedModel packed = PackedModel.of(weights, Precision.STORED);
          Engine engine = new Engine(packed, settings(4, 20))) {
        Session good = engine.submit(request(prompt, 50, 1));
        Session bad = engine.submit(request(broken, 50, 2));
        TokenStream stream = engine.stream(request(broken, 50, 2));
        assertThatThrownBy(bad::result)
            .isInstanceOf(InputException.class)
            .hasMessageStartingWith("the model's score for token 0 is NaN");
        assertThatThrownBy(stream::hasNext).isInstanceOf(InputException.class);
        assertThatThrownBy(stream::result).isInstanceOf(InputException.class);
        assertThat(good.result().tokens()).isNotEmpty();
        // The pages it shares are whole.
        assertThat(engine.submit(request(prompt, 50, 1)).result().ids())
            .isEqualTo(good.result().ids());
      }
    }
  }

  @Test
  void closingCancelsWhatRunsAndWhatWaits() {
    Engine engine = engine(1, 20, new Readers(3, FOREVER, Stalled.RECOMPUTE));
    TokenStream running = engine.stream(request(prompt(10, 1), 500, 1));
    Session waiting = engine.submit(request(prompt(10, 2), 500, 1));
    assertThat(running.hasNext()).isTrue();
    engine.close();
    assertThat(waiting.result().reason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(running.result().reason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(running.result().tokens()).hasSizeBetween(1, 3);
    assertThatThrownBy(() -> engine.submit(request(prompt(10, 2), 5, 1)))
        .hasMessage("the engine is closed");
    engine.close();
  }

  @Test
  void settingsOutOfRangeAreNamed() {
    assertThatThrownBy(() -> settings(0, 1)).hasMessage("sessions: expected 1 to 65536, found 0");
    assertThatThrownBy(() -> settings(1, 1).withThreads(0))
        .hasMessage("threads: expected 1 to 4096, found 0");
    assertThatThrownBy(() -> new Readers(0, SOON, Stalled.CANCEL))
        .hasMessage("tokens ahead of the reader: expected 1 to 2147483647, found 0");
    assertThatThrownBy(() -> new Readers(1, SOON.negated(), Stalled.CANCEL))
        .hasMessage("patience: expected 0 to 10000 days, found PT-0.02S");
  }

  // Readers.

  @Test
  void aReaderThatStopsPausesItsOwnRequestAlone() throws InterruptedException {
    try (Engine engine = engine(2, 40, new Readers(4, FOREVER, Stalled.RECOMPUTE))) {
      GenerationRequest request = request(prompt(70, 1), 100, 1);
      TokenStream stopped = engine.stream(request);
      await(engine, metrics -> metrics.paused() == 1);
      assertThat(engine.metrics().tokens()).isEqualTo(4);
      for (int i = 0; i < 3; i++) {
        GenerationRequest other = request(prompt(90, i), 100, i);
        assertThat(engine.submit(other).result().ids()).isEqualTo(alone(other).ids());
      }
      assertThat(stopped.result().ids()).isEqualTo(alone(request).ids());
      Metrics metrics = awaitIdle(engine);
      assertThat(metrics.suspensions()).isZero();
      assertThat(metrics.recomputedTokens()).isZero();
    }
  }

  @Tag("slow")
  @Test
  void aStalledReaderGivesItsPlaceToThoseThatWaitAndGoesOnWhereItWas() throws InterruptedException {
    GenerationRequest request = drawn(prompt(150, 1), 100, 1).logprobs(1).build();
    GenerationResult expected = alone(request);
    GenerationRequest other = request(prompt(300, 2), 100, 2); // takes all the pages
    for (int sessions = 1; sessions <= 2; sessions++) { // too few places, or too few pages
      try (Engine engine = engine(sessions, 7, new Readers(5, SOON, Stalled.RECOMPUTE))) {
        TokenStream stalled = engine.stream(request);
        List<Token> tokens = new ArrayList<>();
        tokens.add(stalled.next());
        assertThat(engine.submit(other).result().ids()).isEqualTo(alone(other).ids());
        assertThat(engine.metrics().suspensions()).isEqualTo(1);
        while (stalled.hasNext()) {
          tokens.add(stalled.next());
        }
        assertThat(tokens).isEqualTo(expected.tokens());
        assertThat(stalled.result().usage())
            .isEqualTo(new GenerationResult.Usage(150, 0, tokens.size()));
        Metrics metrics = awaitIdle(engine);
        assertThat(metrics.promptTokens()).isEqualTo(150 + 300);
        assertThat(metrics.recomputedTokens()).isBetween(1L, 155L);
      }
    }
  }

  @Test
  void aStalledReaderKeepsItsPlaceWhileNobodyWaits() throws InterruptedException {
    try (Engine engine = engine(1, 7, new Readers(5, Duration.ZERO, Stalled.RECOMPUTE))) {
      GenerationRequest request = request(prompt(150, 1), 100, 1);
      TokenStream stalled = engine.stream(request);
      await(engine, metrics -> metrics.paused() == 1);
      Thread.sleep(20);
      assertThat(engine.metrics().active()).isEqualTo(1);
      assertThat(stalled.result().ids()).isEqualTo(alone(request).ids());
      assertThat(engine.metrics().suspensions()).isZero();
    }
  }

  @Test
  void aStalledReaderIsCancelledWhereSettingsSaySo() {
    try (Engine engine = engine(1, 7, new Readers(5, SOON, Stalled.CANCEL))) {
      GenerationRequest request = request(prompt(150, 1), 100, 1);
      TokenStream stalled = engine.stream(request);
      assertThat(stalled.hasNext()).isTrue();
      assertThat(engine.submit(request).result().ids()).isEqualTo(alone(request).ids());
      GenerationResult result = stalled.result();
      assertThat(result.reason()).isEqualTo(FinishReason.STALLED);
      assertThat(result.ids()).isEqualTo(Arrays.copyOf(alone(request).ids(), 5));
    }
  }

  @Test
  void aSlowReaderKeepsItsPlace() throws Exception {
    try (Engine engine = engine(1, 7, new Readers(1, Duration.ofSeconds(20), Stalled.RECOMPUTE))) {
      GenerationRequest request = request(prompt(10, 1), 15, 1);
      TokenStream slow = engine.stream(request);
      Session waiting = engine.submit(request(prompt(10, 2), 5, 1));
      List<Integer> ids = new ArrayList<>();
      while (slow.hasNext()) {
        ids.add(slow.next().id());
        Thread.sleep(5);
      }
      assertThat(ids.stream().mapToInt(id -> id)).containsExactly(boxed(alone(request).ids()));
      assertThat(waiting.result().reason()).isNotEqualTo(FinishReason.CANCELLED);
      assertThat(engine.metrics().suspensions()).isZero();
    }
  }

  private static Integer[] boxed(int[] ids) {
    return Arrays.stream(ids).boxed().toArray(Integer[]::new);
  }

  @Test
  void aReaderThatClosesGivesEverythingBack() throws InterruptedException {
    try (Engine engine = engine(1, 7, new Readers(5, FOREVER, Stalled.RECOMPUTE))) {
      GenerationRequest request = request(prompt(50, 1), 100, 1);
      try (TokenStream left = engine.stream(request)) {
        left.next();
      }
      assertThat(engine.submit(request).result().ids()).isEqualTo(alone(request).ids());
      assertThat(awaitIdle(engine).active()).isZero();
    }
  }

  @Test
  void closingASuspendedStreamEndsIt() {
    try (Engine engine = engine(1, 7, new Readers(5, SOON, Stalled.RECOMPUTE))) {
      TokenStream left = engine.stream(request(prompt(150, 1), 100, 1));
      engine.submit(request(prompt(150, 2), 5, 1)).result();
      assertThat(engine.metrics().suspensions()).isEqualTo(1);
      left.close();
      assertThat(left.result().reason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(left.result().tokens()).hasSize(5);
    }
  }

  @Test
  void aSuspendedStreamThatIsReadAfterTheEngineWasClosedIsCancelled() {
    Engine engine = engine(1, 7, new Readers(5, SOON, Stalled.RECOMPUTE));
    TokenStream left = engine.stream(request(prompt(150, 1), 100, 1));
    engine.submit(request(prompt(150, 2), 5, 1)).result();
    engine.close();
    assertThat(left.result().reason()).isEqualTo(FinishReason.CANCELLED);
  }

  @Test
  void theEngineForgetsAReaderThatWentAway() throws InterruptedException {
    try (Engine engine = engine(1, 7, new Readers(5, SOON, Stalled.RECOMPUTE))) {
      WeakReference<Session> gone =
          new WeakReference<>(engine.stream(request(prompt(150, 1), 100, 1)).session);
      engine.submit(request(prompt(150, 2), 5, 1)).result();
      engine.submit(request(prompt(150, 2), 5, 1)).result();
      assertThat(engine.metrics().suspensions()).isEqualTo(1);
      while (gone.get() != null) {
        System.gc();
        Thread.sleep(5);
      }
    }
  }

  // Scores.

  /**
   * Log-probabilities by a forward pass in double precision: of every id of the vocabulary after
   * each position.
   */
  private static double[][] reference(int[] ids) {
    Map<ParamId, float[]> values = new HashMap<>();
    SPEC.parameters().forEach(p -> values.put(p.id(), WEIGHTS.floats(p.id())));
    double[][] rows = new PlainForward(SPEC, values).logits(ids);
    for (double[] row : rows) {
      double sum = Arrays.stream(row).map(Math::exp).sum();
      for (int id = 0; id < VOCABULARY; id++) {
        row[id] -= Math.log(sum);
      }
    }
    return rows;
  }

  @Test
  void scoresAreThoseOfTheReferenceForThePromptAndForNewTokens() {
    int[] prompt = prompt(100, 5);
    GenerationRequest request =
        drawn(prompt, 40, 3).promptLogprobs(3).logprobs(2).scoreFrom(30).build();
    GenerationResult result = alone(request);
    int[] all = IntStream.concat(Arrays.stream(prompt), Arrays.stream(result.ids())).toArray();
    double[][] expected = reference(all);
    assertThat(result.prompt()).hasSize(70);
    assertThat(result.tokens()).hasSize(40);
    for (int i = 30; i < all.length; i++) {
      Token token = i < 100 ? result.prompt().get(i - 30) : result.tokens().get(i - 100);
      double[] row = expected[i - 1];
      assertThat(token.id()).isEqualTo(all[i]);
      assertThat(token.logProb()).isCloseTo(row[all[i]], within(1e-4));
      assertThat(token.top()).hasSize(i < 100 ? 3 : 2);
      double above = Double.POSITIVE_INFINITY;
      for (Candidate candidate : token.top()) {
        assertThat(candidate.logProb()).isCloseTo(row[candidate.id()], within(1e-4));
        assertThat(candidate.logProb()).isLessThanOrEqualTo(above);
        above = candidate.logProb();
      }
      double least = above;
      assertThat(Arrays.stream(row).filter(p -> p > least + 1e-4).count())
          .isLessThan(token.top().size());
    }
  }

  @Test
  void anIdHasTheSameScoreToTheLastBitAsANewTokenAndInAPrompt() {
    int[] prompt = prompt(100, 5);
    Sampler sampler =
        Sampler.GREEDY
            .withTemperature(2)
            .withTopK(7)
            .withTopP(0.9)
            .withRepetitionPenalty(1.3); // which changes nothing of the scores
    GenerationResult written =
        alone(GenerationRequest.builder(prompt).maxTokens(60).sampler(sampler).logprobs(4).build());
    int[] all = IntStream.concat(Arrays.stream(prompt), Arrays.stream(written.ids())).toArray();
    GenerationRequest score =
        GenerationRequest.builder(all).maxTokens(0).promptLogprobs(4).scoreFrom(100).build();
    GenerationResult scored = alone(score);
    assertThat(scored.prompt()).isEqualTo(written.tokens());
    assertThat(scored.tokens()).isEmpty();
    assertThat(scored.reason()).isEqualTo(FinishReason.MAX_TOKENS);
  }

  /** Allows, at each place, the ids of one set after the other, and then nothing. */
  private static TokenConstraint inOrder(List<BitSet> sets) {
    return () ->
        new TokenConstraint.Cursor() {
          private int at;

          @Override
          public BitSet allowed() {
            return at == sets.size() ? new BitSet() : sets.get(at);
          }

          @Override
          public void accept(int id) {
            assertThat(sets.get(at++).get(id)).isTrue();
          }
        };
  }

  @Test
  void aConstraintAllowsTheIdsItSaysAndEndsTheText() {
    List<BitSet> sets = new ArrayList<>();
    Random random = new Random(6);
    for (int i = 0; i < 30; i++) {
      BitSet set = new BitSet();
      random.ints(1 + i % 4, 1, VOCABULARY).forEach(set::set);
      sets.add(set);
    }
    for (double temperature : new double[] {0, 1, 1e6}) {
      GenerationRequest request =
          GenerationRequest.builder(prompt(9, 1))
              .sampler(Sampler.GREEDY.withTemperature(temperature).withTopK(3).withTopP(0.5))
              .constraint(inOrder(sets))
              .build();
      GenerationResult result = alone(request);
      assertThat(result.reason()).isEqualTo(FinishReason.CONSTRAINT);
      assertThat(result.tokens()).hasSize(30);
      assertThat(alone(request).tokens()).isEqualTo(result.tokens());
    }
  }

  @Test
  void aConstraintThatFailsEndsItsRequestAlone() {
    try (Engine engine = engine(2, 10, 64, 20)) {
      Session other = engine.submit(request(prompt(5, 2), 40, 1));
      GenerationRequest failing =
          GenerationRequest.builder(prompt(5, 3))
              .constraint(
                  () -> {
                    throw new IllegalStateException("no cursor");
                  })
              .build();
      assertThatThrownBy(() -> engine.submit(failing)).hasMessage("no cursor");
      BitSet one = new BitSet();
      one.set(3);
      GenerationRequest late =
          GenerationRequest.builder(prompt(5, 3))
              .constraint(
                  () ->
                      new TokenConstraint.Cursor() {
                        @Override
                        public BitSet allowed() {
                          return one;
                        }

                        @Override
                        public void accept(int id) {
                          throw new IllegalStateException("no next state");
                        }
                      })
              .build();
      Session session = engine.submit(late);
      assertThatThrownBy(session::result).hasMessage("no next state");
      assertThat(other.result().tokens()).hasSize(40);
    }
  }

  /** Allows one id, which it finds only when {@code open} is. */
  private static TokenConstraint waiting(CountDownLatch open, AtomicBoolean held) {
    BitSet one = new BitSet();
    one.set(3);
    return () ->
        new TokenConstraint.Cursor() {
          @Override
          public BitSet allowed() {
            try {
              held.compareAndSet(false, !open.await(20, TimeUnit.SECONDS));
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
            return one;
          }

          @Override
          public void accept(int id) {
            assertThat(id).isEqualTo(3);
          }
        };
  }

  @Test
  void aConstraintThatTakesLongHoldsUpItsOwnRequestAlone() throws InterruptedException {
    CountDownLatch open = new CountDownLatch(1);
    AtomicBoolean held = new AtomicBoolean();
    GenerationRequest constrained =
        GenerationRequest.builder(prompt(150, 3))
            .maxTokens(5)
            .constraint(waiting(open, held))
            .build();
    try (Engine engine = engine(4, 10, 64, 40)) {
      Session waits = engine.submit(constrained);
      Session leaves = engine.submit(constrained);
      GenerationRequest free = request(prompt(5, 2), 40, 1);
      assertThat(engine.submit(free).result().tokens()).isEqualTo(alone(free).tokens());
      assertThat(engine.metrics().active()).isEqualTo(2);
      leaves.cancel();
      assertThat(leaves.result().reason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(engine.submit(free).result().tokens()).hasSize(40);
      open.countDown();
      assertThat(waits.result().tokens()).extracting(Token::id).containsExactly(3, 3, 3, 3, 3);
      assertThat(held).as("the others waited for the constraint").isFalse();
    }
  }

  @Test
  void aPrefixThatIsSharedSavesTheWorkBeforeTheFirstScoreWanted() {
    int[] ids = prompt(300, 8);
    List<Token> expected =
        alone(GenerationRequest.builder(ids).maxTokens(0).promptLogprobs(1).build()).prompt();
    try (Engine engine = engine(1, 10, 100, 40)) {
      for (int from : new int[] {299, 1, 64, 65, 66, 200, 300}) {
        GenerationRequest request =
            GenerationRequest.builder(ids).maxTokens(0).promptLogprobs(1).scoreFrom(from).build();
        GenerationResult result = engine.submit(request).result();
        assertThat(result.prompt()).isEqualTo(expected.subList(from - 1, 299));
        int reused = from == 299 || from == 300 ? 0 : (from - 1) / 64 * 64;
        assertThat(result.usage().reusedTokens()).as("from %d", from).isEqualTo(reused);
      }
    }
  }

  @Test
  void aPromptOfOneMoreTokenThanTheContextCanBeScored() {
    int[] ids = prompt(513, 8);
    GenerationRequest request =
        GenerationRequest.builder(ids).maxTokens(0).promptLogprobs(0).scoreFrom(512).build();
    assertThat(alone(request).prompt()).hasSize(1);
    assertThatThrownBy(() -> alone(GenerationRequest.builder(ids).maxTokens(1).build()))
        .hasMessage("the prompt has 513 tokens, the model's context is 512: shorten it");
  }

  @Test
  void aRequestWithNothingToScoreIsDoneAtOnce() {
    GenerationRequest request = GenerationRequest.builder(5).maxTokens(0).promptLogprobs(0).build();
    GenerationResult result = alone(request);
    assertThat(result.prompt()).isEmpty();
    assertThat(result.promptIds()).containsExactly(5);
    assertThat(result.times().queued()).isNaN();
    assertThat(result.times().firstToken()).isNaN();
  }

  @Test
  void timesFollowEachOther() {
    GenerationResult.Times times = alone(request(prompt(5, 1), 5, 1)).times();
    assertThat(times.queued()).isBetween(0.0, times.firstToken());
    assertThat(times.end()).isGreaterThan(times.firstToken());
    try (Engine engine = engine(1, 10, 64, 8);
        TokenStream stream = engine.stream(request(prompt(5, 1), 100, 1))) {
      long last = System.nanoTime() - 1_000_000_000;
      while (stream.hasNext()) {
        stream.next();
        assertThat(stream.drawnAt()).isBetween(last + 1, System.nanoTime());
        last = stream.drawnAt();
      }
    }
  }

  @Test
  void optionsOutOfRangeAreNamed() {
    refused(() -> drawn(prompt(3, 1), 0, 1).build(), "max tokens: expected 1 or more, found 0");
    refused(
        () -> drawn(prompt(3, 1), -1, 1).promptLogprobs(0).build(),
        "max tokens: expected 0 or more, found -1");
    refused(
        () -> GenerationRequest.builder(1).logprobs(1001).build(),
        "logprobs: expected 0 to 1000, found 1001");
    refused(
        () -> GenerationRequest.builder(1).promptLogprobs(-1).build(),
        "prompt logprobs: expected 0 to 1000, found -1");
    refused(
        () -> GenerationRequest.builder(1, 2, 3).scoreFrom(4).build(),
        "score from: expected a position from 1 to 3, found 4");
  }

  private static void refused(
      org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(InputException.class).hasMessage(message);
  }
}
