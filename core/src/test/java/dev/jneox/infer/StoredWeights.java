package dev.jneox.infer;

import dev.jneox.model.Attention;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlRows;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Function;

/**
 * Random weights of any model, large enough in their values that no part of the forward pass is
 * lost in rounding, stored as one format or another would.
 */
final class StoredWeights implements ModelWeights {
  /** How query, key and value are stored. */
  enum Fusing {
    /** One matrix in GPT-NeoX's order. */
    NEOX,
    /** One matrix, queries first; gate and up likewise. */
    IN_TURN,
    /** Three matrices. */
    APART,
    /** Three, with rotary pairs laid out in halves, as GGUF has them. */
    HALVED
  }

  /** One tensor; {@code data} is its values in the order of the expression. */
  private record Dense(TensorExpression expression, MappedTensor data, boolean mapped)
      implements StoredTensor {
    @Override
    public String type() {
      return data.dtype().name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return mapped ? Optional.of(data) : Optional.empty();
    }

    @Override
    public MappedTensor read(Arena arena) {
      if (mapped) {
        return data;
      }
      MemorySegment copy = arena.allocate(data.data().byteSize(), 64);
      return new MappedTensor(data.dtype(), copy.copyFrom(data.data()));
    }
  }

  /** A matrix that is kept as integers with scales. */
  private record Quantised(TensorExpression expression, QuantisedMatrix matrix)
      implements StoredTensor {
    @Override
    public String type() {
      return matrix.type().name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.empty();
    }

    @Override
    public MappedTensor read(Arena arena) {
      MemorySegment values = arena.allocate(4 * expression.elements(), 64);
      matrix.dequantise(values);
      return new MappedTensor(Dtype.F32, values);
    }

    @Override
    public Optional<QuantisedMatrix> quantised() {
      return Optional.of(matrix);
    }
  }

  private final ModelSpec spec;
  private final Map<ParamId, float[]> values = new LinkedHashMap<>();
  private final Map<ParamId, StoredTensor> holders = new HashMap<>();
  private final List<StoredTensor> tensors = new ArrayList<>();

  /** In fp32, in place, fused as GPT-NeoX has it. */
  static StoredWeights of(ModelSpec spec, long seed) {
    return new StoredWeights(spec, seed, Fusing.NEOX, id -> GgmlType.F32, true);
  }

  /**
   * @param types of matrices, by the first parameter they hold: F32, F16, BF16, Q8_0 or Q4_0; what
   *     is rounded to it are the values
   * @param mapped whether tensors that are not quantised are there in place
   */
  StoredWeights(
      ModelSpec spec, long seed, Fusing fusing, Function<ParamId, GgmlType> types, boolean mapped) {
    this.spec = spec;
    SplittableRandom random = new SplittableRandom(seed);
    Map<ParamId, Param> params = new LinkedHashMap<>();
    for (Param param : spec.parameters()) {
      params.put(param.id(), param);
      double deviation =
          param.isMatrix() && !param.id().part().isTable() ? 1 / Math.sqrt(param.columns()) : 0.5;
      boolean normWeight = param.id().part().isNorm() && !param.id().isBias();
      float[] drawn = new float[Math.toIntExact(param.elements())];
      for (int i = 0; i < drawn.length; i++) {
        drawn[i] = (float) (deviation * random.nextGaussian() + (normWeight ? 1 : 0));
      }
      values.put(param.id(), drawn);
    }
    for (Param param : params.values()) {
      TensorExpression expression = expression(param, params, fusing);
      if (expression.params().getFirst().equals(param)) {
        GgmlType type = expression.isMatrix() ? types.apply(param.id()) : GgmlType.F32;
        StoredTensor stored =
            type == GgmlType.Q8_0 || type == GgmlType.Q4_0
                ? new Quantised(expression, quantise(expression, type))
                : new Dense(expression, store(expression, Dtype.valueOf(type.name())), mapped);
        tensors.add(stored);
        expression.params().forEach(p -> holders.put(p.id(), stored));
      }
    }
  }

  private TensorExpression expression(Param param, Map<ParamId, Param> params, Fusing fusing) {
    ParamId id = param.id();
    List<Param> together = List.of(param);
    RowOrder order = RowOrder.CONCATENATED;
    boolean fused = fusing == Fusing.NEOX || fusing == Fusing.IN_TURN;
    if (id.part().isQueryKeyValue()) {
      Attention attention = spec.block(id.block()).attention();
      if (fused) {
        together =
            List.of(
                params.get(id.of(Part.QUERY)),
                params.get(id.of(Part.KEY)),
                params.get(id.of(Part.VALUE)));
      }
      if (fusing == Fusing.NEOX) {
        order = RowOrder.neox(attention);
      } else if (fusing == Fusing.HALVED
          && id.part() != Part.VALUE
          && attention.rotary().isPresent()
          && attention.rotary().get().dims() > 2) {
        order = new RowOrder.HalfSplit(attention.headDim(), attention.rotary().get().dims());
      }
    } else if (fusing == Fusing.IN_TURN
        && (id.part() == Part.GATE || id.part() == Part.UP)
        && params.containsKey(id.of(Part.GATE))) {
      together = List.of(params.get(id.of(Part.GATE)), params.get(id.of(Part.UP)));
    }
    return new TensorExpression(id.toString(), together, order, false);
  }

  /** A row of a tensor: its place in the values of one parameter. */
  private record Row(float[] values, int at) {}

  private List<Row> rows(TensorExpression expression) {
    List<Row> inTurn = new ArrayList<>();
    int columns = expression.columns();
    for (Param param : expression.params()) {
      for (int row = 0; row < param.rows(); row++) {
        inTurn.add(new Row(values.get(param.id()), row * columns));
      }
    }
    int[] order = expression.order().rows(expression.params()).orElse(null);
    return order == null ? inTurn : Arrays.stream(order).mapToObj(inTurn::get).toList();
  }

  private MappedTensor store(TensorExpression expression, Dtype type) {
    MemorySegment data = Arena.ofAuto().allocate(expression.elements() * type.bits() / 8, 64);
    MappedTensor stored = new MappedTensor(type, data);
    long to = 0;
    for (Row row : rows(expression)) {
      for (int i = row.at; i < row.at + expression.columns(); i++) {
        if (type == Dtype.F16) {
          data.setAtIndex(ValueLayout.JAVA_SHORT, to, Float.floatToFloat16(row.values[i]));
        } else {
          stored.write(to, row.values, i, 1);
        }
        stored.read(to++, row.values, i, 1);
      }
    }
    return stored;
  }

  /** As ggml's blocks of 32 values with one scale; rows are filled up with zeros. */
  private QuantisedMatrix quantise(TensorExpression expression, GgmlType type) {
    int columns = expression.columns();
    int blocks = Math.ceilDiv(columns, 32);
    int levels = type == GgmlType.Q8_0 ? 127 : 7;
    long blockBytes = type == GgmlType.Q8_0 ? 34 : 18;
    MemorySegment data = Arena.ofAuto().allocate(expression.rows() * blocks * blockBytes, 64);
    long to = 0;
    for (Row row : rows(expression)) {
      for (int b = 0; b < blocks; b++, to += blockBytes) {
        int[] codes = new int[32];
        int from = row.at + 32 * b;
        int n = Math.min(32, columns - 32 * b);
        float largest = 0;
        for (int i = from; i < from + n; i++) {
          largest = Math.max(largest, Math.abs(row.values[i]));
        }
        short bits = Float.floatToFloat16(largest / levels);
        float scale = Float.float16ToFloat(bits);
        for (int i = 0; i < n; i++) {
          codes[i] = Math.clamp(Math.round(row.values[from + i] / scale), -levels, levels);
          row.values[from + i] = codes[i] * scale;
        }
        data.set(ValueLayout.JAVA_SHORT_UNALIGNED, to, bits);
        for (int i = 0; i < 32; i++) {
          if (type == GgmlType.Q8_0) {
            data.set(ValueLayout.JAVA_BYTE, to + 2 + i, (byte) codes[i]);
          } else if (i < 16) {
            int pair = codes[i] + 8 | codes[i + 16] + 8 << 4;
            data.set(ValueLayout.JAVA_BYTE, to + 2 + i, (byte) pair);
          }
        }
      }
    }
    return new GgmlRows(type, expression.rows(), columns, data);
  }

  /** The values of each parameter, rounded as they are stored. */
  Map<ParamId, float[]> values() {
    return values;
  }

  @Override
  public ModelSpec spec() {
    return spec;
  }

  @Override
  public List<StoredTensor> tensors() {
    return tensors;
  }

  @Override
  public StoredTensor holder(ParamId id) {
    return holders.get(id);
  }
}
