package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.InputException;
import dev.jneox.kernel.Workers;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.PlainForward;
import dev.jneox.weights.GgmlType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The forward pass for inference against a plain one, and against itself cut up differently. */
@Tag("slow")
@net.jqwik.api.Tag("slow")
class ForwardTest {
  private static final int MAX_POSITIONS = Specs.MAX_POSITIONS;

  @Provide
  Arbitrary<ModelSpec> specs() {
    return Specs.all();
  }

  private static int[] ids(ModelSpec spec, int length, long seed) {
    return new Random(seed).ints(length, 0, spec.vocabulary().rows()).toArray();
  }

  /** The scores after every position of a sequence that is read in pieces of these lengths. */
  static float[][] logits(Forward forward, KvPool pool, int[] ids, int... pieces) {
    KvSequence sequence = new KvSequence(pool);
    sequence.reserve(ids.length);
    float[][] logits = new float[ids.length][];
    for (int at = 0, piece = 0; at < ids.length; piece++) {
      int n = Math.min(Math.min(ids.length - at, forward.maxRows()), pieces[piece % pieces.length]);
      forward.begin();
      forward.add(sequence, ids, at, n);
      forward.run();
      collect(forward, 0, n, logits, at);
      at += n;
    }
    sequence.release();
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

  private static KvPool pool(ModelSpec spec, KvPrecision precision) {
    return new KvPool(KvFormat.of(spec, precision), 100);
  }

  private static float[][] plain(StoredWeights weights, int[] ids) {
    double[][] logits = new PlainForward(weights.spec(), weights.values()).logits(ids);
    float[][] rows = new float[ids.length][logits[0].length];
    for (int p = 0; p < rows.length; p++) {
      for (int i = 0; i < rows[p].length; i++) {
        rows[p][i] = (float) logits[p][i];
      }
    }
    return rows;
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void logitsAreThoseOfAPlainForward(
      @ForAll("specs") ModelSpec spec,
      @ForAll StoredWeights.Fusing fusing,
      @ForAll("types") List<GgmlType> types,
      @ForAll boolean mapped,
      @ForAll @IntRange(min = 1, max = MAX_POSITIONS) int length,
      @ForAll @IntRange(min = 1, max = 50) int piece,
      @ForAll long seed) {
    int[] ids = ids(spec, length, seed);
    StoredWeights weights = new StoredWeights(spec, seed, fusing, types(types), mapped);
    float[][] expected = plain(weights, ids);
    // Kernels of quantised weights round activations too: their errors have a test of their own.
    boolean quantised = types.contains(GgmlType.Q8_0) || types.contains(GgmlType.Q4_0);
    try (PackedModel packed =
            PackedModel.of(weights, quantised ? Precision.F32 : Precision.STORED);
        Workers workers = new Workers(2)) {
      for (KvPrecision precision : KvPrecision.values()) {
        KvPool pool = pool(spec, precision);
        Forward forward = new Forward(packed, pool.format(), workers, 40);
        float[][] found = logits(forward, pool, ids, piece, 1);
        if (precision == KvPrecision.F32) {
          for (int s = 0; s < length; s++) {
            assertThat(found[s]).as("position %d", s).containsExactly(expected[s], within(5e-4f));
          }
        } else {
          assertThat(relativeError(found, expected)).isLessThan(0.1);
        }
        assertThat(pool.used()).isZero();
      }
    }
  }

  /** Types that matrices of a model have in turn. */
  @Provide
  Arbitrary<List<GgmlType>> types() {
    return Arbitraries.of(GgmlType.F32, GgmlType.BF16, GgmlType.F16, GgmlType.Q8_0, GgmlType.Q4_0)
        .list()
        .ofMinSize(1)
        .ofMaxSize(3);
  }

  private static Function<ParamId, GgmlType> types(List<GgmlType> types) {
    return id -> types.get(id.part().ordinal() % types.size());
  }

  /** Models of every kind whose matrices have kernels of different types side by side. */
  @Property(tries = 60, edgeCases = EdgeCasesMode.NONE)
  void quantisedWeightsAreMultipliedWithinTheRoundingOfActivations(
      @ForAll("specs") ModelSpec any,
      @ForAll StoredWeights.Fusing fusing,
      @ForAll("types") List<GgmlType> types,
      @ForAll long seed) {
    // Scores of unscaled heads are so far apart that a rounding turns one winner into another.
    ModelSpec spec =
        any.mapBlocks(
            block ->
                block.withAttention(
                    block.attention().withScale(Attention.scaleOf(block.attention().headDim()))));
    int[] ids = ids(spec, 60, seed);
    StoredWeights weights = new StoredWeights(spec, seed, fusing, types(types), true);
    float[][] expected = plain(weights, ids);
    try (PackedModel packed = PackedModel.of(weights, Precision.STORED);
        Workers workers = new Workers(2)) {
      KvPool pool = pool(spec, KvPrecision.F32);
      Forward forward = new Forward(packed, pool.format(), workers, 40);
      assertThat(relativeError(logits(forward, pool, ids, 7, 1), expected)).isLessThan(0.1);
    }
  }

  @Property(tries = 40, edgeCases = EdgeCasesMode.NONE)
  void theBitsOfASequenceDependOnNothingElse(
      @ForAll("specs") ModelSpec spec,
      @ForAll StoredWeights.Fusing fusing,
      @ForAll KvPrecision precision,
      @ForAll long seed) {
    Random random = new Random(seed);
    List<int[]> sequences = new ArrayList<>();
    for (int t = 0; t < 5; t++) {
      sequences.add(ids(spec, 1 + random.nextInt(MAX_POSITIONS), random.nextLong()));
    }
    StoredWeights weights = new StoredWeights(spec, seed, fusing, id -> GgmlType.F32, true);
    try (PackedModel packed = PackedModel.of(weights, Precision.STORED);
        Workers one = new Workers(1);
        Workers three = new Workers(3)) {
      KvPool pool = pool(spec, precision);
      Forward alone = new Forward(packed, pool.format(), one, 200);
      Forward together = new Forward(packed, pool.format(), three, 48);
      float[][][] expected = new float[sequences.size()][][];
      Arrays.setAll(expected, t -> logits(alone, pool, sequences.get(t), 1));
      float[][][] found = new float[sequences.size()][][];
      List<KvSequence> states = new ArrayList<>();
      for (int t = 0; t < sequences.size(); t++) {
        found[t] = new float[sequences.get(t).length][];
        states.add(new KvSequence(pool));
      }
      for (boolean left = true; left; ) {
        left = false;
        together.begin();
        int[] rows = new int[sequences.size()];
        int[] from = new int[sequences.size()];
        int[] counts = new int[sequences.size()];
        for (int t = 0; t < sequences.size(); t++) {
          int done = states.get(t).length();
          int rest = sequences.get(t).length - done;
          from[t] = done;
          int most = Math.min(rest, together.maxRows() - together.rows());
          counts[t] =
              most == 0 || random.nextInt(3) == 0
                  ? 0
                  : random.nextBoolean() ? 1 : 1 + random.nextInt(most);
          if (counts[t] > 0) {
            states.get(t).reserve(done + counts[t]);
            rows[t] = together.add(states.get(t), sequences.get(t), done, counts[t]);
          }
          left |= rest > counts[t];
        }
        if (together.rows() == 0) {
          left = true;
          continue;
        }
        together.run();
        // The head overwrites nothing that the next row needs.
        for (int t = 0; t < sequences.size(); t++) {
          collect(together, rows[t], counts[t], found[t], from[t]);
        }
      }
      for (int t = 0; t < sequences.size(); t++) {
        for (int s = 0; s < sequences.get(t).length; s++) {
          assertThat(found[t][s]).as("sequence %d, position %d", t, s).isEqualTo(expected[t][s]);
        }
      }
    }
  }

  @Test
  void headsOfDifferentWidthsAreRefused() {
    ModelSpec spec = ModelSpec.neox(77, 64, 2, 4, MAX_POSITIONS);
    BlockSpec narrow =
        spec.first().withAttention(Attention.of(4, 8, spec.first().attention().position()));
    ModelSpec mixed = spec.withBlocks(List.of(spec.first(), narrow));
    assertThatThrownBy(() -> KvFormat.of(mixed, KvPrecision.F32))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "layer 1: expected heads of 16 values, as in layer 0, found 8: keys of different widths"
                + " cannot be kept together");
  }
}
