package dev.jneox.train;

import dev.jneox.dist.Buckets;
import dev.jneox.dist.Buckets.Bucket;
import dev.jneox.dist.Piece;
import dev.jneox.dist.Shard;
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
import org.jspecify.annotations.Nullable;

/**
 * Keeps the parameters of a model, or of the part that one rank has of it, for training: four flat
 * fp32 arrays of the same layout (weights, gradients, and Adam's two moments) and, where the
 * products are of bf16 or fp16 numbers, one more of the weights rounded to that precision,
 * refreshed once a step.
 *
 * <p>Each parameter is one contiguous range. Those that one product computes together are adjacent:
 * query, key and value of a block, gate and up, and their biases likewise. Such a run of parameters
 * starts on a 64-byte boundary; the gaps between runs hold zeros and stay zero.
 *
 * <p>For the CPU the arrays are host memory, which {@link CpuStep} and {@link AdamW} read and write
 * in place. On any other device each array is one tensor of libtorch, and parts of it are copied to
 * host memory and back.
 */
public final class Parameters implements AutoCloseable {
  private static final int ALIGN = 16;

  /**
   * States where one parameter is in the flat arrays.
   *
   * @param param of the shape that this rank has
   * @param offset its first element
   */
  public record Slot(Param param, long offset) {
    /** Returns the parameter's id. */
    public ParamId id() {
      return param.id();
    }

    /** Returns the number of elements. */
    public long size() {
      return param.elements();
    }

    /** Returns the element after the last. */
    public long end() {
      return offset + size();
    }

    /** Returns whether weight decay applies: to matrices and tables, not to norms and biases. */
    public boolean decays() {
      return param.isMatrix();
    }
  }

  /**
   * Consecutive parameters of one kind; {@code end} is where the next run begins.
   *
   * @param owned whether they count here, where each value of the model counts once
   * @param part 0 for the embedding, then the blocks, then final norm and head
   */
  record Run(long offset, long end, boolean decays, boolean owned, int part) {}

  /** Elements of a bucket of gradients, 16 MiB: one large message costs less than many small. */
  private static final long BUCKET = 1 << 22;

  /**
   * States which copy of the model these are, of those that several processes train.
   *
   * @param index from 0
   * @param count number of copies
   * @param sharded whether each copy has the moments of its share alone (ZeRO stage 1)
   * @param bucket least elements of gradients that are summed at a time
   */
  record Copy(int index, int count, boolean sharded, long bucket) {
    /** The only copy. */
    static final Copy ONLY = new Copy(0, 1, false);

    Copy(int index, int count, boolean sharded) {
      this(index, count, sharded, BUCKET);
    }
  }

  /**
   * A range of elements that this process updates.
   *
   * @param from its first element
   * @param end the element after its last
   * @param moments where the moments of the first are
   */
  record Own(long from, long end, long moments) {}

  private final Arena arena = Arena.ofShared();
  private final Copy copy;
  private final List<Bucket> buckets;
  private final List<Own> own;
  private final Shard shard;
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
  private final MemorySegment rounded; // without bytes in fp32, and on a device

  /**
   * Allocates zeros in host memory for the parameters of a model.
   *
   * @param compute type of the numbers that products multiply: F32, BF16 or F16
   */
  public Parameters(ModelSpec spec, Dtype compute) {
    this(spec, compute, Device.CPU);
  }

  /**
   * Allocates zeros on a device for the parameters of a model.
   *
   * @param compute type of the numbers that products multiply: F32, BF16 or F16
   */
  public Parameters(ModelSpec spec, Dtype compute, Device device) {
    this(Shard.whole(spec), compute, device, Copy.ONLY);
  }

  /** Allocates zeros for the part of a rank, in one of several copies of a model. */
  Parameters(Shard shard, Dtype compute, Device device, Copy copy) {
    this(shard, compute, Products.carrier(compute, device), device, device.isCpu(), copy);
  }

  Parameters(Shard shard, Dtype compute, Dtype carrier, Device device, boolean onHost) {
    this(shard, compute, carrier, device, onHost, Copy.ONLY);
  }

  /**
   * Allocates zeros on a device for what one rank has of a model.
   *
   * @param compute type of the numbers that products multiply: F32, BF16 or F16
   */
  public Parameters(Shard shard, Dtype compute, Device device) {
    this(shard, compute, device, Copy.ONLY);
  }

  /**
   * Allocates zeros for what one rank has of a model.
   *
   * @param compute type of the numbers that products multiply
   * @param carrier type of the memory that holds these numbers: {@code compute} or F32
   * @param onHost whether the arrays are host memory, for {@link CpuStep}; false on the CPU tests
   *     the code of the other devices there
   * @param copy which of the copies of the model they are
   */
  Parameters(Shard shard, Dtype compute, Dtype carrier, Device device, boolean onHost, Copy copy) {
    Libtorch.start();
    this.shard = shard;
    this.copy = copy;
    long at = 0;
    for (List<Param> together : together(shard)) {
      long start = at;
      for (Param param : together) {
        slots.put(param.id(), new Slot(param, at));
        at += param.elements();
      }
      at = Math.ceilDiv(at, (long) ALIGN) * ALIGN;
      Param first = together.getFirst();
      runs.add(new Run(start, at, first.isMatrix(), shard.owns(first.id()), 1 + part(first.id())));
    }
    long unit = (long) ALIGN * copy.count; // equal shares begin on 64 bytes
    long padded = Math.ceilDiv(at, unit) * unit;
    if (padded > at) {
      Run last = runs.removeLast();
      runs.add(new Run(last.offset, padded, last.decays, last.owned, last.part));
    }
    length = padded;
    buckets = Buckets.of(starts(), length, unit, copy.bucket);
    own = ownRanges();
    this.compute = compute;
    this.carrier = carrier;
    this.device = device;
    this.onHost = onHost;
    long moments = own.stream().mapToLong(range -> range.end - range.from).sum();
    weights = new Flat(length);
    gradients = new Flat(length);
    firstMoments = new Flat(moments);
    secondMoments = new Flat(moments);
    rounded = isRounded() ? arena.allocate(length * carrierBytes(), 64) : MemorySegment.NULL;
  }

  /** Returns where the parts begin that a backward pass finishes one after the other. */
  private List<Long> starts() {
    List<Long> starts = new ArrayList<>();
    long end = length;
    for (int block = spec().layers() - 1; block >= -1; block--) {
      int wanted = block + 1; // the part behind this block: the next one, or norm and head
      long start =
          slots.values().stream()
              .filter(slot -> part(slot.id()) == wanted)
              .mapToLong(Slot::offset)
              .min()
              .orElse(end);
      starts.add(start);
      end = start;
    }
    starts.add(0L);
    return starts;
  }

  /** Returns the block of a parameter; -1 for the embedding, the number of layers behind them. */
  private int part(ParamId id) {
    return switch (id.part()) {
      case EMBEDDING, POSITIONS -> -1;
      case FINAL_NORM, HEAD -> spec().layers();
      default -> id.block();
    };
  }

  private List<Own> ownRanges() {
    if (!copy.sharded) {
      return List.of(new Own(0, length, 0));
    }
    List<Own> ranges = new ArrayList<>();
    long moments = 0;
    for (Bucket bucket : buckets) {
      long from = bucket.share(copy.index, copy.count);
      long end = bucket.share(copy.index + 1, copy.count);
      ranges.add(new Own(from, end, moments));
      moments += end - from;
    }
    return ranges;
  }

  /** Returns the parameters in order, adjacent ones in one list. */
  private static Collection<List<Param>> together(Shard shard) {
    Map<ParamId, List<Param>> runs = new LinkedHashMap<>();
    for (Piece place : shard.places()) {
      Param param = place.part();
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

  /** Returns the description of the whole model. */
  public ModelSpec spec() {
    return shard.model();
  }

  /** Returns which part of the model these are. */
  public Shard shard() {
    return shard;
  }

  /** Returns the place of every parameter, in the order of the flat arrays. */
  public List<Slot> slots() {
    return List.copyOf(slots.values());
  }

  /**
   * Returns the place of one parameter.
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

  /** Which of the copies of the model these are. */
  Copy copy() {
    return copy;
  }

  /**
   * The ranges whose gradients are summed over the copies, in the order in which they are whole.
   */
  List<Bucket> buckets() {
    return buckets;
  }

  /** The ranges that this process updates: all, or its share of each bucket. */
  List<Own> own() {
    return Collections.unmodifiableList(own);
  }

  /** The ranges of {@link #own} whose gradients count in the norm of the whole gradient. */
  List<Own> counted() {
    return counted(-1);
  }

  /** The same ranges of one part of the model, as {@link Run} numbers them; -1 for all. */
  List<Own> counted(int part) {
    List<Own> counted = new ArrayList<>();
    for (Own range : own) {
      for (Run run : runs) {
        long from = Math.max(range.from, run.offset);
        long end = Math.min(range.end, run.end);
        if (!run.owned || from >= end || part >= 0 && run.part != part) {
          continue;
        }
        boolean goesOn = !counted.isEmpty() && counted.getLast().end == from;
        Own before = goesOn ? counted.removeLast() : new Own(from, from, range.moments);
        counted.add(new Own(before.from, end, before.moments));
      }
    }
    return counted;
  }

  boolean has(ParamId id) {
    return slots.containsKey(id);
  }

  /** Elements of each flat array, gaps included. */
  long length() {
    return length;
  }

  /** Returns the type of the numbers that products multiply. */
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

  /** Returns the device that computes with them. */
  public Device device() {
    return device;
  }

  /** Whether the arrays are host memory, for the CPU's own step and optimizer. */
  boolean onHost() {
    return onHost;
  }

  /** Returns the weights by parameter. They change with every step and end with {@link #close}. */
  public Flat weights() {
    return weights;
  }

  /** Returns the gradients by parameter. They end with {@link #close}. */
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
   * The weights rounded to the precision of the products, in memory of type {@link #carrier}. The
   * segment has no bytes in fp32, and on a device.
   */
  MemorySegment rounded() {
    return rounded;
  }

  /** Whether the weights are kept a second time, rounded to the precision of the products. */
  private boolean isRounded() {
    return onHost && compute != Dtype.F32;
  }

  /** Returns the fp32 weights of adjacent parameters. */
  MemorySegment weightData(ParamId... ids) {
    return weights.data(joined(ids));
  }

  /** Returns the fp32 weights of adjacent parameters; null where the model has none of them. */
  @Nullable MemorySegment weightDataOrNull(ParamId... ids) {
    return has(ids[0]) ? weightData(ids) : null;
  }

  /** Returns the gradients of adjacent parameters. */
  MemorySegment gradientData(ParamId... ids) {
    return gradients.data(joined(ids));
  }

  /** Returns the gradients of adjacent parameters; null where the model has none of them. */
  @Nullable MemorySegment gradientDataOrNull(ParamId... ids) {
    return has(ids[0]) ? gradientData(ids) : null;
  }

  /**
   * Returns the weights in the precision of {@link #compute}, as products read them: of one
   * parameter, or the rows of several adjacent ones.
   */
  Matrix computeMatrix(ParamId... ids) {
    Slot slot = joined(ids);
    if (!isRounded()) {
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

  /** Returns adjacent parameters as one, with the rows of all. */
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

  /** Reads one of the flat arrays by parameter: in place in host memory, else as a copy. */
  public final class Flat implements ModelWeights {
    private final @Nullable MemorySegment memory; // null on a device
    private final FlatTensor tensor;
    private final boolean whole; // false for the moments of a share

    private Flat(long elements) {
      MemorySegment host = onHost ? arena.allocate(elements * 4, 64) : null;
      memory = host;
      tensor = host == null ? FlatTensor.zeros(device, elements) : FlatTensor.over(host);
      whole = elements == length;
    }

    private void requireWhole() {
      if (!whole) {
        throw new IllegalStateException("of these there is a share alone, of no parameter all");
      }
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
      requireWhole();
      return memory().asSlice(slot.offset() * 4, slot.size() * 4);
    }

    /**
     * Has {@code writer} set the values of adjacent parameters, of which this rank takes its part.
     *
     * @param params of one tensor: this rank has something of all or of none
     * @param writer gets memory of the size of the whole parameters, which it fills; it is not
     *     called where this rank has nothing of them
     */
    void write(List<Param> params, Consumer<MemorySegment> writer) {
      requireWhole();
      if (!has(params.getFirst().id())) {
        return;
      }
      Slot slot = joined(params.stream().map(Param::id).toArray(ParamId[]::new));
      List<Piece> places = params.stream().map(param -> shard.place(param.id())).toList();
      boolean undivided = places.stream().allMatch(Piece::isWhole);
      if (onHost && undivided) {
        writer.accept(data(slot));
        return;
      }
      try (Arena staging = Arena.ofShared()) {
        long size = places.stream().mapToLong(place -> place.whole().elements()).sum();
        MemorySegment values = staging.allocate(size * 4, 64);
        writer.accept(values);
        if (undivided) {
          tensor.write(slot.offset(), values);
          return;
        }
        MemorySegment part = onHost ? data(slot) : staging.allocate(slot.size() * 4, 64);
        take(places, values, part);
        if (!onHost) {
          tensor.write(slot.offset(), part);
        }
      }
    }

    /** Copies the parts of whole parameters, which lie one behind the other. */
    private static void take(List<Piece> places, MemorySegment whole, MemorySegment part) {
      long from = 0;
      long to = 0;
      for (Piece place : places) {
        for (Piece.Range range : place.ranges()) {
          MemorySegment.copy(
              whole,
              (from + range.inWhole()) * 4,
              part,
              (to + range.inPart()) * 4,
              range.length() * 4);
        }
        from += place.whole().elements();
        to += place.part().elements();
      }
    }

    /** Copies the fp32 values of a stored tensor to the places of its parameters. */
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

    /** Returns a model of the sizes that this rank has, which may not have all of its parts. */
    @Override
    public ModelSpec spec() {
      return shard.spec();
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
      requireWhole();
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

  /**
   * Copies stored weights, rounded to fp32, and rounds them for the products.
   *
   * @param stored of a model with the same parameters
   */
  public void load(ModelWeights stored) {
    load(stored, spec().vocabulary().rows(), (_, _) -> {});
  }

  /**
   * Copies stored weights of a model whose vocabulary may have another size.
   *
   * @param known ids whose rows of embedding and head are taken
   * @param rest gets each tensor that has a row for every id, to fill the rows from {@code known}
   *     on
   */
  void load(ModelWeights stored, int known, BiConsumer<Param, MappedTensor> rest) {
    for (Piece place : shard.places()) {
      Param param = place.whole();
      try (Arena scratch = Arena.ofShared()) {
        MappedTensor values = stored.read(param.id(), scratch);
        weights.write(
            List.of(param),
            data -> {
              int columns = param.columns();
              float[] row = new float[columns];
              MappedTensor into = new MappedTensor(Dtype.F32, data);
              int rows = hasRowPerId(param) ? known : param.rows();
              for (int r = 0; r < rows; r++) {
                values.read((long) r * columns, row, 0, columns);
                into.write((long) r * columns, row, 0, columns);
              }
              if (rows < param.rows()) {
                rest.accept(param, into);
              }
            });
      }
    }
    refresh();
  }

  private static boolean hasRowPerId(Param param) {
    return param.id().part() == Part.EMBEDDING || param.id().part() == Part.HEAD;
  }

  /** Copies this process's share of a whole array, and sets that to zero. */
  void takeOwn(Flat whole, Flat share) {
    for (Own range : own) {
      share.tensor.copy(range.moments, whole.tensor, range.from, range.end - range.from);
    }
    whole.tensor.clear();
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
   * Rounds the weights to the precision of the products. Call it after every change of the weights
   * but those of {@link AdamW}.
   */
  public void refresh() {
    if (!isRounded()) {
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
