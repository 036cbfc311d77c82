package dev.jneox.torch;

import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.Map;

/**
 * The forward pass as the papers write it: loops over doubles, one position at a time, no library
 * and no sharing.
 */
final class Oracle {
  private final ModelSpec spec;
  private final Map<ParamId, float[]> weights;

  Oracle(ModelSpec spec, Map<ParamId, float[]> weights) {
    this.spec = spec;
    this.weights = weights;
  }

  /** Logits {@code [S][V]}. */
  double[][] logits(int[] ids) {
    int h = spec.width();
    double[][] x = new double[ids.length][h];
    for (int s = 0; s < ids.length; s++) {
      for (int i = 0; i < h; i++) {
        x[s][i] = weights.get(ParamId.weight(Part.EMBEDDING))[ids[s] * h + i];
        if (spec.embedding().learnedPositions()) {
          x[s][i] += weights.get(ParamId.weight(Part.POSITIONS))[s * h + i];
        }
      }
    }
    for (int l = 0; l < spec.layers(); l++) {
      x = block(x, l);
    }
    x = norm(x, spec.finalNorm(), ParamId.weight(Part.FINAL_NORM));
    return linear(x, spec.headWeight(), ParamId.bias(Part.HEAD));
  }

  private double[][] block(double[][] x, int l) {
    BlockSpec block = spec.block(l);
    Residual residual = block.residual();
    double[][] normed = norm(x, residual.attention(), ParamId.weight(l, Part.ATTENTION_NORM));
    double[][] attention = linear(attention(normed, l), l, Part.ATTENTION_OUT);
    ParamId norm2 = ParamId.weight(l, Part.FEED_FORWARD_NORM);
    double[][] mlpInput =
        switch (residual) {
          case Residual.Serial(Norm _, Norm norm) -> norm(sum(x, attention), norm, norm2);
          case Residual.Parallel(Norm _, Norm norm) -> norm(x, norm, norm2);
          case Residual.ParallelOneNorm _ -> normed;
        };
    double[][] up = linear(mlpInput, l, Part.UP);
    double[][] gate = block.feedForward().isGated() ? linear(mlpInput, l, Part.GATE) : null;
    for (int s = 0; s < up.length; s++) {
      for (int i = 0; i < up[s].length; i++) {
        up[s][i] =
            switch (block.feedForward()) {
              case FeedForward.Plain plain -> activate(plain.activation(), up[s][i]);
              case FeedForward.Gated gated -> activate(gated.activation(), gate[s][i]) * up[s][i];
            };
      }
    }
    return sum(x, sum(attention, linear(up, l, Part.DOWN)));
  }

  private double[][] attention(double[][] x, int l) {
    Attention attention = spec.block(l).attention();
    double[][] queries = linear(x, l, Part.QUERY);
    double[][] keys = linear(x, l, Part.KEY);
    double[][] values = linear(x, l, Part.VALUE);
    int d = attention.headDim();
    int window = attention.window();
    double[][] z = new double[x.length][attention.queryWidth()];
    for (int head = 0; head < attention.heads(); head++) {
      int shared = head / (attention.heads() / attention.kvHeads());
      for (int s = 0; s < x.length; s++) {
        int first = window == 0 ? 0 : Math.max(0, s - window + 1);
        double[] q = turned(queries[s], head, s, attention);
        double[] p = new double[s + 1];
        double total = 0;
        for (int t = first; t <= s; t++) {
          double score = dot(q, turned(keys[t], shared, t, attention)) * attention.scale();
          total += p[t] = Math.exp(score);
        }
        for (int t = first; t <= s; t++) {
          for (int i = 0; i < d; i++) {
            z[s][head * d + i] += p[t] / total * values[t][shared * d + i];
          }
        }
      }
    }
    return z;
  }

  /** One head of a row of queries or keys at position {@code s}, turned if it is one that turns. */
  private static double[] turned(double[] row, int head, int s, Attention attention) {
    int d = attention.headDim();
    double[] x = new double[d];
    System.arraycopy(row, head * d, x, 0, d);
    if (attention.position() instanceof Position.Rotary rotary) {
      for (int i = 0; i < rotary.dims() / 2; i++) {
        int a = rotary.interleaved() ? 2 * i : i;
        int b = rotary.interleaved() ? 2 * i + 1 : i + rotary.dims() / 2;
        double angle = s * Math.pow(rotary.base(), -2.0 * i / rotary.dims());
        double first = x[a];
        x[a] = first * Math.cos(angle) - x[b] * Math.sin(angle);
        x[b] = first * Math.sin(angle) + x[b] * Math.cos(angle);
      }
    }
    return x;
  }

  private double[][] norm(double[][] x, Norm norm, ParamId weight) {
    float[] w = weights.get(weight);
    float[] bias = weights.get(weight.as(ParamId.Kind.BIAS));
    double[][] y = new double[x.length][];
    for (int s = 0; s < x.length; s++) {
      double mean = 0;
      if (norm instanceof Norm.Layer) {
        for (double v : x[s]) {
          mean += v / x[s].length;
        }
      }
      double variance = 0;
      for (double v : x[s]) {
        variance += (v - mean) * (v - mean) / x[s].length;
      }
      y[s] = new double[x[s].length];
      for (int i = 0; i < y[s].length; i++) {
        double centred = (x[s][i] - mean) / Math.sqrt(variance + norm.eps());
        y[s][i] = centred * w[i] + (bias == null ? 0 : bias[i]);
      }
    }
    return y;
  }

  private double[][] linear(double[][] x, int l, Part part) {
    return linear(x, ParamId.weight(l, part), ParamId.bias(l, part));
  }

  private double[][] linear(double[][] x, ParamId weight, ParamId biasOrNone) {
    float[] w = weights.get(weight);
    float[] bias = weights.get(biasOrNone);
    int out = w.length / x[0].length;
    double[][] y = new double[x.length][out];
    for (int s = 0; s < x.length; s++) {
      for (int o = 0; o < out; o++) {
        y[s][o] = bias == null ? 0 : bias[o];
        for (int i = 0; i < x[s].length; i++) {
          y[s][o] += w[o * x[s].length + i] * x[s][i];
        }
      }
    }
    return y;
  }

  private static double[][] sum(double[][] a, double[][] b) {
    double[][] c = new double[a.length][a[0].length];
    for (int s = 0; s < a.length; s++) {
      for (int i = 0; i < a[s].length; i++) {
        c[s][i] = a[s][i] + b[s][i];
      }
    }
    return c;
  }

  private static double dot(double[] a, double[] b) {
    double dot = 0;
    for (int i = 0; i < a.length; i++) {
      dot += a[i] * b[i];
    }
    return dot;
  }

  private static double activate(Activation activation, double x) {
    return switch (activation) {
      case GELU -> gelu(x);
      case GELU_TANH -> geluTanh(x);
      case SILU -> x / (1 + Math.exp(-x));
    };
  }

  private static double geluTanh(double x) {
    return x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
  }

  private static double gelu(double x) {
    return x / 2 * (1 + erf(x / Math.sqrt(2)));
  }

  /** By its Taylor series, which is exact enough where the test's values lie. */
  private static double erf(double x) {
    if (Math.abs(x) > 5) {
      return Math.signum(x);
    }
    double term = x;
    double sum = x;
    for (int n = 1; Math.abs(term) > 1e-17 && n < 200; n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return 2 / Math.sqrt(Math.PI) * sum;
  }
}
