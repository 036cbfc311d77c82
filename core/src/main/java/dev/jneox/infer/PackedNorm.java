package dev.jneox.infer;

import dev.jneox.kernel.Vectors;
import dev.jneox.model.Norm;

/** Normalises rows of the residual stream as a {@link Norm} says, in fp32. */
sealed interface PackedNorm {
  /** {@code [width]}. */
  float[] weight();

  double eps();

  /** What is taken from each value of the row {@code x[at ...]} first. */
  float mean(float[] x, int at);

  /** What each value is divided by then: {@link Norm}'s root. */
  default double scale(float[] x, int at, float mean) {
    int width = weight().length;
    return Math.sqrt(Vectors.squares(x, at, mean, width) / width + eps());
  }

  /** Writes {@code (x - mean) * inverse * weight}, plus the bias if there is one, to {@code to}. */
  void write(float[] x, int at, float mean, float inverse, float[] to, int toAt);

  /**
   * Writes what TransformerLens calls {@code hook_normalized}: the result of a layer norm, of an
   * RMS norm the row before its weights. {@link #finish} makes the result of it, bit for bit that
   * of {@link #write}.
   */
  void normalize(float[] x, int at, float mean, float inverse, float[] to, int toAt);

  /** Makes the result of what {@link #normalize} wrote, in its place. */
  void finish(float[] to, int toAt);

  /** Writes the normalised row {@code x[at ...]} to {@code to[toAt ...]}. */
  default void apply(float[] x, int at, float[] to, int toAt) {
    float mean = mean(x, at);
    write(x, at, mean, (float) (1 / scale(x, at, mean)), to, toAt);
  }

  /** {@link Norm.Layer}. */
  record Layer(float[] weight, float[] bias, double eps) implements PackedNorm {
    @Override
    public float mean(float[] x, int at) {
      return Vectors.sum(x, at, weight.length) / weight.length;
    }

    @Override
    public void write(float[] x, int at, float mean, float inverse, float[] to, int toAt) {
      for (int i = 0; i < weight.length; i++) {
        to[toAt + i] = (x[at + i] - mean) * inverse * weight[i] + bias[i];
      }
    }

    @Override
    public void normalize(float[] x, int at, float mean, float inverse, float[] to, int toAt) {
      write(x, at, mean, inverse, to, toAt);
    }

    @Override
    public void finish(float[] to, int toAt) {}
  }

  /** {@link Norm.Rms}. */
  record Rms(float[] weight, double eps) implements PackedNorm {
    @Override
    public float mean(float[] x, int at) {
      return 0;
    }

    @Override
    public void write(float[] x, int at, float mean, float inverse, float[] to, int toAt) {
      for (int i = 0; i < weight.length; i++) {
        to[toAt + i] = x[at + i] * inverse * weight[i];
      }
    }

    @Override
    public void normalize(float[] x, int at, float mean, float inverse, float[] to, int toAt) {
      for (int i = 0; i < weight.length; i++) {
        to[toAt + i] = x[at + i] * inverse;
      }
    }

    @Override
    public void finish(float[] to, int toAt) {
      for (int i = 0; i < weight.length; i++) {
        to[toAt + i] *= weight[i];
      }
    }
  }
}
