package dev.jneox.weights;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Q4Weight;
import dev.jneox.kernel.Q8Weight;
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
import dev.jneox.model.Vocabulary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Tag;
import org.jspecify.annotations.NullUnmarked;

/** Reads any arrangement of parameters from any other, against a gather of single values. */
@NullUnmarked // a test fails by itself where a value is absent
@Tag("slow")
class RowGatherTest {
  private static final Dtype[] TYPES = {Dtype.F32, Dtype.BF16, Dtype.F16, Dtype.F64};

  /** A row of a parameter. */
  private record Row(Param param, int row) {}

  /** The rows of a tensor, as the words of {@link RowOrder} say it. */
  private static List<Row> rows(TensorExpression tensor) {
    List<Row> rows = new ArrayList<>();
    switch (tensor.order()) {
      case RowOrder.Concatenated() -> {
        for (Param param : tensor.params()) {
          for (int row = 0; row < param.rows(); row++) {
            rows.add(new Row(param, row));
          }
        }
      }
      case RowOrder.ByHead(int d) -> {
        for (int head = 0; head < tensor.params().getFirst().rows() / d; head++) {
          for (Param param : tensor.params()) {
            for (int i = 0; i < d; i++) {
              rows.add(new Row(param, head * d + i));
            }
          }
        }
      }
      case RowOrder.HalfSplit(int d, int dims) -> {
        for (Param param : tensor.params()) {
          int turned = param.id().part() == Part.VALUE ? 0 : dims;
          for (int head = 0; head < param.rows() / d; head++) {
            for (int second = 0; second < 2; second++) {
              for (int pair = 0; pair < turned / 2; pair++) {
                rows.add(new Row(param, head * d + 2 * pair + second));
              }
            }
            for (int i = turned; i < d; i++) {
              rows.add(new Row(param, head * d + i));
            }
          }
        }
      }
    }
    return rows;
  }

  private static ModelSpec spec(Random random) {
    Norm norm = random.nextBoolean() ? new Norm.Layer(1e-5) : new Norm.Rms(1e-5);
    int kvHeads = 1 + random.nextInt(3);
    int headDim = 2 + random.nextInt(7);
    int width = random.nextBoolean() ? 32 + random.nextInt(40) : 1 + random.nextInt(9);
    return ModelSpec.of(
        Vocabulary.of(1 + random.nextInt(40), 0),
        width,
        new Embedding(random.nextBoolean()),
        1,
        new BlockSpec(
            new Residual.Serial(norm, norm),
            Attention.of(kvHeads * (1 + random.nextInt(2)), headDim, new Position.None())
                .withKvHeads(kvHeads)
                .withBiases(random.nextBoolean(), random.nextBoolean()),
            new FeedForward.Gated(1 + random.nextInt(50), Activation.SILU, random.nextBoolean())),
        new Head(random.nextBoolean(), random.nextBoolean()),
        5);
  }

  /** Parameters in groups whose rows are equally long, each group in an order that it can have. */
  private static List<TensorExpression> arranged(ModelSpec spec, Random random) {
    List<Param> left = new ArrayList<>(spec.parameters());
    Collections.shuffle(left, random);
    List<TensorExpression> all = new ArrayList<>();
    while (!left.isEmpty()) {
      Param first = left.removeFirst();
      List<Param> group = new ArrayList<>(List.of(first));
      RowOrder order = RowOrder.CONCATENATED;
      if (first.id().part().isQueryKeyValue() && random.nextInt(4) > 0) {
        // All three, as formats have them.
        List<Param> three =
            spec.parameters().stream()
                .filter(
                    param ->
                        param.id().part().isQueryKeyValue()
                            && param.id().kind() == first.id().kind())
                .toList();
        if (left.containsAll(three.stream().filter(param -> !param.equals(first)).toList())) {
          group = new ArrayList<>(three);
          left.removeAll(three);
          if (random.nextInt(4) == 0) {
            Collections.shuffle(group, random);
          }
        }
      } else {
        for (Param other : List.copyOf(left)) {
          if (other.columns() == first.columns()
              && other.isMatrix() == first.isMatrix()
              && random.nextInt(6) == 0) {
            group.add(other);
            left.remove(other);
          }
        }
      }
      Attention attention = spec.first().attention();
      int d = attention.headDim();
      if (group.stream().allMatch(param -> param.id().part().isQueryKeyValue())) {
        boolean alike = group.stream().map(Param::rows).distinct().count() == 1;
        order =
            switch (random.nextInt(3)) {
              case 0 -> RowOrder.CONCATENATED;
              case 1 -> alike && group.size() == 3 ? new RowOrder.ByHead(d) : RowOrder.CONCATENATED;
              default -> new RowOrder.HalfSplit(d, 2 + random.nextInt(d / 2) * 2);
            };
      }
      all.add(new TensorExpression("t" + all.size(), group, order, random.nextBoolean()));
    }
    return all;
  }

  /** A tensor whose rows were gathered one by one. */
  private record Held(
      TensorExpression expression, MappedTensor values, Optional<QuantisedMatrix> quantised)
      implements StoredTensor {
    @Override
    public String type() {
      return values.dtype().name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.of(values);
    }

    @Override
    public MappedTensor read(Arena arena) {
      return values;
    }
  }

  private record Arranged(ModelSpec spec, List<StoredTensor> tensors) implements ModelWeights {}

  private static float[] row(RandomWeights weights, Row row, Dtype dtype) {
    int columns = row.param().columns();
    float[] values = new float[columns];
    weights.values(row.param().id()).read((long) row.row() * columns, values, 0, columns);
    return Rounded.to(dtype, values);
  }

  private static MappedTensor dense(RandomWeights weights, TensorExpression tensor, Dtype dtype) {
    MappedTensor values =
        new MappedTensor(dtype, Arena.ofAuto().allocate(tensor.elements() * dtype.bits() / 8, 64));
    List<Row> rows = rows(tensor);
    for (int r = 0; r < rows.size(); r++) {
      values.write(
          (long) r * tensor.columns(), row(weights, rows.get(r), dtype), 0, tensor.columns());
    }
    return values;
  }

  @Property(tries = 600)
  void everyArrangementIsReadFromEveryOther(@ForAll long seed) {
    Random random = new Random(seed);
    ModelSpec spec = spec(random);
    RandomWeights weights = new RandomWeights(spec, seed);
    boolean mixed = random.nextBoolean();
    Dtype one = TYPES[random.nextInt(TYPES.length)];
    Map<ParamId, Held> holders = new HashMap<>();
    List<StoredTensor> tensors = new ArrayList<>();
    for (TensorExpression tensor : arranged(spec, random)) {
      Dtype dtype = mixed ? TYPES[random.nextInt(TYPES.length)] : one;
      Held held = new Held(tensor, dense(weights, tensor, dtype), Optional.empty());
      tensors.add(held);
      tensor.params().forEach(param -> holders.put(param.id(), held));
    }
    ModelWeights stored = new Arranged(spec, tensors);
    try (Arena arena = Arena.ofShared()) {
      for (TensorExpression wanted : arranged(spec, random)) {
        List<Dtype> types =
            wanted.params().stream()
                .map(param -> holders.get(param.id()).values().dtype())
                .distinct()
                .toList();
        MappedTensor found = stored.read(wanted, arena);
        assertThat(found.dtype())
            .as(wanted.toString())
            .isEqualTo(types.size() == 1 ? types.getFirst() : Dtype.F32);
        assertThat(found.floats())
            .as(wanted.toString())
            .isEqualTo(expected(weights, holders, wanted));
      }
      for (Param param : spec.parameters()) {
        Dtype dtype = holders.get(param.id()).values().dtype();
        assertThat(stored.read(param.id(), arena).floats())
            .isEqualTo(Rounded.to(dtype, weights.floats(param.id())));
      }
    }
  }

  /** As a file with that expression has them. */
  private static float[] expected(
      RandomWeights weights, Map<ParamId, Held> holders, TensorExpression wanted) {
    List<Row> rows = rows(wanted);
    float[] values = new float[Math.toIntExact(wanted.elements())];
    boolean transposed = wanted.transposed() && wanted.isMatrix();
    for (int r = 0; r < rows.size(); r++) {
      Row source = rows.get(r);
      float[] row = row(weights, source, holders.get(source.param().id()).values().dtype());
      for (int c = 0; c < row.length; c++) {
        values[transposed ? c * rows.size() + r : r * row.length + c] = row[c];
      }
    }
    return values;
  }

  /** Nothing is copied where the rows lie together as they are wanted. */
  @Property(tries = 100)
  void rowsThatFollowOneAnotherAreReadInPlace(@ForAll long seed) {
    Random random = new Random(seed);
    ModelSpec spec = spec(random);
    RandomWeights weights = new RandomWeights(spec, seed);
    List<StoredTensor> tensors = new ArrayList<>();
    for (TensorExpression tensor :
        CanonicalNames.tensors(
            spec,
            CanonicalNames::name,
            query -> Optional.of(RowOrder.CONCATENATED),
            id -> random.nextBoolean())) {
      tensors.add(new Held(tensor, dense(weights, tensor, Dtype.BF16), Optional.empty()));
    }
    ModelWeights stored = new Arranged(spec, tensors);
    try (Arena arena = Arena.ofShared()) {
      for (Param param : spec.parameters()) {
        MappedTensor whole = stored.holder(param.id()).inPlace().orElseThrow();
        MemorySegment found = stored.read(param.id(), arena).data();
        long at = found.address() - whole.data().address();
        assertThat(at).isBetween(0L, whole.data().byteSize() - found.byteSize());
      }
    }
  }

  private static final List<GgmlType> QUANTISED =
      List.of(GgmlType.Q4_0, GgmlType.Q8_0, GgmlType.Q4_0);

  /** Blocks of the rows of a tensor, one after the other. */
  private static GgmlRows blocks(RandomWeights weights, TensorExpression tensor, GgmlType type) {
    List<Row> rows = rows(tensor);
    long rowBytes = type.rowBytes(tensor.columns());
    MemorySegment data = Arena.ofAuto().allocate(rows.size() * rowBytes, 64);
    for (int r = 0; r < rows.size(); r++) {
      float[] row = row(weights, rows.get(r), Dtype.F32);
      float[] padded = Arrays.copyOf(row, Math.ceilDiv(row.length, 32) * 32);
      GgmlBlocks.quantise(
          type, MemorySegment.ofArray(padded), data.asSlice(r * rowBytes, rowBytes));
    }
    return new GgmlRows(type, rows.size(), tensor.columns(), data);
  }

  @Property(tries = 300)
  void quantisedRowsAreGatheredAsTheyAre(@ForAll long seed) {
    Random random = new Random(seed);
    ModelSpec spec = spec(random);
    RandomWeights weights = new RandomWeights(spec, seed);
    GgmlType one = QUANTISED.get(random.nextInt(2));
    boolean mixed = random.nextInt(3) == 0;
    Map<ParamId, Optional<GgmlType>> types = new HashMap<>();
    List<StoredTensor> tensors = new ArrayList<>();
    for (TensorExpression tensor : arranged(spec, random)) {
      boolean dense = !tensor.isMatrix() || random.nextInt(8) == 0;
      GgmlType type = mixed ? QUANTISED.get(random.nextInt(2)) : one;
      Optional<GgmlType> as = dense ? Optional.empty() : Optional.of(type);
      tensors.add(
          new Held(
              tensor,
              dense(weights, tensor, Dtype.F32),
              as.map(quantised -> blocks(weights, tensor, quantised))));
      tensor.params().forEach(param -> types.put(param.id(), as));
    }
    ModelWeights stored = new Arranged(spec, tensors);
    try (Arena arena = Arena.ofShared()) {
      for (TensorExpression wanted : arranged(spec, random)) {
        List<Optional<GgmlType>> of =
            wanted.params().stream().map(param -> types.get(param.id())).distinct().toList();
        Optional<QuantisedMatrix> found = stored.quantised(wanted);
        if (of.size() > 1 || of.getFirst().isEmpty()) {
          assertThat(found).as(wanted.toString()).isEmpty();
          continue;
        }
        GgmlRows expected = blocks(weights, wanted, of.getFirst().get());
        same(found.orElseThrow(), expected, arena);
      }
    }
  }

  private static void same(QuantisedMatrix found, GgmlRows expected, Arena arena) {
    assertThat(found.type()).isEqualTo(expected.type());
    assertThat(found.out()).isEqualTo(expected.out());
    assertThat(found.in()).isEqualTo(expected.in());
    MemorySegment blocks = arena.allocate(expected.data().byteSize(), 64);
    float[] row = new float[expected.in()];
    float[] theirs = new float[expected.in()];
    for (int r = 0; r < expected.out(); r++) {
      found.blocks(r, blocks, r * expected.rowBytes());
      found.dequantise(r, row, 0);
      expected.dequantise(r, theirs, 0);
      assertThat(row).isEqualTo(theirs);
    }
    assertThat(blocks.mismatch(expected.data())).isEqualTo(-1);
    long bytes = (long) expected.out() * expected.in() * Float.BYTES;
    MemorySegment all = arena.allocate(bytes, 64);
    MemorySegment others = arena.allocate(bytes, 64);
    found.dequantise(all);
    expected.dequantise(others);
    assertThat(all.mismatch(others)).isEqualTo(-1);
    assertThat(data(found.weight(arena)).mismatch(data(expected.weight(arena)))).isEqualTo(-1);
  }

  private static MemorySegment data(PackedWeight weight) {
    return weight instanceof Q4Weight q4 ? q4.data() : ((Q8Weight) weight).data();
  }
}
