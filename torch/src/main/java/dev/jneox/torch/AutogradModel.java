package dev.jneox.torch;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.weights.Dtype;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToLongFunction;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Computes the loss of {@link CausalLM} and autograd's gradient of it, on any device. Weights and
 * gradients are parts of flat ranges in fp32; the gradient is added to what is there.
 *
 * <p>Each block has a graph of its own, which begins at a leaf that holds its input. So the
 * backward pass goes a block at a time, and a block's graph can be made anew from its input instead
 * of being kept.
 *
 * <p>One rank of several has some of the blocks, and of each matrix a part.
 */
public final class AutogradModel implements AutoCloseable {
  private final CausalLM model;
  private final TensorParallel ranks;

  /**
   * Places a model in flat ranges, which must stay open as long as this.
   *
   * @param spec of the sizes that this rank has
   * @param compute the type that linear maps multiply in: F32, BF16 or F16; all else is in fp32
   * @param offsets the first element of each parameter in both ranges; negative where this rank
   *     does not have it
   * @param ranks those that have the other parts of each matrix
   */
  public AutogradModel(
      ModelSpec spec,
      Dtype compute,
      ToLongFunction<ParamId> offsets,
      FlatTensor weights,
      FlatTensor gradients,
      TensorParallel ranks) {
    this.ranks = ranks;
    Map<ParamId, Tensor> leaves = new LinkedHashMap<>();
    try (PointerScope _ = new PointerScope()) {
      for (Param param : spec.parameters()) {
        long offset = offsets.applyAsLong(param.id());
        if (offset < 0) { // never read: one number stands for all
          leaves.put(param.id(), weights.slice(0, 1).expand(param.axes()));
          continue;
        }
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
      model = new CausalLM(spec, leaves, Tensors.type(compute), ranks.isAlone());
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
   * Begins to go through consecutive blocks. Before the first block of the model is the embedding,
   * behind the last one are the final norm and the head.
   *
   * @param ids {@code [sequences * length]}
   * @param first the first block
   * @param end the block after the last
   */
  public Pass pass(int[] ids, int sequences, int length, Keep keep, int first, int end) {
    return new Pass(ids, sequences, length, keep, first, end);
  }

  /**
   * Goes through blocks once, forward and backward, in calls of this order: {@link #forwardBlock}
   * of each block, {@link #loss}, {@link #backwardHead}, {@link #backwardBlock} of each block from
   * the last to the first, {@link #backwardEmbedding}. A pass that does not begin with the
   * embedding reads its {@link #input}, one that does not end with the head its {@link
   * #outputGradient}; who calls writes them first. One thread makes all calls and closes it; it may
   * stop after any, and several passes may be under way.
   */
  public final class Pass implements AutoCloseable {
    private final Keep keep;
    private final int first;
    private final Segment.@Nullable Result embedded;
    private final @Nullable Tensor[] inputs; // leaves: of each block, and of what follows
    private final Segment.@Nullable Result[] outputs; // of each block whose graph is kept
    private Segment.@Nullable Result head;
    private @Nullable Tensor headGradient; // of the head's output, for a scale of 1

    private Pass(int[] ids, int sequences, int length, Keep keep, int first, int end) {
      this.keep = keep;
      this.first = first;
      inputs = new Tensor[end - first + 1];
      outputs = new Segment.Result[end - first];
      if (first > 0) {
        embedded = null;
        try (PointerScope _ = new PointerScope()) {
          inputs[0] = leaf(model.zeros(sequences, length, model.spec().width()));
        }
        return;
      }
      embedded =
          Segment.run(
              ranks,
              keep != Keep.NOTHING,
              segment -> model.embed(Tensors.of(ids, sequences, length), 0, Hooks.NONE, segment));
      inputs[0] = leaf(embedded.output());
    }

    private Tensor leaf(Tensor value) {
      try (PointerScope _ = new PointerScope()) {
        Tensor leaf = value.detach();
        return (keep == Keep.NOTHING ? leaf : leaf.requires_grad_(true)).retainReference();
      }
    }

    /** The input of block {@code first + i}. */
    private Tensor input(int i) {
      return Objects.requireNonNull(inputs[i], "freed already");
    }

    private int last() {
      return outputs.length;
    }

    private Segment.Result run(int i, boolean graph) {
      return Segment.run(
          ranks, graph, segment -> model.block(first + i, input(i), null, Hooks.NONE, segment));
    }

    /** Runs a block on the output of the one before. */
    public void forwardBlock(int block) {
      int i = block - first;
      Segment.Result output = run(i, keep == Keep.ALL);
      inputs[i + 1] = leaf(output.output());
      if (keep == Keep.ALL) {
        outputs[i] = output;
      } else {
        output.close();
      }
      if (keep == Keep.NOTHING) {
        free(i);
      }
    }

    private void free(int i) {
      input(i).close();
      inputs[i] = null;
    }

    /**
     * The sum of the losses of all positions, each times its weight, in nats.
     *
     * @param labels the id that follows each position; any where the weight is 0
     * @param weights of each position
     */
    public double loss(int[] labels, float[] weights) {
      boolean graph = keep != Keep.NOTHING;
      try (PointerScope _ = new PointerScope()) {
        Segment.Result result =
            Segment.run(
                ranks,
                graph,
                segment -> {
                  Tensor normed = segment.branchInput(model.normed(input(last()), Hooks.NONE));
                  Tensor logits = model.logits(normed).view(labels.length, -1);
                  return ranks.isAlone() ? loss(logits, labels, weights) : logits;
                });
        head = result;
        if (ranks.isAlone()) {
          headGradient = torch.full_like(result.output(), new Scalar(1)).retainReference();
          return result.output().item_double();
        }
        try (NoGradGuard _ = new NoGradGuard()) {
          return splitLoss(result.output(), labels, weights);
        }
      }
    }

    private static Tensor loss(Tensor logits, int[] labels, float[] weights) {
      Tensor index = Tensors.like(Tensors.of(labels, labels.length, 1), logits);
      Tensor each = Tensors.like(Tensors.of(weights, weights.length), logits);
      return torch.log_softmax(logits, 1).gather(1, index).view(-1).mul(each).sum().neg();
    }

    /** The same where each rank has the logits of some ids. It also computes their gradient. */
    private double splitLoss(Tensor logits, int[] labels, float[] weights) {
      int rows = Math.toIntExact(logits.size(1));
      int[] columns = ranks.rows(labels, rows);
      float[] here = new float[columns.length];
      for (int t = 0; t < columns.length; t++) {
        here[t] = columns[t] < 0 ? 0 : 1;
        columns[t] = Math.max(columns[t], 0);
      }
      Tensor index = Tensors.like(Tensors.of(columns, columns.length, 1), logits);
      Tensor own = Tensors.like(Tensors.of(here, here.length, 1), logits).to(logits.scalar_type());
      Tensor each = Tensors.like(Tensors.of(weights, weights.length, 1), logits);
      Tensor max = logits.amax(new long[] {1}, true);
      ranks.max(max);
      Tensor shifted = logits.sub(max);
      Tensor label = shifted.gather(1, index).mul(own);
      ranks.sum(label);
      Tensor softmax = shifted.exp();
      Tensor sum = softmax.sum(new long[] {1}, true, null);
      ranks.sum(sum);
      if (keep != Keep.NOTHING) {
        headGradient =
            softmax.div_(sum).scatter_add_(1, index, own.neg()).mul_(each).retainReference();
      }
      return sum.log().sub(label).mul(each).sum().item_double();
    }

    /** Adds {@code scale} times the gradient of the final norm and the head. */
    public void backwardHead(double scale) {
      try (PointerScope _ = new PointerScope();
          Tensor gradient = Objects.requireNonNull(headGradient)) {
        Objects.requireNonNull(head).backward(gradient.mul(new Scalar(scale)));
        headGradient = null;
        head = null;
      }
    }

    /** Adds the gradient of a block, after that of all behind it. */
    public void backwardBlock(int block) {
      int i = block - first;
      Segment.Result output = outputs[i];
      outputs[i] = null;
      backward(output == null ? run(i, true) : output, i + 1);
    }

    /** Adds the gradient of the embedding, and of learned positions. */
    public void backwardEmbedding() {
      backward(Objects.requireNonNull(embedded), 0);
    }

    /** Goes on from the gradient of a leaf, and frees both. */
    private void backward(Segment.Result output, int leaf) {
      try (PointerScope _ = new PointerScope()) {
        output.backward(input(leaf).grad());
      }
      free(leaf);
    }

    /** Views the input of the first block, {@code [tokens, H]}. */
    public Values input() {
      return view(input(0));
    }

    /** Views the output of the last block, {@code [tokens, H]}. */
    public Values output() {
      return view(input(last()));
    }

    /** Views zeros that become the gradient of the last block's output. */
    public Values outputGradient() {
      try (PointerScope _ = new PointerScope()) {
        Tensor leaf = input(last());
        leaf.mutable_grad().put(torch.full_like(leaf.detach(), new Scalar(0)));
        return view(leaf.grad());
      }
    }

    /** Views the gradient of the first block's input. */
    public Values inputGradient() {
      try (PointerScope _ = new PointerScope()) {
        return view(input(0).grad().contiguous());
      }
    }

    private static Values view(Tensor tensor) {
      try (PointerScope _ = new PointerScope()) {
        return new Values(tensor.detach());
      }
    }

    @Override
    public void close() {
      Arrays.stream(inputs).filter(Objects::nonNull).forEach(Tensor::close);
      Arrays.stream(outputs).filter(Objects::nonNull).forEach(Segment.Result::close);
      if (embedded != null) {
        embedded.close();
      }
      if (head != null) {
        head.close();
      }
      if (headGradient != null) {
        headGradient.close();
      }
    }
  }

  @Override
  public void close() {
    model.close();
  }
}
