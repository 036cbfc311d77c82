package dev.jneox.infer;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.kernel.DenseWeight;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Vectors;
import dev.jneox.kernel.Workers;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Norm;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Brings stored parameters into the form that the kernels read. */
final class WeightReader implements AutoCloseable {
  /** A matrix of which single rows are read. */
  @FunctionalInterface
  interface Rows {
    void read(int row, float[] into, int at);
  }

  /** Values converted at a time. */
  private static final int STRIP = 1 << 14;

  private final ModelWeights weights;
  private final Map<ParamId, Param> params = new HashMap<>();
  private final @Nullable Path path;
  private final Precision precision;
  private final Progress progress;
  private final Arena arena = Arena.ofShared(); // what was converted
  private final List<Arena> made = new ArrayList<>(); // what the weights made and is read as it is

  /**
   * @param path of the model, for messages; or null
   * @param progress counts the numbers of parameters that are ready
   */
  WeightReader(ModelWeights weights, @Nullable Path path, Precision precision, Progress progress) {
    this.weights = weights;
    this.path = path;
    this.precision = precision;
    this.progress = progress;
    weights.spec().parameters().forEach(param -> params.put(param.id(), param));
  }

  PackedNorm norm(ParamId weight, Norm norm) {
    return switch (norm) {
      case Norm.Layer(double eps) ->
          new PackedNorm.Layer(
              floats(alone(weight)), floats(alone(weight.as(ParamId.Kind.BIAS))), eps);
      case Norm.Rms(double eps) -> new PackedNorm.Rms(floats(alone(weight)), eps);
    };
  }

  /** A table of which single rows are read; it stays as it is stored. */
  Rows rows(ParamId table) {
    TensorExpression rows = alone(table);
    progress.step(rows.elements());
    Optional<QuantisedMatrix> quantised = weights.quantised(rows);
    if (quantised.isPresent()) {
      QuantisedMatrix matrix = quantised.get();
      return matrix::dequantise;
    }
    MappedTensor tensor = weights.read(rows, arena);
    int width = rows.columns();
    return (row, into, at) -> tensor.read((long) row * width, into, at, width);
  }

  PackedLinear linear(ParamId weight, boolean bias) {
    return new PackedLinear(
        weight(alone(weight)), bias ? floats(alone(weight.as(ParamId.Kind.BIAS))) : null);
  }

  /** The head, which may be tied. */
  PackedLinear head() {
    return new PackedLinear(
        weight(alone(weights.spec().headWeight())),
        weights.spec().head().bias() ? floats(alone(ParamId.bias(Part.HEAD))) : null);
  }

  QueryKeyValue queryKeyValue(int block, Attention attention) {
    List<TensorExpression> matrices = queryKeyValue(weights, block);
    List<PackedLinear> parts = new ArrayList<>();
    for (TensorExpression rows : matrices) {
      List<Param> biases =
          rows.params().stream().map(p -> params.get(p.id().as(ParamId.Kind.BIAS))).toList();
      parts.add(
          new PackedLinear(
              weight(rows), attention.qkvBias() ? floats(rows(biases, rows.order())) : null));
    }
    return new QueryKeyValue(parts, matrices.getFirst().order().layout(attention).orElseThrow());
  }

  /**
   * The matrices that are multiplied for query, key and value of a block: a fused one in the order
   * of rows that the file has, if heads lie in it at even distances; else each by itself.
   */
  static List<TensorExpression> queryKeyValue(ModelWeights weights, int block) {
    List<Param> apart =
        weights.spec().parameters().stream()
            .filter(p -> p.id().block() == block && p.isMatrix() && p.id().part().isQueryKeyValue())
            .toList();
    TensorExpression stored = weights.holder(apart.getFirst().id()).expression();
    Attention attention = weights.spec().block(block).attention();
    return stored.params().equals(apart) && stored.order().layout(attention).isPresent()
        ? List.of(rows(stored.params(), stored.order()))
        : apart.stream().map(WeightReader::alone).toList();
  }

  PackedFeedForward feedForward(int block, FeedForward spec) {
    PackedFeedForward.RowFunction activation = function(spec.activation());
    PackedLinear up = linear(ParamId.weight(block, Part.UP), spec.bias());
    PackedLinear down = linear(ParamId.weight(block, Part.DOWN), spec.bias());
    return switch (spec) {
      case FeedForward.Plain _ -> new PackedFeedForward.Plain(up, down, activation);
      case FeedForward.Gated _ ->
          new PackedFeedForward.Gated(
              linear(ParamId.weight(block, Part.GATE), spec.bias()), up, down, activation);
    };
  }

  private static PackedFeedForward.RowFunction function(Activation activation) {
    return switch (activation) {
      case GELU -> Vectors::gelu;
      case GELU_TANH -> Vectors::geluTanh;
      case SILU -> Vectors::silu;
    };
  }

  private TensorExpression alone(ParamId id) {
    return alone(Objects.requireNonNull(params.get(id)));
  }

  /** A parameter by itself, as it is multiplied. */
  static TensorExpression alone(Param param) {
    return rows(List.of(param), RowOrder.CONCATENATED);
  }

  private static TensorExpression rows(List<Param> params, RowOrder order) {
    return new TensorExpression("", params, order, false);
  }

  /** The values where the file has them in this order. */
  private Optional<MappedTensor> inPlace(TensorExpression rows) {
    StoredTensor holder = weights.holder(rows.first());
    TensorExpression stored = holder.expression();
    return stored.params().equals(rows.params()) && stored.order().equals(rows.order())
        ? holder.inPlace()
        : Optional.empty();
  }

  private float[] floats(TensorExpression vector) {
    progress.step(vector.elements());
    Optional<MappedTensor> inPlace = inPlace(vector);
    if (inPlace.isPresent()) {
      return inPlace.get().floats();
    }
    try (Arena own = Arena.ofShared()) {
      return weights.read(vector, own).floats();
    }
  }

  private PackedWeight weight(TensorExpression rows) {
    PackedWeight weight = pack(rows);
    progress.step(rows.elements());
    return weight;
  }

  @SuppressWarnings("MustBeClosedChecker") // in close, where its memory is used till then
  private PackedWeight pack(TensorExpression rows) {
    Optional<QuantisedMatrix> quantised = weights.quantised(rows);
    if (quantised.isPresent()) {
      return quantised(rows, quantised.get());
    }
    Optional<MappedTensor> inPlace = inPlace(rows);
    if (inPlace.isPresent()) {
      return dense(rows, converted(rows, inPlace.get()));
    }
    Arena own = Arena.ofShared();
    made.add(own);
    MappedTensor stored = weights.read(rows, own);
    MappedTensor converted = converted(rows, stored);
    if (converted != stored) {
      made.removeLast();
      own.close();
    }
    return dense(rows, converted);
  }

  /** The values in the type they are multiplied in; the same object where they are in it. */
  private MappedTensor converted(TensorExpression rows, MappedTensor stored) {
    boolean bf16 =
        precision == Precision.BF16
            || precision == Precision.STORED && stored.dtype() == Dtype.BF16;
    if (stored.dtype() == (bf16 ? Dtype.BF16 : Dtype.F32)) {
      return stored;
    }
    MappedTensor into = plain(bf16, rows.elements());
    float[] strip = new float[STRIP];
    for (long at = 0; at < stored.size(); at += STRIP) {
      int n = (int) Math.min(STRIP, stored.size() - at);
      stored.read(at, strip, 0, n);
      into.write(at, strip, 0, n);
    }
    return into;
  }

  private static PackedWeight dense(TensorExpression rows, MappedTensor tensor) {
    DenseWeight.Type type =
        tensor.dtype() == Dtype.BF16 ? DenseWeight.Type.BF16 : DenseWeight.Type.F32;
    return new DenseWeight(rows.rows(), rows.columns(), type, tensor.data());
  }

  private MappedTensor plain(boolean bf16, long elements) {
    Dtype dtype = bf16 ? Dtype.BF16 : Dtype.F32;
    return new MappedTensor(dtype, arena.allocate(dtype.bits() / 8 * elements, 64));
  }

  /** In the layout of its kernel; where another type was asked for, dequantised to that. */
  private PackedWeight quantised(TensorExpression rows, QuantisedMatrix stored) {
    if (precision == Precision.STORED) {
      try {
        return stored.weight(arena);
      } catch (IllegalArgumentException e) {
        throw broken(rows, String.valueOf(e.getMessage()));
      }
    }
    int in = stored.in();
    MappedTensor into = plain(precision == Precision.BF16, (long) stored.out() * in);
    Workers.all()
        .forEach(
            stored.out(),
            (from, to, thread) -> {
              float[] row = new float[in];
              for (int r = from; r < to; r++) {
                stored.dequantise(r, row, 0);
                into.write((long) r * in, row, 0, in);
              }
            });
    return dense(rows, into);
  }

  /** The error for a tensor whose numbers cannot be used. */
  private InputException broken(TensorExpression rows, String found) {
    String tensor = "tensor \"" + weights.holder(rows.first()).expression().name() + '"';
    return path == null
        ? new InputException(tensor + ": expected finite numbers, found " + found)
        : InputException.in(path, tensor, "finite numbers", found);
  }

  /** Tells apart models whose keys and values differ; see {@link ModelFingerprint}. */
  byte[] fingerprint() {
    return ModelFingerprint.of(weights, precision);
  }

  /** Checks that the files under the weights were not changed. */
  void check() {
    weights.check();
  }

  /** Frees what was converted or made; nothing that was read here may be used again. */
  @Override
  public void close() {
    made.forEach(Arena::close);
    arena.close();
  }
}
