package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.dist.Layout;
import dev.jneox.dist.Partition;
import dev.jneox.dist.Piece;
import dev.jneox.dist.Shard;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.train.DividedModel;
import dev.jneox.train.RankThreads;
import dev.jneox.weights.Dtype;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A divided model in fp64: what differs from the whole one in fp32 is rounding, for it is smaller
 * as the numbers are finer.
 */
@Tag("slow")
class DividedAutogradTest {
  /** Bound of the relative difference; 2e-16 is a unit in the last place. */
  private static final double FP64 = 1e-13;

  private record Result(double loss, Map<ParamId, double[]> gradient) {}

  @ParameterizedTest
  @EnumSource(DividedModel.class)
  void inFp64TensorRanksGiveTheGradientOfTheWhole(DividedModel model) throws Exception {
    Map<ParamId, double[]> weights = weights(model.spec);
    Layout whole = Layout.whole(model.spec);
    Result expected =
        RankThreads.run(whole, (shard, tensor, _) -> run(shard, tensor, weights)).getFirst();
    for (int t : new int[] {2, 4}) {
      Layout layout = Layout.of(model.spec, t, 1, 1, Partition.UNIFORM);
      List<Result> found =
          RankThreads.run(layout, (shard, tensor, _) -> run(shard, tensor, weights));
      for (int rank = 0; rank < t; rank++) {
        assertThat(found.get(rank).loss).isCloseTo(expected.loss, within(FP64));
        for (Piece place : layout.shard(rank, 0).places()) {
          ParamId id = place.whole().id();
          double[] a = part(place, expected.gradient.get(id));
          double[] b = found.get(rank).gradient.get(id);
          double size = Math.max(norm(a, new double[a.length]), 1e-3);
          assertThat(norm(a, b) / size).as(id.toString()).isLessThan(FP64);
        }
      }
    }
  }

  private static double norm(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return Math.sqrt(sum);
  }

  private static Map<ParamId, double[]> weights(ModelSpec spec) {
    Random random = new Random(3);
    Map<ParamId, double[]> weights = new LinkedHashMap<>();
    for (Param param : spec.parameters()) {
      double mean = param.id().part().isNorm() && !param.id().isBias() ? 1 : 0;
      weights.put(
          param.id(), random.doubles(param.elements()).map(x -> mean + 0.4 * (x - 0.5)).toArray());
    }
    return weights;
  }

  private static double[] part(Piece place, double[] whole) {
    double[] part = new double[(int) place.part().elements()];
    for (Piece.Range range : place.ranges()) {
      System.arraycopy(
          whole, (int) range.inWhole(), part, (int) range.inPart(), (int) range.length());
    }
    return part;
  }

  private static Result run(Shard shard, Collectives tensor, Map<ParamId, double[]> whole) {
    Map<ParamId, Long> offsets = new LinkedHashMap<>();
    long length = 0;
    for (Piece place : shard.places()) {
      offsets.put(place.whole().id(), length);
      length += place.part().elements();
    }
    try (PointerScope _ = new PointerScope()) {
      Tensor weights = Tensors.zeros(ScalarType.Double, length);
      Tensor gradients = Tensors.zeros(ScalarType.Double, length);
      for (Piece place : shard.places()) {
        double[] part = part(place, whole.get(place.whole().id()));
        MemorySegment.copy(
            part,
            0,
            Tensors.segment(weights),
            ValueLayout.JAVA_DOUBLE,
            offsets.get(place.whole().id()) * 8,
            part.length);
      }
      ModelSpec spec = shard.spec();
      Random random = new Random(5);
      int[] ids = random.ints(46, 0, shard.model().vocabulary().rows()).toArray();
      int[] labels = random.ints(46, 0, shard.model().vocabulary().rows()).toArray();
      float[] each = new float[46];
      for (int t = 0; t < each.length; t++) {
        each[t] = (t % 3) / 46f;
      }
      double loss;
      try (AutogradModel model =
              new AutogradModel(
                  spec,
                  Dtype.F64,
                  id -> offsets.getOrDefault(id, -1L),
                  new FlatTensor(weights),
                  new FlatTensor(gradients),
                  new TensorParallel(tensor));
          AutogradModel.Pass pass =
              model.pass(ids, 2, 23, AutogradModel.Keep.ALL, 0, spec.layers())) {
        for (int l = 0; l < spec.layers(); l++) {
          pass.forwardBlock(l);
        }
        loss = pass.loss(labels, each);
        pass.backwardHead(1);
        for (int l = spec.layers() - 1; l >= 0; l--) {
          pass.backwardBlock(l);
        }
        pass.backwardEmbedding();
      }
      Map<ParamId, double[]> gradient = new LinkedHashMap<>();
      for (Piece place : shard.places()) {
        gradient.put(
            place.whole().id(),
            Tensors.segment(gradients)
                .asSlice(offsets.get(place.whole().id()) * 8, place.part().elements() * 8)
                .toArray(ValueLayout.JAVA_DOUBLE));
      }
      return new Result(loss, gradient);
    }
  }
}
