package dev.jneox.train;

import dev.jneox.kernel.Workers;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.torch.Libtorch;
import dev.jneox.torch.Products;
import dev.jneox.torch.Tensors;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Keeps a model's parameters for training: four flat fp32 arrays of the same layout (weights,
 * gradients, and Adam's two moments) and, where the products are of bf16 or fp16 numbers, one more
 * of the weights rounded to that precision, refreshed once a step.
 *
 * <p>Each parameter is one contiguous range. Those that one product makes together lie one behind
 * the other without a gap: query, key and value of a block, gate and up, and their biases likewise.
 * Such a run of parameters starts on a 64-byte boundary; the gaps between runs hold zeros and stay
 * so.
 */
public final class Parameters implements AutoCloseable {
  private static final int ALIGN = 16;

  /**
   * Places one parameter in the flat arrays.
   *
   * @param offset first element
   */
  public record Slot(Param param, long offset) {
    public ParamId id() {
      return param.id();
    }

    /** Number of elements. */
    public long size() {
      return param.elements();
    }

    /** The element behind the last. */
    public long end() {
      return offset + size();
    }

    /** Whether weight decay applies: to matrices and tables, not to norms and biases. */
    public boolean decays() {
      return param.isMatrix();
    }
  }

  /** Consecutive parameters of one kind; {@code end} is where the next run begins. */
  record Run(long offset, long end, boolean decays) {}

  private final Arena arena = Arena.ofShared();
  private final ModelSpec spec;
  private final Map<ParamId, Slot> slots = new LinkedHashMap<>();
  private final List<Run> runs = new ArrayList<>();
  private final long length;
  private final ScalarType compute;
  private final ScalarType carrier;
  private final MemorySegment weights;
  private final MemorySegment gradients;
  private final MemorySegment firstMoments;
  private final MemorySegment secondMoments;
  private final MemorySegment rounded; // null in fp32

  /**
   * Zeros of the shapes of {@code spec}; products are of numbers of {@code compute}: Float,
   * BFloat16 or Half.
   */
  public Parameters(ModelSpec spec, ScalarType compute) {
    this(spec, compute, Products.carrier(compute));
  }

  /** The same, multiplied in memory of type {@code carrier}: {@code compute} or Float. */
  Parameters(ModelSpec spec, ScalarType compute, ScalarType carrier) {
    Libtorch.start();
    this.spec = spec;
    long at = 0;
    for (List<Param> together : together(spec)) {
      long start = at;
      for (Param param : together) {
        slots.put(param.id(), new Slot(param, at));
        at += param.elements();
      }
      at = Math.ceilDiv(at, (long) ALIGN) * ALIGN;
      runs.add(new Run(start, at, together.getFirst().isMatrix()));
    }
    length = at;
    this.compute = compute;
    this.carrier = carrier;
    weights = arena.allocate(length * 4, 64);
    gradients = arena.allocate(length * 4, 64);
    firstMoments = arena.allocate(length * 4, 64);
    secondMoments = arena.allocate(length * 4, 64);
    rounded = compute == ScalarType.Float ? null : arena.allocate(length * carrierBytes(), 64);
  }

  /** The parameters in order; those that lie without a gap in one list. */
  private static Collection<List<Param>> together(ModelSpec spec) {
    Map<ParamId, List<Param>> runs = new LinkedHashMap<>();
    for (Param param : spec.parameters()) {
      Part first =
          switch (param.id().part()) {
            case QUERY, KEY, VALUE -> Part.QUERY;
            case GATE, UP -> Part.GATE;
            case EMBEDDING,
                POSITIONS,
                ATTENTION_NORM,
                FEED_FORWARD_NORM,
                ATTENTION_OUT,
                DOWN,
                FINAL_NORM,
                HEAD ->
                param.id().part();
          };
      runs.computeIfAbsent(param.id().of(first), _ -> new ArrayList<>()).add(param);
    }
    return runs.values();
  }

  /** The model they are of. */
  public ModelSpec spec() {
    return spec;
  }

  /** Every parameter's place, in the order of the flat arrays. */
  public List<Slot> slots() {
    return List.copyOf(slots.values());
  }

  /**
   * One parameter's place.
   *
   * @throws IllegalArgumentException when the model has no such parameter
   */
  public Slot slot(ParamId id) {
    Slot slot = slots.get(id);
    if (slot == null) {
      throw new IllegalArgumentException("no parameter " + id);
    }
    return slot;
  }

  /** All elements in order, cut where weight decay may change. */
  List<Run> runs() {
    return Collections.unmodifiableList(runs);
  }

  boolean has(ParamId id) {
    return slots.containsKey(id);
  }

  /** Elements of each flat array, gaps included. */
  long length() {
    return length;
  }

  /** The precision of the products. */
  public ScalarType compute() {
    return compute;
  }

  /** The type in memory of what is multiplied: {@link #compute}, or fp32 (see {@link Products}). */
  ScalarType carrier() {
    return carrier;
  }

  int carrierBytes() {
    return carrier == ScalarType.Float ? 4 : 2;
  }

  MemorySegment weights() {
    return weights;
  }

  MemorySegment gradients() {
    return gradients;
  }

  MemorySegment firstMoments() {
    return firstMoments;
  }

  MemorySegment secondMoments() {
    return secondMoments;
  }

  /**
   * The weights rounded to the precision of the products, in memory of type {@link #carrier}; null
   * in fp32.
   */
  MemorySegment rounded() {
    return rounded;
  }

  /** A view of one parameter's fp32 weights, of its own shape; valid until {@link #close}. */
  public Tensor weight(ParamId id) {
    return view(weights, slot(id));
  }

  /** A view of one parameter's gradient. */
  public Tensor gradient(ParamId id) {
    return view(gradients, slot(id));
  }

  private static Tensor view(MemorySegment flat, Slot slot) {
    return Tensors.view(data(flat, slot), ScalarType.Float, slot.param().axes());
  }

  private static MemorySegment data(MemorySegment flat, Slot slot) {
    return flat.asSlice(slot.offset() * 4, slot.size() * 4);
  }

  /**
   * The fp32 weights of parameters that lie without a gap; null where the model has none of them.
   */
  MemorySegment weightData(ParamId... ids) {
    return has(ids[0]) ? data(weights, joined(ids)) : null;
  }

  /** The gradients of the same. */
  MemorySegment gradientData(ParamId... ids) {
    return has(ids[0]) ? data(gradients, joined(ids)) : null;
  }

  /**
   * The matrix that products use, the weights in {@link #compute}: of one parameter, or the rows of
   * several that lie without a gap.
   */
  Matrix computeMatrix(ParamId... ids) {
    Slot slot = joined(ids);
    if (rounded == null) {
      return new Matrix(view(weights, slot).retainReference());
    }
    MemorySegment place =
        rounded.asSlice(slot.offset() * carrierBytes(), slot.size() * carrierBytes());
    return new Matrix(Tensors.view(place, carrier, slot.param().axes()).retainReference(), compute);
  }

  /** One parameter's fp32 weights as a matrix. */
  Matrix weightMatrix(ParamId id) {
    return new Matrix(weight(id).retainReference());
  }

  Matrix gradientMatrix(ParamId id) {
    return new Matrix(gradient(id).retainReference());
  }

  /** The rows of parameters that lie one behind the other, as if they were one. */
  private Slot joined(ParamId... ids) {
    Slot first = slot(ids[0]);
    long end = first.end();
    int rows = first.param().rows();
    for (int i = 1; i < ids.length; i++) {
      Slot next = slot(ids[i]);
      if (next.offset() != end) {
        throw new IllegalArgumentException(ids[i] + " does not lie behind " + ids[i - 1]);
      }
      end = next.end();
      rows += next.param().rows();
    }
    Param param = first.param();
    List<Integer> shape = param.isMatrix() ? List.of(rows, param.columns()) : List.of(rows);
    return new Slot(new Param(param.id(), shape, param.split()), first.offset());
  }

  /** The weights by parameter, in place: valid until {@link #close}. */
  public ModelWeights asWeights() {
    return new Flat(weights);
  }

  /** The gradients by parameter, in place. */
  public ModelWeights asGradients() {
    return new Flat(gradients);
  }

  /** One of the flat arrays by parameter, in place. */
  ModelWeights as(MemorySegment flat) {
    return new Flat(flat);
  }

  private final class Flat implements ModelWeights {
    private final MemorySegment values;

    Flat(MemorySegment values) {
      this.values = values;
    }

    @Override
    public ModelSpec spec() {
      return spec;
    }

    @Override
    public List<StoredTensor> tensors() {
      return slots.values().stream().map(this::tensor).toList();
    }

    @Override
    public StoredTensor holder(ParamId id) {
      return tensor(slot(id));
    }

    private StoredTensor tensor(Slot slot) {
      return new InPlace(slot.param(), data(values, slot));
    }
  }

  private record InPlace(Param param, MemorySegment data) implements StoredTensor {
    @Override
    public TensorExpression expression() {
      return new TensorExpression(param.id().toString(), List.of(param), RowOrder.IN_TURN, false);
    }

    @Override
    public String type() {
      return Dtype.F32.name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.of(read(null));
    }

    @Override
    public MappedTensor read(Arena arena) {
      return new MappedTensor(Dtype.F32, data);
    }
  }

  /** Puts the values of a tensor of a file, in fp32, in their places in one of the flat arrays. */
  void scatter(TensorExpression tensor, MemorySegment values, MemorySegment flat) {
    MemorySegment into =
        data(flat, joined(tensor.params().stream().map(Param::id).toArray(ParamId[]::new)));
    int[] order = tensor.order().rows(tensor.params());
    if (order == null) {
      into.copyFrom(values);
      return;
    }
    long rowBytes = 4L * tensor.columns();
    for (int row = 0; row < order.length; row++) {
      MemorySegment.copy(values, row * rowBytes, into, order[row] * rowBytes, rowBytes);
    }
  }

  /** Takes over the values of stored weights, rounded to fp32, and rounds them for the products. */
  public void load(ModelWeights stored) {
    for (Slot slot : slots.values()) {
      try (Arena scratch = Arena.ofShared()) {
        MappedTensor values = stored.read(slot.id(), scratch);
        int columns = slot.param().columns();
        float[] row = new float[columns];
        MappedTensor into = new MappedTensor(Dtype.F32, data(weights, slot));
        for (int r = 0; r < slot.param().rows(); r++) {
          values.read((long) r * columns, row, 0, columns);
          into.write((long) r * columns, row, 0, columns);
        }
      }
    }
    refresh();
  }

  void clearGradients() {
    Workers.all()
        .forEach(
            Math.toIntExact((length + 65535) / 65536),
            (from, to, thread) ->
                gradients
                    .asSlice(
                        from * 65536L * 4, Math.min(length, to * 65536L) * 4 - from * 65536L * 4)
                    .fill((byte) 0));
  }

  /**
   * Rounds the weights to the precision of the products; after any change to them from outside the
   * optimizer.
   */
  public void refresh() {
    if (rounded == null) {
      return;
    }
    Matrix from =
        new Matrix(
            Tensors.view(weights, ScalarType.Float, length / ALIGN, ALIGN).retainReference());
    Matrix into =
        new Matrix(
            Tensors.view(rounded, carrier, length / ALIGN, ALIGN).retainReference(), compute);
    Kernels.cast(from, into);
  }

  @Override
  public void close() {
    arena.close();
  }
}
