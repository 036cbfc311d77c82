package dev.jneox.format.neox;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Split;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.Rounded;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** Divides tensors and merges them, against loops over single values. */
class ShardsTest {
  private static final Dtype[] TYPES = {Dtype.F32, Dtype.BF16, Dtype.F16, Dtype.F64};

  /** A model that {@code ranks} can share, with parameters of every way to be divided. */
  private static ModelSpec spec(Random random, int ranks) {
    Norm norm = random.nextBoolean() ? new Norm.Layer(1e-5) : new Norm.Rms(1e-5);
    int kvHeads = ranks * (1 + random.nextInt(2));
    return ModelSpec.of(
        Vocabulary.of(ranks * (1 + random.nextInt(9)), 0),
        1 + random.nextInt(9),
        new Embedding(true),
        1,
        new BlockSpec(
            random.nextBoolean()
                ? new Residual.Serial(norm, norm)
                : new Residual.Parallel(norm, norm),
            Attention.of(
                    kvHeads * (1 + random.nextInt(2)), 1 + random.nextInt(5), new Position.None())
                .withKvHeads(kvHeads),
            random.nextBoolean()
                ? new FeedForward.Gated(ranks * (1 + random.nextInt(7)), Activation.SILU, true)
                : new FeedForward.Plain(ranks * (1 + random.nextInt(7)), Activation.GELU, true)),
        new Head(false, true),
        5);
  }

  /** The tensors as GPT-NeoX has them, and each parameter by itself. */
  private static List<TensorExpression> tensors(ModelSpec spec) {
    List<TensorExpression> all = new ArrayList<>();
    new NeoxNames(spec, true).places().forEach(place -> all.add(place.tensor()));
    spec.parameters().forEach(param -> all.add(TensorExpression.of("one", param)));
    return all;
  }

  private static MappedTensor random(long size, Dtype dtype, Random random) {
    MappedTensor values =
        new MappedTensor(dtype, Arena.ofAuto().allocate(size * dtype.bits() / 8, 64));
    for (long i = 0; i < size; i++) {
      values.set(i, random.nextGaussian() * Math.pow(2, random.nextInt(-24, 8)));
    }
    return values;
  }

  /** Where the values of a rank are in the whole, in its order. */
  private static List<Long> places(TensorExpression tensor, int rank, int ranks) {
    List<Long> places = new ArrayList<>();
    long columns = tensor.columns();
    switch (tensor.params().getFirst().split().axis()) {
      case NONE, SUM -> {
        for (long i = 0; i < tensor.elements(); i++) {
          places.add(i);
        }
      }
      case COLUMNS -> {
        for (long i = 0; i < tensor.elements(); i++) {
          if (i % columns / (columns / ranks) == rank) {
            places.add(i);
          }
        }
      }
      case ROWS -> {
        boolean perHead = tensor.order() instanceof RowOrder.ByHead;
        long first = 0;
        for (Param param : tensor.params()) {
          long rows = perHead ? tensor.rows() : param.rows();
          for (long row = 0; row < rows; row++) {
            for (long c = 0; row / (rows / ranks) == rank && c < columns; c++) {
              places.add((first + row) * columns + c);
            }
          }
          first += rows;
          if (perHead) {
            break;
          }
        }
      }
    }
    return places;
  }

  @Property(tries = 300)
  void partsAreTheRanksOwnAndMakeTheWhole(
      @ForAll long seed, @ForAll @IntRange(min = 1, max = 4) int ranks) {
    Random random = new Random(seed);
    ModelSpec spec = spec(random, ranks);
    Dtype dtype = TYPES[random.nextInt(TYPES.length)];
    try (Arena arena = Arena.ofShared()) {
      for (TensorExpression tensor : tensors(spec)) {
        MappedTensor whole = random(tensor.elements(), dtype, random);
        boolean summed = tensor.params().getFirst().split().axis() == Split.Axis.SUM;
        long[] shape = Shards.shape(tensor, ranks);
        List<MappedTensor> parts = new ArrayList<>();
        for (int rank = 0; rank < ranks; rank++) {
          MappedTensor part = Shards.part(tensor, whole, rank, ranks, arena);
          List<Long> places = places(tensor, rank, ranks);
          assertThat(part.dtype()).isEqualTo(dtype);
          assertThat(part.size()).as(tensor.toString()).isEqualTo(places.size());
          assertThat(Arrays.stream(shape).reduce(1, (a, b) -> a * b)).isEqualTo(part.size());
          for (int i = 0; !summed && i < places.size(); i++) {
            assertThat(part.value(i)).as(tensor.toString()).isEqualTo(whole.value(places.get(i)));
          }
          parts.add(part);
        }
        RandomWeights.assertSame(tensor.toString(), Shards.merged(tensor, parts, arena), whole);
      }
    }
  }

  private static double rounded(Dtype dtype, double value) {
    return dtype == Dtype.F64 ? value : Rounded.to(dtype, (float) value);
  }

  /** Sums of biases and means of norms, rounded to the stored type after every operation. */
  @Property(tries = 300)
  void sumsAndMeansAreTakenInTheStoredType(
      @ForAll long seed, @ForAll @IntRange(min = 2, max = 4) int ranks) {
    Random random = new Random(seed);
    ModelSpec spec = ModelSpec.neox(ranks, 8 * ranks, 1, ranks, 4);
    Dtype dtype = TYPES[random.nextInt(TYPES.length)];
    for (ParamId id :
        List.of(
            ParamId.bias(0, Part.DOWN),
            ParamId.bias(0, Part.ATTENTION_OUT),
            ParamId.weight(0, Part.ATTENTION_NORM),
            ParamId.bias(Part.FINAL_NORM))) {
      TensorExpression tensor =
          TensorExpression.of(
              "one",
              spec.parameters().stream().filter(p -> p.id().equals(id)).findFirst().orElseThrow());
      List<MappedTensor> parts = new ArrayList<>();
      for (int rank = 0; rank < ranks; rank++) {
        parts.add(random(tensor.elements(), dtype, random));
      }
      try (Arena arena = Arena.ofShared()) {
        MappedTensor whole = Shards.merged(tensor, parts, arena);
        for (long i = 0; i < tensor.elements(); i++) {
          double sum = parts.getFirst().value(i);
          for (MappedTensor part : parts.subList(1, ranks)) {
            sum = rounded(dtype, sum + part.value(i));
          }
          assertThat(whole.value(i))
              .as(id.toString())
              .isEqualTo(id.part().isNorm() ? rounded(dtype, sum / ranks) : sum);
        }
      }
    }
  }

  /** The ranks' own where they are equal: nothing is added and rounded. */
  @Test
  void equalNormsStayWhatTheyAre() {
    ModelSpec spec = ModelSpec.neox(3, 8, 1, 1, 4);
    TensorExpression norm =
        TensorExpression.of(
            "norm",
            spec.parameters().stream()
                .filter(p -> p.id().equals(ParamId.weight(Part.FINAL_NORM)))
                .findFirst()
                .orElseThrow());
    MappedTensor largest = random(8, Dtype.F16, new Random(1));
    largest.set(3, 65504);
    MappedTensor other = random(8, Dtype.F16, new Random(1));
    other.set(3, 65504);
    largest.set(5, 0.0);
    other.set(5, -0.0);
    try (Arena arena = Arena.ofShared()) {
      assertThat(Shards.merged(norm, List.of(largest, other, other), arena)).isSameAs(largest);
    }
  }

  @Test
  void whatCannotBeDividedInWholeHeadsHasNoShape() {
    ModelSpec two =
        ModelSpec.neox(6, 48, 1, 6, 4)
            .mapBlocks(block -> block.withAttention(block.attention().withKvHeads(2)));
    for (TensorExpression tensor : tensors(two)) {
      Part part = tensor.first().part();
      // Keys are 16 rows of two heads: four ranks would have half a head each.
      boolean divides =
          switch (part) {
            case QUERY, KEY, VALUE, EMBEDDING, HEAD -> false;
            case ATTENTION_OUT -> tensor.first().isBias();
            default -> true;
          };
      assertThat(Shards.shape(tensor, 4) != null).as(tensor.toString()).isEqualTo(divides);
      assertThat(Shards.shape(tensor, 2)).as(tensor.toString()).isNotNull();
    }
    ModelSpec six = ModelSpec.neox(6, 48, 1, 6, 4);
    for (TensorExpression tensor : tensors(six)) {
      assertThat(Shards.shape(tensor, 3)).as(tensor.toString()).isNotNull();
      boolean fused = tensor.params().size() == 3;
      if (fused) {
        // 144 rows are divisible by 4 and by 9; six heads are not.
        assertThat(Shards.shape(tensor, 4)).isNull();
        assertThat(Shards.shape(tensor, 9)).isNull();
      }
    }
  }
}
