package dev.jneox.torch;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.weights.Dtype;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Computes the loss of {@link CausalLM} and autograd's gradient of it, on any device. Weights and
 * gradients are parts of flat ranges in fp32; the gradient is added to what is there.
 *
 * <p>Each block has a graph of its own, which begins at a leaf that holds its input. So the
 * backward pass goes a block at a time, and a block's graph can be made anew from its input instead
 * of being kept.
 */
public final class AutogradModel implements AutoCloseable {
  private final CausalLM model;

  /**
   * Places a model in flat ranges, which must stay open as long as this.
   *
   * @param compute the type that linear maps multiply in: F32, BF16 or F16; all else is in fp32
   * @param offsets the first element of each parameter in both ranges
   */
  public AutogradModel(
      ModelSpec spec,
      Dtype compute,
      ToLongFunction<ParamId> offsets,
      FlatTensor weights,
      FlatTensor gradients) {
    Map<ParamId, Tensor> leaves = new LinkedHashMap<>();
    try (PointerScope _ = new PointerScope()) {
      for (Param param : spec.parameters()) {
        long offset = offsets.applyAsLong(param.id());
        Tensor leaf =
            weights
                .slice(offset, param.elements())
                .view(param.axes())
                .detach()
                .requires_grad_(true);
        // autograd adds into a gradient that is there already.
        leaf.mutable_grad().put(gradients.slice(offset, param.elements()).view(param.axes()));
        leaves.put(param.id(), leaf);
      }
      model = new CausalLM(spec, leaves, Tensors.type(compute));
    }
  }

  /** How much of the forward pass is kept for the backward pass. */
  public enum Keep {
    /** Nothing: there is no backward pass. */
    NOTHING,
    /** The input of each block, whose forward pass runs again in the backward pass. */
    INPUTS,
    /** All that autograd saves. */
    ALL
  }

  /**
   * Begins with the embedding of a batch.
   *
   * @param ids {@code [sequences * length]}
   */
  public Pass pass(int[] ids, int sequences, int length, Keep keep) {
    return new Pass(ids, sequences, length, keep);
  }

  /**
   * Goes through the model once, forward and backward, in calls of this order: {@link
   * #forwardBlock} of each block, {@link #loss}, {@link #backwardHead}, {@link #backwardBlock} of
   * each block from the last to the first, {@link #backwardEmbedding}. One thread makes all calls
   * and closes it; it may stop after any.
   */
  public final class Pass implements AutoCloseable {
    private final PointerScope scope = new PointerScope();
    private final Keep keep;
    private final Tensor embedded;
    private final Tensor[] inputs; // leaves: of each block, and of the final norm
    private final Tensor[] outputs; // of each block; null where its graph is not kept
    private @Nullable Tensor loss;

    private Pass(int[] ids, int sequences, int length, Keep keep) {
      this.keep = keep;
      int layers = model.spec().layers();
      inputs = new Tensor[layers + 1];
      outputs = new Tensor[layers];
      try {
        embedded =
            graph(
                keep != Keep.NOTHING,
                () -> model.embed(Tensors.of(ids, sequences, length), 0, Hooks.NONE));
        inputs[0] = leaf(embedded);
      } catch (RuntimeException | Error e) {
        scope.close();
        throw e;
      }
    }

    /** Computes a tensor, which lives as long as the pass, with or without its graph. */
    private Tensor graph(boolean kept, Supplier<Tensor> body) {
      if (kept) {
        return Tensors.scoped(body);
      }
      try (NoGradGuard _ = new NoGradGuard()) {
        return Tensors.scoped(body);
      }
    }

    private Tensor leaf(Tensor value) {
      return keep == Keep.NOTHING ? value : value.detach().requires_grad_(true);
    }

    /** Runs a block on the output of the one before. */
    public void forwardBlock(int block) {
      Tensor output =
          graph(keep == Keep.ALL, () -> model.block(block, inputs[block], null, Hooks.NONE));
      inputs[block + 1] = leaf(output);
      switch (keep) {
        case NOTHING -> inputs[block].close();
        case INPUTS -> output.close();
        case ALL -> outputs[block] = output;
      }
    }

    /**
     * The sum of the losses of all positions, each times its weight, in nats.
     *
     * @param labels the id that follows each position; any where the weight is 0
     * @param weights of each position
     */
    public double loss(int[] labels, float[] weights) {
      Tensor last = inputs[outputs.length];
      loss =
          graph(
              keep != Keep.NOTHING,
              () -> {
                Tensor logits =
                    model.logits(model.normed(last, Hooks.NONE)).view(labels.length, -1);
                Tensor index = Tensors.like(Tensors.of(labels, labels.length, 1), logits);
                Tensor each = Tensors.like(Tensors.of(weights, weights.length), logits);
                return torch.log_softmax(logits, 1).gather(1, index).view(-1).mul(each).sum().neg();
              });
      return loss.item_double();
    }

    /** Adds {@code scale} times the gradient of the final norm and the head. */
    public void backwardHead(double scale) {
      try (PointerScope _ = new PointerScope()) {
        Objects.requireNonNull(loss).mul(new Scalar(scale)).backward();
      }
    }

    /** Adds the gradient of a block, after that of all behind it. */
    public void backwardBlock(int block) {
      Tensor output = outputs[block];
      if (output == null) {
        output = graph(true, () -> model.block(block, inputs[block], null, Hooks.NONE));
      }
      backward(output, inputs[block + 1]);
    }

    /** Adds the gradient of the embedding, and of learned positions. */
    public void backwardEmbedding() {
      backward(embedded, inputs[0]);
    }

    /** Goes on from the gradient of {@code leaf}, and frees both. */
    private static void backward(Tensor output, Tensor leaf) {
      try (PointerScope _ = new PointerScope()) {
        output.backward(leaf.grad(), new BoolOptional(), false, new TensorArrayRefOptional());
      }
      output.close();
      leaf.close();
    }

    @Override
    public void close() {
      scope.close();
    }
  }

  @Override
  public void close() {
    model.close();
  }
}
