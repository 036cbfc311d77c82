package dev.jneox.model;

/** Normalises a row of the residual stream before a linear map reads it. */
public sealed interface Norm {
  /** Returns the term added to the variance or the mean square before the root. */
  double eps();

  /** Returns the same kind of norm with another {@link #eps}. */
  Norm withEps(double eps);

  /** Computes {@code (x - mean) / sqrt(variance + eps) * weight + bias} (Ba et al. 2016). */
  record Layer(double eps) implements Norm {
    @Override
    public Norm withEps(double eps) {
      return new Layer(eps);
    }
  }

  /** Computes {@code x / sqrt(mean(x^2) + eps) * weight} (Zhang and Sennrich 2019). */
  record Rms(double eps) implements Norm {
    @Override
    public Norm withEps(double eps) {
      return new Rms(eps);
    }
  }
}
