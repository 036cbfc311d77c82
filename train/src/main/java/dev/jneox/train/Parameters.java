package dev.jneox.train;

import dev.jneox.model.ModelConfig;
import dev.jneox.tensor.Native;
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
 * A model's parameters as training keeps them: four flat fp32 arrays of the same layout (weights, gradients, and Adam's two
 * moments) and, where the products run in bf16 or fp16, one more of the weights in that precision, refreshed once a step. Each tensor
 * starts on a 64-byte boundary; the gaps hold zeros and stay so.
 */
public final class Parameters implements AutoCloseable {
  private static final int ALIGN = 16;

  /**
   * One parameter's place in the flat arrays.
   *
   * @param offset first element
   * @param decays whether weight decay applies: tensors of two or more axes, which leaves out norms and biases
   */
  public record Slot(String name, long[] shape, long offset, long size, boolean decays) {}

  private final Arena arena = Arena.ofShared();
  private final Map<String, Slot> slots = new LinkedHashMap<>();
  private final long length;
  private final ScalarType compute;
  private final MemorySegment weights;
  private final MemorySegment gradients;
  private final MemorySegment firstMoments;
  private final MemorySegment secondMoments;
  private final MemorySegment halves; // null in fp32

  /** Zeros of the shapes of {@code config}; products run in {@code compute}: Float, BFloat16 or Half. */
  public Parameters(ModelConfig config, ScalarType compute) {
    Native.start();
    long at = 0;
    for (ModelConfig.TensorSpec spec : config.tensors()) {
      slots.put(spec.name(), new Slot(spec.name(), spec.shape(), at, spec.elements(), spec.shape().length > 1));
      at += (spec.elements() + ALIGN - 1) / ALIGN * ALIGN;
    }
    length = at;
    this.compute = compute;
    weights = arena.allocate(length * 4, 64);
    gradients = arena.allocate(length * 4, 64);
    firstMoments = arena.allocate(length * 4, 64);
    secondMoments = arena.allocate(length * 4, 64);
    halves = compute == ScalarType.Float ? null : arena.allocate(length * 2, 64);
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

  /** The weights in the precision of the products, or null in fp32. */
  MemorySegment halves() {
    return halves;
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
    return Tensors.view(flat.asSlice(slot.offset() * 4, slot.size() * 4), ScalarType.Float, slot.shape());
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
    if (halves == null) {
      return new Matrix(view(weights, slot).retainReference());
    }
    Tensor t = Tensors.view(halves.asSlice(slot.offset() * 2, slot.size() * 2), compute, slot.shape());
    return new Matrix(t.retainReference());
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
    Workers.all().forEach(
        Math.toIntExact((length + 65535) / 65536),
        (from, to, thread) -> gradients.asSlice(from * 65536L * 4, Math.min(length, to * 65536L) * 4 - from * 65536L * 4).fill((byte) 0));
  }

  /** Casts the weights to the precision of the products; after any change to them from outside the optimizer. */
  public void refresh() {
    if (halves == null) {
      return;
    }
    Matrix from = new Matrix(Tensors.view(weights, ScalarType.Float, length / ALIGN, ALIGN).retainReference());
    Matrix into = new Matrix(Tensors.view(halves, compute, length / ALIGN, ALIGN).retainReference());
    Kernels.cast(from, into);
  }

  @Override
  public void close() {
    arena.close();
  }
}
