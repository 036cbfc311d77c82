package dev.jneox.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.Activation;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.RandomModel;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import dev.jneox.tensor.Workers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The forward pass for inference against the reference model, and against itself cut up
 * differently.
 */
class ForwardTest {
  private static final int MAX_POSITIONS = 200;

  /** Models of every family and of none, of odd sizes, that read beyond a page. */
  @Provide
  Arbitrary<ModelConfig> configs() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    Arbitrary<Position> position =
        Arbitraries.oneOf(
            Arbitraries.just(new Position.Learned()),
            Combinators.combine(Arbitraries.of(2, 4, 6), Arbitraries.of(100.0, 10000.0), flag)
                .as(Position.Rotary::new));
    Arbitrary<List<Integer>> windows = Arbitraries.of(0, 1, 5, 64, 70, 1000).list().ofSize(2);
    Arbitrary<int[]> sizes =
        Combinators.combine(
                Arbitraries.of(6, 7, 16, 20, 64, 80),
                Arbitraries.integers().between(1, 3),
                Arbitraries.of(11, 64, 130))
            .as((headDim, heads, mlp) -> new int[] {headDim, heads, mlp});
    return Combinators.combine(
            position,
            Arbitraries.of(Residual.class),
            Arbitraries.of(Activation.class),
            windows,
            sizes,
            flag.array(boolean[].class).ofSize(5))
        .as(
            (where, residual, activation, window, size, choice) ->
                new ModelConfig(
                    77,
                    75,
                    size[0] * size[1],
                    2,
                    size[1],
                    size[2],
                    MAX_POSITIONS,
                    where,
                    residual,
                    activation,
                    1e-5,
                    window,
                    choice[0],
                    choice[1],
                    choice[2],
                    choice[3],
                    choice[4],
                    0));
  }

  private static int[] ids(ModelConfig config, int length, long seed) {
    return new Random(seed).ints(length, 0, config.vocabSize()).toArray();
  }

  /** The scores after every position of a text that is read in pieces of these lengths. */
  private static float[][] logits(Forward forward, KvPool pool, int[] ids, int... pieces) {
    KvSequence text = new KvSequence(pool);
    text.reserve(ids.length);
    float[][] logits = new float[ids.length][];
    for (int at = 0, piece = 0; at < ids.length; piece++) {
      int n = Math.min(Math.min(ids.length - at, forward.maxRows()), pieces[piece % pieces.length]);
      forward.begin();
      forward.add(text, ids, at, n);
      forward.run();
      collect(forward, 0, n, logits, at);
      at += n;
    }
    text.release();
    return logits;
  }

  private static void collect(Forward forward, int row, int n, float[][] logits, int at) {
    for (int r = 0; r < n; r++) {
      float[] scores = forward.logits(new int[] {row + r}, 0, 1);
      logits[at + r] = Arrays.copyOf(scores, 77);
    }
  }

  /** Root mean square of the difference, as a share of that of the values. */
  private static double relativeError(float[][] found, float[][] expected) {
    double difference = 0;
    double whole = 0;
    for (int s = 0; s < found.length; s++) {
      for (int v = 0; v < found[s].length; v++) {
        difference += Math.pow(found[s][v] - expected[s][v], 2);
        whole += Math.pow(expected[s][v], 2);
      }
    }
    return Math.sqrt(difference / whole);
  }

  private static KvPool pool(ModelConfig config, KvPrecision precision) {
    return new KvPool(KvFormat.of(config, precision), 100);
  }

  private static float[][] reference(CausalLM model, int[] ids) {
    try (PointerScope _ = new PointerScope()) {
      float[] all = Tensors.floats(model.forward(Tensors.of(ids, 1, ids.length)));
      float[][] rows = new float[ids.length][];
      Arrays.setAll(rows, i -> Arrays.copyOfRange(all, i * 77, i * 77 + 77));
      return rows;
    }
  }

  @Property(tries = 60, edgeCases = EdgeCasesMode.NONE)
  void logitsAreThoseOfTheReference(
      @ForAll("configs") ModelConfig config,
      @ForAll @IntRange(min = 1, max = MAX_POSITIONS) int length,
      @ForAll @IntRange(min = 1, max = 50) int piece,
      @ForAll long seed) {
    int[] ids = ids(config, length, seed);
    try (CausalLM model = RandomModel.of(config, seed);
        PackedModel packed = PackedModel.of(model);
        Workers workers = new Workers(2)) {
      float[][] expected = reference(model, ids);
      for (KvPrecision precision : KvPrecision.values()) {
        KvPool pool = pool(config, precision);
        Forward forward = new Forward(packed, pool.format(), workers, 40);
        float[][] found = logits(forward, pool, ids, piece, 1);
        if (precision == KvPrecision.F32) {
          for (int s = 0; s < length; s++) {
            assertThat(found[s]).as("position %d", s).containsExactly(expected[s], within(2e-4f));
          }
        } else {
          assertThat(relativeError(found, expected)).isLessThan(0.1);
        }
        assertThat(pool.used()).isZero();
      }
    }
  }

  @Property(tries = 40, edgeCases = EdgeCasesMode.NONE)
  void theBitsOfATextDependOnNothingButTheText(
      @ForAll("configs") ModelConfig config, @ForAll KvPrecision precision, @ForAll long seed) {
    Random random = new Random(seed);
    List<int[]> texts = new ArrayList<>();
    for (int t = 0; t < 5; t++) {
      texts.add(ids(config, 1 + random.nextInt(MAX_POSITIONS), random.nextLong()));
    }
    try (CausalLM model = RandomModel.of(config, seed);
        PackedModel packed = PackedModel.of(model);
        Workers one = new Workers(1);
        Workers three = new Workers(3)) {
      KvPool pool = pool(config, precision);
      Forward alone = new Forward(packed, pool.format(), one, 200);
      Forward together = new Forward(packed, pool.format(), three, 48);
      float[][][] expected = new float[texts.size()][][];
      Arrays.setAll(expected, t -> logits(alone, pool, texts.get(t), 1));
      float[][][] found = new float[texts.size()][][];
      List<KvSequence> sequences = new ArrayList<>();
      for (int t = 0; t < texts.size(); t++) {
        found[t] = new float[texts.get(t).length][];
        sequences.add(new KvSequence(pool));
      }
      for (boolean left = true; left; ) {
        left = false;
        together.begin();
        int[] rows = new int[texts.size()];
        int[] from = new int[texts.size()];
        int[] counts = new int[texts.size()];
        for (int t = 0; t < texts.size(); t++) {
          int done = sequences.get(t).length();
          int rest = texts.get(t).length - done;
          from[t] = done;
          int most = Math.min(rest, together.maxRows() - together.rows());
          counts[t] =
              most == 0 || random.nextInt(3) == 0
                  ? 0
                  : random.nextBoolean() ? 1 : 1 + random.nextInt(most);
          if (counts[t] > 0) {
            sequences.get(t).reserve(done + counts[t]);
            rows[t] = together.add(sequences.get(t), texts.get(t), done, counts[t]);
          }
          left |= rest > counts[t];
        }
        if (together.rows() == 0) {
          left = true;
          continue;
        }
        together.run();
        // The head overwrites nothing that the next row needs.
        for (int t = 0; t < texts.size(); t++) {
          collect(together, rows[t], counts[t], found[t], from[t]);
        }
      }
      for (int t = 0; t < texts.size(); t++) {
        for (int s = 0; s < texts.get(t).length; s++) {
          assertThat(found[t][s]).as("text %d, position %d", t, s).isEqualTo(expected[t][s]);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(KvPrecision.class)
  void weightsInBf16AreThoseOfTheReferenceNearly(KvPrecision precision) {
    ModelConfig config = ModelConfig.neox(77, 64, 2, 4, MAX_POSITIONS);
    int[] ids = ids(config, 90, 4);
    try (CausalLM model = RandomModel.of(config, 1, ScalarType.BFloat16);
        PackedModel packed = PackedModel.of(model);
        Workers workers = new Workers(2)) {
      KvPool pool = pool(config, precision);
      float[][] found = logits(new Forward(packed, pool.format(), workers, 64), pool, ids, 64);
      float[][] expected = reference(model, ids);
      for (int s = 0; s < ids.length; s++) {
        assertThat(found[s]).containsExactly(expected[s], within(0.2f));
      }
    }
  }
}
