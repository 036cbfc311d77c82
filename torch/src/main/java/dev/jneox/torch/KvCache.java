package dev.jneox.torch;

import dev.jneox.model.Attention;
import dev.jneox.model.ModelSpec;
import org.bytedeco.pytorch.Tensor;

/**
 * Keys and values of the positions a sequence (or a batch of equally long ones) has been through,
 * for every layer, in fp32.
 */
public final class KvCache implements AutoCloseable {
  private final Tensor[] keys; // each [B, kvHeads, capacity, headDim]
  private final Tensor[] values;
  private final int capacity;
  private int length;

  /** Makes room for {@code capacity} positions of {@code batch} sequences, where the model is. */
  public KvCache(CausalLM model, int batch, int capacity) {
    ModelSpec spec = model.spec();
    this.capacity = Math.min(capacity, spec.maxPositions());
    keys = new Tensor[spec.layers()];
    values = new Tensor[spec.layers()];
    for (int l = 0; l < keys.length; l++) {
      keys[l] = room(model, spec.block(l).attention(), batch);
      values[l] = room(model, spec.block(l).attention(), batch);
    }
  }

  private Tensor room(CausalLM model, Attention attention, int batch) {
    return model.zeros(batch, attention.kvHeads(), capacity, attention.headDim()).retainReference();
  }

  /** Positions seen so far. */
  public int length() {
    return length;
  }

  /** Returns how many positions there is room for. */
  public int capacity() {
    return capacity;
  }

  /** Forgets the positions from {@code length} on. */
  public void truncate(int length) {
    if (length < 0 || length > this.length) {
      throw new IllegalArgumentException(
          "cannot truncate " + this.length + " positions to " + length);
    }
    this.length = length;
  }

  /**
   * Stores one layer's new keys, {@code [B,kvHeads,S,headDim]}, and returns those of all positions.
   */
  Tensor keys(int layer, Tensor fresh) {
    return append(keys[layer], fresh);
  }

  Tensor values(int layer, Tensor fresh) {
    return append(values[layer], fresh);
  }

  /** Called once per forward pass, after the last layer. */
  void advance(long positions) {
    length += Math.toIntExact(positions);
  }

  private Tensor append(Tensor store, Tensor fresh) {
    long n = fresh.size(2);
    if (length + n > capacity) {
      throw new IllegalStateException(
          "the KV cache holds " + capacity + " positions, " + (length + n) + " are needed");
    }
    store.narrow(2, length, n).copy_(fresh);
    return store.narrow(2, 0, length + n);
  }

  @Override
  public void close() {
    for (int l = 0; l < keys.length; l++) {
      keys[l].close();
      values[l].close();
    }
  }
}
