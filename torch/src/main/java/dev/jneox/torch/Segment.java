package dev.jneox.torch;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Computes a part of a model, and later its gradient from that of its output. Where ranks share the
 * matrices, the exchanges between them are not operations of autograd: the graph is cut at the
 * input of each branch, and the backward pass goes from cut to cut. With whole matrices there are
 * no cuts.
 *
 * <p>One thread makes all calls.
 */
final class Segment implements AutoCloseable {
  /** Computes with whole matrices; keeps nothing. */
  static final Segment WHOLE = new Segment(TensorParallel.ALONE, false);

  /**
   * Is a place where the graph ends at {@code value}, and another begins at {@code leaf}.
   *
   * @param summed whether the gradient of {@code leaf} is the sum over ranks
   */
  private record Cut(Tensor value, Tensor leaf, boolean summed) {}

  private final TensorParallel ranks;
  private final boolean graph;
  private final List<Cut> cuts = new ArrayList<>();

  private Segment(TensorParallel ranks, boolean graph) {
    this.ranks = ranks;
    this.graph = graph;
  }

  /** Holds the result of a segment until it is closed; then its graph is freed. */
  record Result(Segment segment, Tensor output) implements AutoCloseable {
    /** Adds the gradients of all leaves behind the output, and frees the graph. */
    void backward(Tensor gradient) {
      segment.backward(output, gradient);
      close();
    }

    @Override
    public void close() {
      segment.close();
      output.close();
    }
  }

  /**
   * Runs a part of a model. The output lives until the result is closed.
   *
   * @param graph whether there is to be a backward pass
   */
  static Result run(TensorParallel ranks, boolean graph, Function<Segment, Tensor> body) {
    Segment segment = new Segment(ranks, graph);
    try (PointerScope _ = new PointerScope()) {
      if (graph) {
        return new Result(segment, body.apply(segment).retainReference());
      }
      try (NoGradGuard _ = new NoGradGuard()) {
        return new Result(segment, body.apply(segment).retainReference());
      }
    } catch (RuntimeException | Error e) {
      segment.close();
      throw e;
    }
  }

  /** Returns the input of a branch of which each rank computes a part. */
  Tensor branchInput(Tensor x) {
    return cut(x, true);
  }

  /** Returns the residual stream where a second branch begins. */
  Tensor between(Tensor x) {
    return cut(x, false);
  }

  private Tensor cut(Tensor x, boolean summed) {
    if (ranks.isAlone() || !graph) {
      return x;
    }
    Tensor leaf = x.detach().requires_grad_(true);
    cuts.add(new Cut(x.retainReference(), leaf.retainReference(), summed));
    return leaf;
  }

  /** Returns the sum over ranks of what each computed, in place; its gradient is every rank's. */
  Tensor sum(Tensor part) {
    ranks.sum(part);
    return part;
  }

  /** Looks up rows of a table, of which each rank has some. */
  Tensor lookup(Tensor table, Tensor ids) {
    if (ranks.isAlone()) {
      return torch.embedding(table, ids);
    }
    long rows = table.size(0);
    Tensor own = ids.sub(new Scalar(ranks.rank() * rows));
    Tensor elsewhere = own.lt(new Scalar(0)).logical_or(own.ge(new Scalar(rows)));
    Tensor found = torch.embedding(table, own.masked_fill(elsewhere, new Scalar(0)));
    return sum(found.to(wide(found)).masked_fill(elsewhere.unsqueeze(-1), new Scalar(0)));
  }

  private static ScalarType wide(Tensor t) {
    return t.scalar_type().intern() == ScalarType.Double ? ScalarType.Double : ScalarType.Float;
  }

  private void backward(Tensor output, Tensor gradient) {
    try (PointerScope _ = new PointerScope()) {
      backwardFrom(output, gradient);
      for (Cut cut : cuts.reversed()) {
        Tensor sum = cut.leaf.grad().contiguous();
        if (cut.summed) {
          ranks.sum(sum);
        }
        backwardFrom(cut.value, sum);
      }
    }
  }

  private static void backwardFrom(Tensor value, Tensor gradient) {
    value.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
  }

  @Override
  public void close() {
    for (Cut cut : cuts) {
      cut.value.close();
      cut.leaf.close();
    }
    cuts.clear();
  }
}
