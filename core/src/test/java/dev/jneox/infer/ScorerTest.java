package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.RandomWeights;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ScorerTest {
  private static PackedModel packed(ModelSpec spec) {
    return PackedModel.of(new RandomWeights(spec, 5), Precision.STORED);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "neox-parallel",
        "neox-20b-like",
        "neox-serial-tied",
        "gptj",
        "gpt-neo",
        "gpt2",
        "llama"
      })
  void logProbabilitiesAreThoseOfHfTransformers(String name) {
    Path dir = Path.of("src/test/resources/parity", name);
    try (Safetensors file = Safetensors.open(dir.resolve("expected.safetensors"));
        LanguageModel model = LanguageModel.open(dir, Precision.STORED)) {
      int[] ids = Parity.ints(file, "input_ids");
      float[] expected = Parity.floats(file, "token_logprobs");
      for (int row = 0; row < 2; row++) {
        int[] text = Arrays.copyOfRange(ids, 41 * row, 41 * row + 41);
        float[] found = model.scorer().logProbabilities(text);
        assertThat(found)
            .containsExactly(Arrays.copyOfRange(expected, 40 * row, 40 * row + 40), within(1e-4f));
      }
    }
  }

  /** Continuations of common and of other contexts, some of which differ in the last id alone. */
  private static List<Scorer.Continuation> continuations(int context, Random random) {
    List<Scorer.Continuation> all = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      int[] before = random.ints(1 + random.nextInt(context - 4), 0, 30).toArray();
      for (int choice = 0; choice < 4; choice++) {
        int n = i % 3 == 0 ? 1 : 1 + random.nextInt(4);
        int[] ids = Arrays.copyOf(before, before.length + n);
        for (int k = before.length; k < ids.length; k++) {
          ids[k] = random.nextInt(30);
        }
        all.add(new Scorer.Continuation(ids, before.length));
      }
    }
    return all;
  }

  @Test
  void continuationsHaveTheScoresOfSequencesAloneAtAnyBatchSizeThreadCountAndOrder() {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, 200))) {
      List<Scorer.Continuation> asked = continuations(200, new Random(3));
      List<float[]> alone = new ArrayList<>();
      try (Engine engine = new Engine(packed, Scorer.settings(packed))) {
        for (Scorer.Continuation each : asked) {
          alone.add(new Scorer(engine).logProbabilities(each.ids(), each.from()));
        }
      }
      for (int sessions : new int[] {1, 3, 16}) {
        for (int threads : new int[] {1, 2}) {
          List<Integer> order = new ArrayList<>();
          for (int i = 0; i < asked.size(); i++) {
            order.add(i);
          }
          Collections.shuffle(order, new Random(sessions));
          Engine.Settings settings = Scorer.settings(packed, sessions).withThreads(threads);
          try (Engine engine = new Engine(packed, settings)) {
            List<Scorer.Continued> found =
                new Scorer(engine)
                    .continuations(order.stream().map(asked::get).toList(), Progress.silent());
            for (int i = 0; i < found.size(); i++) {
              assertThat(found.get(i).logProbabilities()).isEqualTo(alone.get(order.get(i)));
            }
          }
        }
      }
    }
  }

  @Test
  void aContinuationIsGreedyWhereEachIdIsTheLikeliest() {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, 64));
        Engine engine = new Engine(packed, Scorer.settings(packed))) {
      int[] prompt = {3, 1, 4};
      int[] drawn =
          engine
              .submit(GenerationRequest.builder(prompt).maxTokens(3).ignoreEnd().build())
              .result()
              .ids();
      int[] ids = Arrays.copyOf(prompt, 6);
      System.arraycopy(drawn, 0, ids, 3, 3);
      int[] other = ids.clone();
      other[5] = (other[5] + 1) % 30;
      List<Scorer.Continued> found =
          new Scorer(engine)
              .continuations(
                  List.of(new Scorer.Continuation(ids, 3), new Scorer.Continuation(other, 3)),
                  Progress.silent());
      assertThat(found).extracting(Scorer.Continued::greedy).containsExactly(true, false);
    }
  }

  @Test
  void continuationsThatDifferInTheLastIdAreReadOnceAndAfterTheFirstOfAContext() {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, 200));
        Engine engine = new Engine(packed, Scorer.settings(packed))) {
      int[] ids = new Random(1).ints(131, 0, 30).toArray();
      List<Scorer.Continuation> choices = new ArrayList<>();
      for (int last = 0; last < 5; last++) {
        int[] choice = ids.clone();
        choice[130] = last;
        choices.add(new Scorer.Continuation(choice, 130));
      }
      new Scorer(engine).continuations(choices, Progress.silent());
      assertThat(engine.metrics().promptTokens()).isEqualTo(130);
      choices.clear();
      for (int next = 0; next < 3; next++) {
        int[] choice = Arrays.copyOf(ids, 132);
        choice[0] = 7; // another context, of two full pages and two ids
        choice[130] = next;
        choices.add(new Scorer.Continuation(choice, 130));
      }
      new Scorer(engine).continuations(choices, Progress.silent());
      assertThat(engine.metrics().reusedTokens()).isEqualTo(2 * 128);
    }
  }

  @Test
  void aContinuationFitsTheContextOrIsRefused() {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, 8));
        Engine engine = new Engine(packed, Scorer.settings(packed))) {
      Scorer scorer = new Scorer(engine);
      Scorer.Continuation whole = new Scorer.Continuation(new int[9], 1);
      assertThat(scorer.continuations(List.of(whole), Progress.silent())).hasSize(1);
      Scorer.Continuation longer = new Scorer.Continuation(new int[10], 1);
      assertThatThrownBy(() -> scorer.continuations(List.of(longer), Progress.silent()))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("expected at most 9 ids");
      assertThatThrownBy(() -> new Scorer.Continuation(new int[3], 3))
          .isInstanceOf(InputException.class);
    }
  }

  @Test
  void progressGoesOnWithinAWindow() {
    List<Long> steps = Collections.synchronizedList(new ArrayList<>());
    class Steps extends Progress {
      Steps() {
        super(-1);
      }

      @Override
      public void step(long n) {
        steps.add(n);
      }
    }
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, 64));
        Engine engine = new Engine(packed, Scorer.settings(packed))) {
      new Scorer(engine).logProbabilities(new Random(2).ints(200, 0, 30).toArray(), new Steps());
    }
    assertThat(steps).hasSize(199).containsOnly(1L);
  }

  @ParameterizedTest
  @CsvSource({"9, 40", "8, 9", "8, 8", "8, 10", "8, 13", "1, 5", "2, 5", "3, 100"})
  void aTextBeyondTheContextIsScoredFromHalfAContextOrMore(int context, int length) {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, context));
        Engine engine = new Engine(packed, Scorer.settings(packed))) {
      Scorer scorer = new Scorer(engine);
      int[] ids = new Random(2).ints(length, 0, 30).toArray();
      float[] found = scorer.logProbabilities(ids);
      assertThat(found).hasSize(length - 1);
      int stride = Math.max(1, context / 2);
      for (int i = 0; i < found.length; i++) {
        int from = i < context ? 0 : (i - context) / stride * stride + stride;
        float[] alone = scorer.logProbabilities(Arrays.copyOfRange(ids, from, i + 2));
        assertThat(i + 1 - from).isBetween(Math.min(i + 1, (context + 1) / 2), context);
        assertThat(found[i]).as("score %d", i).isCloseTo(alone[alone.length - 1], within(1e-5f));
      }
    }
  }

  @Tag("slow")
  @ParameterizedTest
  @CsvSource({"9, 40", "8, 8", "8, 9", "8, 10", "1, 5", "3, 100", "64, 20"})
  void theScoresOfTheEndAreThoseOfTheWhole(int context, int length) {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, context));
        Engine engine = new Engine(packed, Scorer.settings(packed))) {
      Scorer scorer = new Scorer(engine);
      int[] ids = new Random(2).ints(length, 0, 30).toArray();
      float[] whole = scorer.logProbabilities(ids);
      for (int from = 1; from <= length; from++) {
        assertThat(scorer.logProbabilities(ids, from))
            .as("from %d", from)
            .isEqualTo(Arrays.copyOfRange(whole, from - 1, length - 1));
      }
    }
  }

  /** As {@code get_rolling_token_windows} of lm-evaluation-harness with a context of one token. */
  @ParameterizedTest
  @CsvSource({"9, 40", "8, 9", "8, 10", "8, 16", "8, 17", "8, 18", "1, 5", "64, 20"})
  void rollingWindowsScoreEachTokenOnceAndFillTheLast(int context, int length) {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, context));
        Engine engine = new Engine(packed, Scorer.settings(packed))) {
      Scorer scorer = new Scorer(engine);
      int[] ids = new Random(2).ints(length, 0, 30).toArray();
      float[][] found = new float[1][];
      scorer.rolling(
          List.of(ids).iterator(), Progress.silent(), (document, scores) -> found[0] = scores);
      assertThat(found[0]).hasSize(length - 1);
      for (int target = 1; target < length; target++) {
        int window = (target - 1) / context; // which one predicts it
        int end = Math.min((window + 1) * context + 1, length);
        int from = Math.max(0, end - context - 1);
        float[] whole = scorer.logProbabilities(Arrays.copyOfRange(ids, from, end));
        assertThat(found[0][target - 1]).as("id %d", target).isEqualTo(whole[target - from - 1]);
      }
    }
  }

  @Tag("slow")
  @Test
  void manyDocumentsAtOnceHaveTheScoresOfEachInTheirOrder() {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, 32));
        Engine engine = new Engine(packed, Scorer.settings(packed).withQueue(3))) {
      Scorer scorer = new Scorer(engine);
      Random random = new Random(8);
      List<int[]> documents = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        documents.add(random.ints(random.nextInt(90), 0, 30).toArray());
      }
      List<float[]> found = new ArrayList<>();
      scorer.rolling(
          documents.iterator(),
          Progress.silent(),
          (ids, scores) -> {
            assertThat(ids).isSameAs(documents.get(found.size()));
            found.add(scores);
          });
      assertThat(found).hasSize(100);
      for (int i = 0; i < 100; i++) {
        float[] alone = scorer.logProbabilities(documents.get(i));
        assertThat(found.get(i)).hasSameSizeAs(alone);
        if (documents.get(i).length <= 33) {
          assertThat(found.get(i)).isEqualTo(alone);
        }
      }
    }
  }

  @Test
  void aTextOfOneTokenOrNoneHasNoScores() {
    try (PackedModel packed = packed(ModelSpec.neox(30, 16, 2, 2, 8));
        Engine engine = new Engine(packed, Scorer.settings(packed))) {
      assertThat(new Scorer(engine).logProbabilities(new int[] {3})).isEmpty();
      assertThat(new Scorer(engine).logProbabilities(new int[0])).isEmpty();
      assertThatThrownBy(() -> new Scorer(engine).logProbabilities(new int[] {3, 30}))
          .isInstanceOf(InputException.class)
          .hasMessage("token 2: expected an id from 0 to 29, found 30");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 7, 20, 41})
  void thePiecesOfASequenceMeetToTheLastBit(int rows) {
    try (PackedModel packed = packed(ModelSpec.neox(77, 16, 2, 2, 40));
        Engine engine = new Engine(packed, Scorer.settings(packed));
        Engine cut = new Engine(packed, Scorer.settings(packed).withPromptRows(rows))) {
      int[] ids = new Random(2).ints(62, 0, 77).toArray();
      float[] expected = new Scorer(engine).logProbabilities(ids);
      assertThat(new Scorer(cut).logProbabilities(ids)).isEqualTo(expected);
    }
  }

  @Test
  void aModelThatGivesNoNumbersIsNamedWithTheTokenThatHasNone() {
    RandomWeights weights = new RandomWeights(ModelSpec.neox(30, 16, 2, 2, 8), 5);
    weights.set(ParamId.weight(Part.EMBEDDING), 7 * 16, Float.NaN);
    {
      try (PackedModel packed = PackedModel.of(weights, Precision.STORED);
          Engine engine = new Engine(packed, Scorer.settings(packed))) {
        int[] ids = new int[20];
        assertThat(new Scorer(engine).logProbabilities(ids)).doesNotContain(Float.NaN);
        ids[12] = 7; // first read in the third window
        assertThatThrownBy(() -> new Scorer(engine).logProbabilities(ids))
            .isInstanceOf(InputException.class)
            .hasMessage("the model's score of token 14 is not a number: its weights are broken");
      }
    }
  }
}
