package dev.jneox.train;

import dev.jneox.kernel.Workers;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.torch.Device;
import dev.jneox.torch.FlatTensor;
import dev.jneox.torch.Libtorch;
import dev.jneox.torch.Matrix;
import dev.jneox.torch.Products;
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
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/**
 * Keeps a model's parameters for training: four flat fp32 arrays of the same layout (weights,
 * gradients, and Adam's two moments) and, where the products are of bf16 or fp16 numbers, one more
 * of the weights rounded to that precision, refreshed once a step.
 *
 * <p>Each parameter is one contiguous range. Those that one product makes together lie one behind
 * the other without a gap: query, key and value of a block, gate and up, and their biases likewise.
 * Such a run of parameters starts on a 64-byte boundary; the gaps between runs hold zeros and stay
 * so.
 *
 * <p>For the CPU the arrays are host memory, which {@link CpuStep} and {@link AdamW} read and write
 * in place. On any other device each is one tensor there, which only libtorch computes with, and
 * parts of it are copied to host memory and back.
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
  private final Dtype compute;
  private final Dtype carrier;
  private final Device device;
  private final boolean onHost;
  private final Flat weights;
  private final Flat gradients;
  private final Flat firstMoments;
  private final Flat secondMoments;
  private final MemorySegment rounded; // null in fp32, and on a device

  /**
   * Zeros of the shapes of {@code spec}, for the CPU; products are of numbers of {@code compute}:
   * F32, BF16 or F16.
   */
  public Parameters(ModelSpec spec, Dtype compute) {
    this(spec, compute, Device.CPU);
  }

  /** The same for any device. */
  public Parameters(ModelSpec spec, Dtype compute, Device device) {
    this(spec, compute, Products.carrier(compute, device), device, device.isCpu());
  }

  /**
   * The same, multiplied in memory of type {@code carrier}: {@code compute} or F32.
   *
   * @param onHost whether the arrays are for the CPU's own step; false takes the way of the other
   *     devices on the CPU, too
   */
  Parameters(ModelSpec spec, Dtype compute, Dtype carrier, Device device, boolean onHost) {
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
    this.device = device;
    this.onHost = onHost;
    weights = new Flat();
    gradients = new Flat();
    firstMoments = new Flat();
    secondMoments = new Flat();
    rounded = compute == Dtype.F32 || !onHost ? null : arena.allocate(length * carrierBytes(), 64);
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
  public Dtype compute() {
    return compute;
  }

  /** The type in memory of what is multiplied: {@link #compute}, or fp32 (see {@link Products}). */
  Dtype carrier() {
    return carrier;
  }

  int carrierBytes() {
    return carrier == Dtype.F32 ? 4 : 2;
  }

  /** What computes with them. */
  public Device device() {
    return device;
  }

  /** Whether the arrays are host memory, for the CPU's own step and optimizer. */
  boolean onHost() {
    return onHost;
  }

  /** The weights by parameter, as they are now: valid until {@link #close}. */
  public Flat weights() {
    return weights;
  }

  /** The gradients by parameter. */
  public Flat gradients() {
    return gradients;
  }

  Flat firstMoments() {
    return firstMoments;
  }

  Flat secondMoments() {
    return secondMoments;
  }

  /**
   * The weights rounded to the precision of the products, in memory of type {@link #carrier}; null
   * in fp32, and on a device.
   */
  MemorySegment rounded() {
    return rounded;
  }

  /**
   * The fp32 weights of parameters that lie without a gap; null where the model has none of them.
   */
  MemorySegment weightData(ParamId... ids) {
    return has(ids[0]) ? weights.data(joined(ids)) : null;
  }

  /** The gradients of the same. */
  MemorySegment gradientData(ParamId... ids) {
    return has(ids[0]) ? gradients.data(joined(ids)) : null;
  }

  /**
   * The matrix that products use, the weights in {@link #compute}: of one parameter, or the rows of
   * several that lie without a gap.
   */
  Matrix computeMatrix(ParamId... ids) {
    Slot slot = joined(ids);
    if (rounded == null) {
      return matrix(weights.data(slot), Dtype.F32, Dtype.F32, slot);
    }
    MemorySegment place =
        rounded.asSlice(slot.offset() * carrierBytes(), slot.size() * carrierBytes());
    return matrix(place, compute, carrier, slot);
  }

  /** One parameter's fp32 weights as a matrix. */
  Matrix weightMatrix(ParamId id) {
    return matrix(weights.data(slot(id)), Dtype.F32, Dtype.F32, slot(id));
  }

  Matrix gradientMatrix(ParamId id) {
    return matrix(gradients.data(slot(id)), Dtype.F32, Dtype.F32, slot(id));
  }

  private static Matrix matrix(MemorySegment place, Dtype dtype, Dtype carrier, Slot slot) {
    return Matrix.over(place, dtype, carrier, slot.param().rows(), slot.param().columns());
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

  /** One of the flat arrays, read by parameter: in place in host memory, else copied. */
  public final class Flat implements ModelWeights {
    private final MemorySegment memory; // null on a device
    private final FlatTensor tensor;

    private Flat() {
      memory = onHost ? arena.allocate(length * 4, 64) : null;
      tensor = onHost ? FlatTensor.over(memory) : FlatTensor.zeros(device, length);
    }

    /** All elements in order, where they are host memory. */
    MemorySegment memory() {
      if (memory == null) {
        throw new IllegalStateException("the parameters are on " + device);
      }
      return memory;
    }

    /** All elements in order, for libtorch. */
    FlatTensor tensor() {
      return tensor;
    }

    /** The elements of a slot, where they are host memory. */
    private MemorySegment data(Slot slot) {
      return memory().asSlice(slot.offset() * 4, slot.size() * 4);
    }

    /**
     * Has the values of parameters that lie without a gap written.
     *
     * @param writer gets memory of their size, which it fills
     */
    void write(List<Param> params, Consumer<MemorySegment> writer) {
      Slot slot = joined(params.stream().map(Param::id).toArray(ParamId[]::new));
      if (onHost) {
        writer.accept(data(slot));
        return;
      }
      try (Arena staging = Arena.ofShared()) {
        MemorySegment values = staging.allocate(slot.size() * 4, 64);
        writer.accept(values);
        tensor.write(slot.offset(), values);
      }
    }

    /** Puts the values of a tensor of a file, in fp32, in their places. */
    void scatter(TensorExpression from, MemorySegment values) {
      int[] order = from.order().rows(from.params()).orElse(null);
      long rowBytes = 4L * from.columns();
      write(
          from.params(),
          into -> {
            if (order == null) {
              into.copyFrom(values);
              return;
            }
            for (int row = 0; row < order.length; row++) {
              MemorySegment.copy(values, row * rowBytes, into, order[row] * rowBytes, rowBytes);
            }
          });
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
      return new FlatParam(this, slot);
    }
  }

  private record FlatParam(Flat flat, Slot slot) implements StoredTensor {
    @Override
    public TensorExpression expression() {
      Param param = slot.param();
      return new TensorExpression(
          param.id().toString(), List.of(param), RowOrder.CONCATENATED, false);
    }

    @Override
    public String type() {
      return Dtype.F32.name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return flat.memory == null
          ? Optional.empty()
          : Optional.of(new MappedTensor(Dtype.F32, flat.data(slot)));
    }

    @Override
    public MappedTensor read(Arena arena) {
      return inPlace()
          .orElseGet(
              () -> {
                MemorySegment copy = arena.allocate(slot.size() * 4, 64);
                flat.tensor.read(slot.offset(), copy);
                return new MappedTensor(Dtype.F32, copy);
              });
    }
  }

  /** Takes over the values of stored weights, rounded to fp32, and rounds them for the products. */
  public void load(ModelWeights stored) {
    load(stored, spec.vocabulary().rows(), (_, _) -> {});
  }

  /**
   * The same of a model whose vocabulary has another size.
   *
   * @param known ids whose rows of embedding and head are taken
   * @param rest gets each tensor that has a row for every id, to fill the rows from {@code known}
   *     on
   */
  void load(ModelWeights stored, int known, BiConsumer<Param, MappedTensor> rest) {
    for (Slot slot : slots.values()) {
      try (Arena scratch = Arena.ofShared()) {
        MappedTensor values = stored.read(slot.id(), scratch);
        weights.write(
            List.of(slot.param()),
            data -> {
              int columns = slot.param().columns();
              float[] row = new float[columns];
              MappedTensor into = new MappedTensor(Dtype.F32, data);
              int rows = hasRowPerId(slot.param()) ? known : slot.param().rows();
              for (int r = 0; r < rows; r++) {
                values.read((long) r * columns, row, 0, columns);
                into.write((long) r * columns, row, 0, columns);
              }
              if (rows < slot.param().rows()) {
                rest.accept(slot.param(), into);
              }
            });
      }
    }
    refresh();
  }

  private static boolean hasRowPerId(Param param) {
    return param.id().part() == Part.EMBEDDING || param.id().part() == Part.HEAD;
  }

  void clearGradients() {
    if (!onHost) {
      gradients.tensor().clear();
      return;
    }
    Workers.all()
        .forEach(
            Math.toIntExact((length + 65535) / 65536),
            (from, to, thread) ->
                gradients
                    .memory()
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
    long rows = length / ALIGN;
    Matrix from = Matrix.over(weights.memory(), Dtype.F32, Dtype.F32, rows, ALIGN);
    Matrix into = Matrix.over(rounded, compute, carrier, rows, ALIGN);
    Kernels.cast(from, into);
  }

  @Override
  public void close() {
    for (Flat flat : List.of(weights, gradients, firstMoments, secondMoments)) {
      flat.tensor.close();
    }
    arena.close();
  }
}
