package dev.jneox.infer;

import dev.jneox.kernel.KvProducts;
import dev.jneox.model.ModelSpec;

/** Keeps keys and values in fp32. */
final class FloatKv extends KvFormat {
  FloatKv(ModelSpec spec) {
    super(spec, headDim(spec), POSITIONS);
  }

  @Override
  KvPage newPage() {
    return new KvPage(new float[elements()], new int[0]);
  }

  @Override
  void storeKey(KvPage page, int at, int position, float[] k, int kAt) {
    for (int d = 0; d < dims; d++) {
      page.floats[at + d * POSITIONS + position] = k[kAt + d];
    }
  }

  @Override
  void storeValue(KvPage page, int at, int position, float[] v, int vAt) {
    System.arraycopy(v, vAt, page.floats, at + position * padded, dims);
  }

  @Override
  void scores(KvPage page, int at, float[] q, int qAt, int n, float[] out, int outAt) {
    KvProducts.scores(page.floats, at, q, qAt, dims, n, out, outAt);
  }

  @Override
  void scores(
      KvPage page, int at, float[] q, int qAt, int ldq, int n, float[] out, int outAt, int ldo) {
    KvProducts.scores(page.floats, at, q, qAt, ldq, dims, n, out, outAt, ldo);
  }

  @Override
  void values(KvPage page, int at, float[] p, int pAt, int n, float[] out, int outAt) {
    KvProducts.values(page.floats, at, padded, p, pAt, n, out, outAt);
  }

  @Override
  void values(KvPage page, int at, float[] p, int pAt, int ldp, int n, float[] out, int outAt) {
    KvProducts.values(page.floats, at, padded, p, pAt, ldp, n, out, outAt);
  }
}
