package dev.jneox.infer;

import static dev.jneox.weights.MappedTensor.bfloat16;

import dev.jneox.kernel.KvProducts;
import dev.jneox.model.ModelSpec;

/**
 * Keeps keys and values in bfloat16, two to an int, the first in its low half: of keys two
 * neighbouring values of the head, of values two neighbouring positions. So a shift or a mask makes
 * floats of them and nothing is ever shuffled.
 */
final class Bfloat16Kv extends KvFormat {
  /** Rows of pairs of keys; the last one's high half is zero where the head's width is odd. */
  private final int rows;

  Bfloat16Kv(ModelSpec spec) {
    super(spec, (headDim(spec) + 1) / 2, POSITIONS / 2);
    this.rows = (dims + 1) / 2;
  }

  @Override
  KvPage newPage() {
    return new KvPage(new float[0], new int[elements()]);
  }

  @Override
  void storeKey(KvPage page, int at, int position, float[] k, int kAt) {
    for (int r = 0; r < rows; r++) {
      int high = 2 * r + 1 < dims ? bfloat16(k[kAt + 2 * r + 1]) << 16 : 0;
      page.pairs[at + r * POSITIONS + position] = bfloat16(k[kAt + 2 * r]) & 0xFFFF | high;
    }
  }

  @Override
  void storeValue(KvPage page, int at, int position, float[] v, int vAt) {
    int[] data = page.pairs;
    int row = at + position / 2 * padded;
    boolean first =
        position % 2 == 0; // and then nothing of an earlier sequence stays in the high half
    for (int d = 0; d < dims; d++) {
      short bits = bfloat16(v[vAt + d]);
      data[row + d] = first ? bits & 0xFFFF : data[row + d] & 0xFFFF | bits << 16;
    }
  }

  @Override
  void scores(KvPage page, int at, float[] q, int qAt, int n, float[] out, int outAt) {
    KvProducts.scores(page.pairs, at, q, qAt, dims, n, out, outAt);
  }

  @Override
  void scores(
      KvPage page, int at, float[] q, int qAt, int ldq, int n, float[] out, int outAt, int ldo) {
    KvProducts.scores(page.pairs, at, q, qAt, ldq, dims, n, out, outAt, ldo);
  }

  @Override
  void values(KvPage page, int at, float[] p, int pAt, int n, float[] out, int outAt) {
    KvProducts.values(page.pairs, at, padded, p, pAt, n, out, outAt);
  }

  @Override
  void values(KvPage page, int at, float[] p, int pAt, int ldp, int n, float[] out, int outAt) {
    KvProducts.values(page.pairs, at, padded, p, pAt, ldp, n, out, outAt);
  }
}
