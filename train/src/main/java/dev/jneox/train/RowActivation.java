package dev.jneox.train;

import dev.jneox.kernel.Lanes;
import dev.jneox.kernel.Vectors;
import dev.jneox.model.Activation;
import jdk.incubator.vector.FloatVector;

/** Computes an {@link Activation} of a row and its derivative, in fp32. */
sealed interface RowActivation {
  /** {@code row = act(row)} of {@code n} values; writes up to a whole vector. */
  void forward(float[] row, int n);

  /** {@code gradient *= act'(x)} of {@code n} values; writes up to a whole vector. */
  void backward(float[] x, float[] gradient, int n);

  static RowActivation of(Activation activation) {
    return switch (activation) {
      case GELU -> new Gelu();
      case GELU_TANH -> new GeluTanh();
      case SILU -> new Silu();
    };
  }

  /** See {@link Activation#GELU}. */
  record Gelu() implements RowActivation {
    @Override
    public void forward(float[] row, int n) {
      Vectors.gelu(row, 0, n);
    }

    @Override
    public void backward(float[] x, float[] gradient, int n) {
      Vectors.geluBackward(x, gradient, n);
    }
  }

  /** See {@link Activation#GELU_TANH}. */
  record GeluTanh() implements RowActivation {
    @Override
    public void forward(float[] row, int n) {
      Vectors.geluTanh(row, 0, n);
    }

    @Override
    public void backward(float[] x, float[] gradient, int n) {
      Vectors.geluTanhBackward(x, gradient, n);
    }
  }

  /** See {@link Activation#SILU}. */
  record Silu() implements RowActivation {
    @Override
    public void forward(float[] row, int n) {
      for (int i = 0; i < n; i += Lanes.F.length()) {
        FloatVector x = FloatVector.fromArray(Lanes.F, row, i);
        x.mul(sigmoid(x)).intoArray(row, i);
      }
    }

    /** The derivative is {@code s (1 + x (1 - s))}, with {@code s = sigmoid(x)}. */
    @Override
    public void backward(float[] x, float[] gradient, int n) {
      for (int i = 0; i < n; i += Lanes.F.length()) {
        FloatVector v = FloatVector.fromArray(Lanes.F, x, i);
        FloatVector s = sigmoid(v);
        FloatVector slope = v.mul(s.neg().add(1f)).add(1f).mul(s);
        FloatVector.fromArray(Lanes.F, gradient, i).mul(slope).intoArray(gradient, i);
      }
    }

    private static FloatVector sigmoid(FloatVector x) {
      return FloatVector.broadcast(Lanes.F, 1f).div(Lanes.exp(x.neg()).add(1f));
    }
  }
}
