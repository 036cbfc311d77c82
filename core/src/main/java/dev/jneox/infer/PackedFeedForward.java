package dev.jneox.infer;

import dev.jneox.kernel.InputRows;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Vectors;
import dev.jneox.model.FeedForward;
import java.util.List;

/**
 * Computes the feed-forward layer of a block up to what its last matrix reads. A row of inner
 * values needs room for whole vectors.
 */
sealed interface PackedFeedForward {
  /** A function of {@code n} values from {@code at} on, in place; it may write a whole vector. */
  @FunctionalInterface
  interface RowFunction {
    void apply(float[] row, int at, int n);
  }

  /** The map back to the residual stream. */
  PackedLinear down();

  RowFunction activation();

  /** The maps that read the normalised rows: of equally many blocks each. */
  List<PackedLinear> readers();

  /** Units of work of {@link #multiply}. */
  int blocks();

  /**
   * Computes some blocks of the rows that {@link #down} reads.
   *
   * @param inner rows of results, {@code ld} values apart
   * @param beside rows that they are multiplied by; not used without a gate
   */
  void multiply(int fromBlock, int toBlock, InputRows x, float[] inner, float[] beside, int ld);

  /** Makes results, in {@code inner}, of products: features {@code from} to {@code end - 1}. */
  void activate(float[] inner, float[] beside, int from, int end, int ld, int rows);

  /** {@link FeedForward.Plain}. */
  record Plain(PackedLinear up, PackedLinear down, RowFunction activation)
      implements PackedFeedForward {
    @Override
    public List<PackedLinear> readers() {
      return List.of(up);
    }

    @Override
    public int blocks() {
      return up.blocks();
    }

    @Override
    public void multiply(
        int fromBlock, int toBlock, InputRows x, float[] inner, float[] beside, int ld) {
      up.multiply(fromBlock, toBlock, x, inner, 0, ld);
      activate(inner, beside, fromBlock * PackedWeight.BLOCK, up.end(toBlock), ld, x.rows());
    }

    @Override
    public void activate(float[] inner, float[] beside, int from, int end, int ld, int rows) {
      for (int r = 0; r < rows; r++) {
        activation.apply(inner, r * ld + from, end - from);
      }
    }
  }

  /** {@link FeedForward.Gated}; the gate's products are in {@code inner}. */
  record Gated(PackedLinear gate, PackedLinear up, PackedLinear down, RowFunction activation)
      implements PackedFeedForward {
    @Override
    public List<PackedLinear> readers() {
      return List.of(gate, up);
    }

    @Override
    public int blocks() {
      return gate.blocks();
    }

    @Override
    public void multiply(
        int fromBlock, int toBlock, InputRows x, float[] inner, float[] beside, int ld) {
      gate.multiply(fromBlock, toBlock, x, inner, 0, ld);
      up.multiply(fromBlock, toBlock, x, beside, 0, ld);
      activate(inner, beside, fromBlock * PackedWeight.BLOCK, up.end(toBlock), ld, x.rows());
    }

    @Override
    public void activate(float[] inner, float[] beside, int from, int end, int ld, int rows) {
      for (int r = 0; r < rows; r++) {
        int at = r * ld + from;
        activation.apply(inner, at, end - from);
        Vectors.multiply(inner, at, beside, at, end - from);
      }
    }
  }
}
