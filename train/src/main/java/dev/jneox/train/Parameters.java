package dev.jneox.train;

import dev.jneox.model.ModelConfig;
import dev.jneox.tensor.Native;
import dev.jneox.tensor.Products;
import dev.jneox.tensor.Tensors;
import dev.jneox.tensor.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A model's parameters as training keeps them: four flat fp32 arrays of the same layout (weights,
 * gradients, and Adam's two moments) and, where the products are of bf16 or fp16 numbers, one more
 * of the weights rounded to that precision, refreshed once a step. Each tensor starts on a 64-byte
 * boundary; the gaps hold zeros and stay so.
 */
public final class Parameters implements AutoCloseable {
  private static final int ALIGN = 16;

  /**
   * One parameter's place in the flat arrays.
   *
   * @param offset first element
   * @param decays whether weight decay applies: tensors of two or more axes, which leaves out norms
   *     and biases
   */
  public record Slot(String name, long[] shape, long offset, long size, boolean decays) {}

  private final Arena arena = Arena.ofShared();
  private final Map<String, Slot> slots = new LinkedHashMap<>();
  private final long length;
  private final ScalarType compute;
  private final ScalarType carrier;
  private final MemorySegment weights;
  private final MemorySegment gradients;
  private final MemorySegment firstMoments;
  private final MemorySegment secondMoments;
  private final MemorySegment rounded; // null in fp32

  /**
   * Zeros of the shapes of {@code config}; products are of numbers of {@code compute}: Float,
   * BFloat16 or Half.
   */
  public Parameters(ModelConfig config, ScalarType compute) {
    this(config, compute, Products.carrier(compute));
  }

  /** The same, multiplied in memory of type {@code carrier}: {@code compute} or Float. */
  Parameters(ModelConfig config, ScalarType compute, ScalarType carrier) {
    Native.start();
    long at = 0;
    for (ModelConfig.TensorSpec spec : config.tensors()) {
      slots.put(
          spec.name(),
          new Slot(spec.name(), spec.shape(), at, spec.elements(), spec.shape().length > 1));
      at += (spec.elements() + ALIGN - 1) / ALIGN * ALIGN;
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

  public List<Slot> slots() {
    return new ArrayList<>(slots.values());
  }

  public Slot slot(String name) {
    Slot slot = slots.get(name);
    if (slot == null) {
      throw new IllegalArgumentException("no parameter " + name);
    }
    return slot;
  }

  boolean has(String name) {
    return slots.containsKey(name);
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
  public Tensor weight(String name) {
    return view(weights, slot(name));
  }

  /** A view of one parameter's gradient. */
  public Tensor gradient(String name) {
    return view(gradients, slot(name));
  }

  private static Tensor view(MemorySegment flat, Slot slot) {
    return Tensors.view(
        flat.asSlice(slot.offset() * 4, slot.size() * 4), ScalarType.Float, slot.shape());
  }

  /** The fp32 weights of one vector parameter, or null if the model has none of that name. */
  MemorySegment weightData(String name) {
    return has(name) ? weights.asSlice(slot(name).offset() * 4, slot(name).size() * 4) : null;
  }

  MemorySegment gradientData(String name) {
    return has(name) ? gradients.asSlice(slot(name).offset() * 4, slot(name).size() * 4) : null;
  }

  /** The matrix that products use: the weights in {@link #compute}. */
  Matrix computeMatrix(String name) {
    Slot slot = slot(name);
    if (rounded == null) {
      return new Matrix(view(weights, slot).retainReference());
    }
    MemorySegment place =
        rounded.asSlice(slot.offset() * carrierBytes(), slot.size() * carrierBytes());
    return new Matrix(Tensors.view(place, carrier, slot.shape()).retainReference(), compute);
  }

  Matrix gradientMatrix(String name) {
    return new Matrix(gradient(name).retainReference());
  }

  /** Every parameter's fp32 weights by name: views, in order. */
  public Map<String, Tensor> weightViews() {
    Map<String, Tensor> views = new LinkedHashMap<>();
    slots.keySet().forEach(name -> views.put(name, weight(name)));
    return views;
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
