package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.convert.Quantisation;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.kernel.Workers;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.PlainForward;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.StoredModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Taps on the served forward pass, against a plain one and against the reference's hooks. */
@Tag("slow")
@net.jqwik.api.Tag("slow")
class TapsTest {
  @TempDir Path dir;

  @Provide
  Arbitrary<ModelSpec> specs() {
    return Specs.all();
  }

  private static int[] ids(ModelSpec spec, int length, long seed) {
    return new Random(seed).ints(length, 0, spec.vocabulary().rows()).toArray();
  }

  /** Keeps every row at the points it wants, by name and position. */
  private static class Kept implements Taps {
    final Map<String, Map<Integer, float[]>> rows = new LinkedHashMap<>();
    private final Predicate<String> wanted;

    Kept(Predicate<String> wanted) {
      this.wanted = wanted;
    }

    @Override
    public boolean wants(String name) {
      return wanted.test(name);
    }

    @Override
    public void apply(String name, float[] values, int at, int width, long sequence, int position) {
      float[] row = Arrays.copyOfRange(values, at, at + width);
      if (rows.computeIfAbsent(name, n -> new HashMap<>()).put(position, row) != null) {
        throw new AssertionError(name + " twice at position " + position);
      }
    }
  }

  /** Logits of one sequence read in pieces of one length. */
  private static float[][] logits(
      PackedModel model, KvPrecision kv, Taps taps, int[] ids, int piece, int threads) {
    KvPool pool = new KvPool(KvFormat.of(model.spec(), kv), 10);
    float[][] logits = new float[ids.length][];
    try (Workers workers = new Workers(threads)) {
      Forward forward = new Forward(model, pool.format(), workers, piece);
      KvSequence sequence = new KvSequence(pool);
      sequence.reserve(ids.length);
      for (int at = 0; at < ids.length; at += piece) {
        int n = Math.min(piece, ids.length - at);
        forward.begin();
        forward.add(sequence, ids, at, n);
        if (taps == null) {
          forward.run();
        } else {
          forward.run(taps);
        }
        collect(forward, 0, n, model.spec().vocabulary().rows(), logits, at);
      }
    }
    return logits;
  }

  private static void collect(
      Forward forward, int row, int n, int vocabulary, float[][] into, int at) {
    int[] rows = IntStream.range(row, row + n).toArray();
    for (int r = 0; r < n; r += Forward.LOGIT_ROWS) {
      int m = Math.min(Forward.LOGIT_ROWS, n - r);
      float[] scores = forward.logits(rows, r, m);
      for (int i = 0; i < m; i++) {
        into[at + r + i] = Arrays.copyOfRange(scores, i * vocabulary, (i + 1) * vocabulary);
      }
    }
  }

  @Property(tries = 60, edgeCases = EdgeCasesMode.NONE)
  void everyPointHasWhatAPlainForwardHasThereAndNoBitChanges(
      @ForAll("specs") ModelSpec spec,
      @ForAll StoredWeights.Fusing fusing,
      @ForAll @IntRange(min = 1, max = 90) int length,
      @ForAll @IntRange(min = 1, max = 40) int piece,
      @ForAll long seed) {
    int[] ids = ids(spec, length, seed);
    StoredWeights weights = new StoredWeights(spec, seed, fusing, id -> GgmlType.F32, true);
    Map<String, Map<Integer, double[]>> expected = new LinkedHashMap<>();
    new PlainForward(
            spec,
            weights.values(),
            (name, position, row) ->
                expected.computeIfAbsent(name, n -> new HashMap<>()).put(position, row.clone()))
        .logits(ids);
    try (PackedModel packed = PackedModel.of(weights, Precision.STORED)) {
      float[][] plain = logits(packed, KvPrecision.F32, null, ids, piece, 2);
      Kept kept = new Kept(name -> true);
      float[][] tapped = logits(packed, KvPrecision.F32, kept, ids, piece, 2);
      assertThat(tapped).isDeepEqualTo(plain);
      assertThat(kept.rows.keySet()).containsExactlyInAnyOrderElementsOf(expected.keySet());
      expected.forEach(
          (name, rows) -> rows.forEach((position, row) -> assertNear(name, position, kept, row)));
    }
  }

  /** Within 1e-4, or that share of the largest where sums of large terms are rounded. */
  private static void assertNear(String name, int position, Kept kept, double[] expected) {
    float[] found = kept.rows.get(name).get(position);
    assertThat(found).as("%s at %d", name, position).hasSameSizeAs(expected);
    double largest =
        Arrays.stream(expected).map(Math::abs).filter(Double::isFinite).max().orElseThrow();
    double tolerance = 1e-4 * Math.max(1, largest);
    for (int i = 0; i < found.length; i++) {
      if (!(Math.abs(found[i] - expected[i]) < tolerance) && found[i] != expected[i]) {
        throw new AssertionError(
            name + " at " + position + ", value " + i + ": " + found[i] + ", not " + expected[i]);
      }
    }
  }

  /** Any choice of points leaves the bits alone, whichever way a layer then takes. */
  @Property(tries = 60, edgeCases = EdgeCasesMode.NONE)
  void aTapThatChangesNothingChangesNoBit(
      @ForAll("specs") ModelSpec spec, @ForAll KvPrecision kv, @ForAll long seed) {
    int[] ids = ids(spec, 1 + new Random(seed).nextInt(Specs.MAX_POSITIONS), seed);
    try (PackedModel packed = PackedModel.of(StoredWeights.of(spec, seed), Precision.STORED)) {
      Random random = new Random(seed);
      int share = 1 + random.nextInt(20);
      Map<String, Boolean> chosen = new HashMap<>();
      Kept kept = new Kept(name -> chosen.computeIfAbsent(name, n -> random.nextInt(share) == 0));
      assertThat(logits(packed, kv, kept, ids, 64, 1))
          .isDeepEqualTo(logits(packed, kv, null, ids, 50, 2));
    }
  }

  @ParameterizedTest
  @CsvSource({"Q4_0, SERIAL", "Q4_0, PARALLEL", "Q8_0, SERIAL", "Q8_0, PARALLEL_ONE_NORM"})
  void aTapThatChangesNothingChangesNoBitOfQuantisedWeights(GgmlType type, String residual) {
    ModelSpec spec = spec(residual);
    new HfFolderWriter(dir, spec, Dtype.F32).write(new dev.jneox.weights.RandomWeights(spec, 3));
    try (StoredModel plain = ModelFiles.open(dir)) {
      Quantisation.to(type, plain).write(dir.resolve("quantised"), bytes -> {});
    }
    try (StoredModel stored = ModelFiles.open(dir.resolve("quantised"));
        PackedModel packed = PackedModel.of(stored, Precision.STORED)) {
      int[] ids = ids(packed.spec(), 50, 1);
      assertThat(logits(packed, KvPrecision.BF16, new Kept(name -> true), ids, 20, 2))
          .isDeepEqualTo(logits(packed, KvPrecision.BF16, null, ids, 20, 2));
    }
  }

  /** Stretches rows at one point, unevenly, lest a norm that follows take it back. */
  private record Stretched(String point) implements Taps, PlainForward.Look {
    @Override
    public boolean wants(String name) {
      return name.equals(point);
    }

    private static double factor(int i, int position) {
      return 1.2 + i % 5 / 10.0 + position % 3 / 10.0;
    }

    @Override
    public void apply(String name, float[] values, int at, int width, long sequence, int position) {
      for (int i = 0; i < width; i++) {
        values[at + i] *= (float) factor(i, position);
      }
    }

    @Override
    public void at(String name, int position, double[] row) {
      for (int i = 0; i < row.length && name.equals(point); i++) {
        row[i] *= factor(i, position);
      }
    }
  }

  @Property(tries = 6, edgeCases = EdgeCasesMode.NONE)
  void whatATapLeavesFlowsOn(@ForAll("specs") ModelSpec spec, @ForAll long seed) {
    int[] ids = ids(spec, 40, seed);
    StoredWeights weights = StoredWeights.of(spec, seed);
    try (PackedModel packed = PackedModel.of(weights, Precision.STORED)) {
      float[][] unchanged = logits(packed, KvPrecision.F32, null, ids, 40, 1);
      Kept points = new Kept(name -> true);
      logits(packed, KvPrecision.F32, points, ids, 40, 1);
      for (String point : points.rows.keySet()) {
        Stretched stretched = new Stretched(point);
        double[][] expected = new PlainForward(spec, weights.values(), stretched).logits(ids);
        float[][] found = logits(packed, KvPrecision.F32, stretched, ids, 23, 1);
        double difference = 0;
        double changed = 0;
        double size = 0;
        for (int p = 0; p < ids.length; p++) {
          for (int i = 0; i < expected[p].length; i++) {
            difference += Math.pow(found[p][i] - expected[p][i], 2);
            changed += Math.pow(unchanged[p][i] - expected[p][i], 2);
            size += Math.pow(expected[p][i], 2);
          }
        }
        assertThat(Math.sqrt(difference / size)).as(point).isLessThan(1e-4);
        // One key is all there is to a window of one: its probability is 1 whatever its score.
        if (!point.endsWith("scores") && !point.endsWith("_q") && !point.endsWith("_k")) {
          assertThat(Math.sqrt(changed / size)).as(point).isGreaterThan(1e-3);
        }
      }
    }
  }

  @Test
  void aChangeOfOneSequenceLeavesItsNeighboursAlone() {
    ModelSpec spec = ModelSpec.neox(77, 64, 2, 4, 100);
    List<int[]> ids = List.of(ids(spec, 40, 1), ids(spec, 21, 2), ids(spec, 1, 3));
    try (PackedModel packed = PackedModel.of(StoredWeights.of(spec, 5), Precision.STORED);
        Workers workers = new Workers(2)) {
      KvPool pool = new KvPool(KvFormat.of(spec, KvPrecision.F32), 20);
      Forward forward = new Forward(packed, pool.format(), workers, 64);
      List<KvSequence> sequences = new ArrayList<>();
      forward.begin();
      for (int[] each : ids) {
        KvSequence sequence = new KvSequence(pool);
        sequence.reserve(each.length);
        sequences.add(sequence);
        forward.add(sequence, each, 0, each.length);
      }
      List<Integer> positions = new ArrayList<>();
      forward.run(
          new Taps() {
            @Override
            public boolean wants(String name) {
              return name.equals("blocks.0.attn.hook_v");
            }

            @Override
            public void apply(
                String name, float[] values, int at, int width, long sequence, int position) {
              if (sequence == sequences.get(1).id()) {
                positions.add(position);
                values[at] += 1;
              }
            }
          });
      assertThat(positions).isEqualTo(IntStream.range(0, 21).boxed().toList());
      int row = 0;
      for (int s = 0; s < ids.size(); s++) {
        int n = ids.get(s).length;
        float[][] alone = logits(packed, KvPrecision.F32, null, ids.get(s), n, 1);
        float[][] found = new float[n][];
        collect(forward, row, n, 77, found, 0);
        assertThat(Arrays.deepEquals(found, alone)).as("sequence %d", s).isEqualTo(s != 1);
        row += n;
      }
    }
  }

  private static ModelSpec spec(String residual) {
    Norm norm = new Norm.Layer(1e-5);
    boolean one = residual.equals("PARALLEL_ONE_NORM");
    boolean serial = residual.equals("SERIAL");
    Attention attention =
        Attention.of(4, 32, serial ? new Position.None() : new Position.Rotary(6, 100, one))
            .withBiases(!one, true);
    return ModelSpec.of(
            new Vocabulary(77, 75, 0),
            128,
            new Embedding(serial),
            2,
            new BlockSpec(
                serial
                    ? new Residual.Serial(norm, norm)
                    : one ? new Residual.ParallelOneNorm(norm) : new Residual.Parallel(norm, norm),
                serial ? attention.withScale(1) : attention,
                new FeedForward.Plain(96, Activation.GELU, true)),
            new Head(serial, one),
            100)
        .withWindows(List.of(0, 7));
  }
}
