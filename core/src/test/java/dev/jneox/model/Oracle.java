package dev.jneox.model;

import java.util.Map;
import java.util.function.DoubleUnaryOperator;

/**
 * The forward pass as the papers write it: loops over doubles, one position at a time, no library
 * and no sharing.
 */
final class Oracle {
  private final ModelConfig config;
  private final Map<String, float[]> weights;

  Oracle(ModelConfig config, Map<String, float[]> weights) {
    this.config = config;
    this.weights = weights;
  }

  /** Logits {@code [S][V]}. */
  double[][] logits(int[] ids) {
    int h = config.hiddenSize();
    double[][] x = new double[ids.length][h];
    for (int s = 0; s < ids.length; s++) {
      for (int i = 0; i < h; i++) {
        x[s][i] = weights.get("embed_in.weight")[ids[s] * h + i];
        if (config.position() instanceof Position.Learned) {
          x[s][i] += weights.get("embed_positions.weight")[s * h + i];
        }
      }
    }
    for (int l = 0; l < config.layers(); l++) {
      x = block(x, l);
    }
    x = norm(x, "final_layer_norm");
    return linear(
        x,
        config.tiedHead() ? "embed_in.weight" : "embed_out.weight",
        "embed_out.bias",
        config.vocabSize());
  }

  private double[][] block(double[][] x, int layer) {
    String p = "layers." + layer + ".";
    double[][] normed = norm(x, p + "input_layernorm");
    double[][] attention =
        linear(
            attention(
                linear(normed, p + "attention.query_key_value", 3 * config.hiddenSize()), layer),
            p + "attention.dense",
            config.hiddenSize());
    double[][] mlpInput =
        switch (config.residual()) {
          case SERIAL -> norm(sum(x, attention), p + "post_attention_layernorm");
          case PARALLEL -> norm(x, p + "post_attention_layernorm");
          case PARALLEL_ONE_NORM -> normed;
        };
    double[][] wide = linear(mlpInput, p + "mlp.dense_h_to_4h", config.intermediateSize());
    DoubleUnaryOperator gelu =
        config.activation() == Activation.GELU ? Oracle::gelu : Oracle::geluTanh;
    for (double[] row : wide) {
      for (int i = 0; i < row.length; i++) {
        row[i] = gelu.applyAsDouble(row[i]);
      }
    }
    return sum(x, sum(attention, linear(wide, p + "mlp.dense_4h_to_h", config.hiddenSize())));
  }

  private double[][] attention(double[][] fused, int layer) {
    int d = config.headDim();
    int window = config.windows().get(layer);
    double[][] z = new double[fused.length][config.hiddenSize()];
    for (int head = 0; head < config.heads(); head++) {
      for (int s = 0; s < fused.length; s++) {
        int first = window == 0 ? 0 : Math.max(0, s - window + 1);
        double[] q = part(fused, s, head, 0);
        double[] p = new double[s + 1];
        double total = 0;
        for (int t = first; t <= s; t++) {
          double score =
              dot(q, part(fused, t, head, 1)) / (config.scaledAttention() ? Math.sqrt(d) : 1);
          total += p[t] = Math.exp(score);
        }
        for (int t = first; t <= s; t++) {
          double[] v = part(fused, t, head, 2);
          for (int i = 0; i < d; i++) {
            z[s][head * d + i] += p[t] / total * v[i];
          }
        }
      }
    }
    return z;
  }

  /**
   * Query (0), key (1) or value (2) of one head at position {@code s}, turned if it is one that
   * turns.
   */
  private double[] part(double[][] fused, int s, int head, int which) {
    int d = config.headDim();
    double[] x = new double[d];
    System.arraycopy(fused[s], (head * 3 + which) * d, x, 0, d);
    if (which < 2 && config.position() instanceof Position.Rotary rotary) {
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

  private double[][] norm(double[][] x, String name) {
    double[][] y = new double[x.length][];
    for (int s = 0; s < x.length; s++) {
      double mean = 0;
      for (double v : x[s]) {
        mean += v / x[s].length;
      }
      double variance = 0;
      for (double v : x[s]) {
        variance += (v - mean) * (v - mean) / x[s].length;
      }
      y[s] = new double[x[s].length];
      for (int i = 0; i < y[s].length; i++) {
        double centred = (x[s][i] - mean) / Math.sqrt(variance + config.layerNormEps());
        y[s][i] = centred * weights.get(name + ".weight")[i] + weights.get(name + ".bias")[i];
      }
    }
    return y;
  }

  private double[][] linear(double[][] x, String name, int out) {
    return linear(x, name + ".weight", name + ".bias", out);
  }

  private double[][] linear(double[][] x, String weight, String biasOrNone, int out) {
    float[] w = weights.get(weight);
    float[] bias = weights.get(biasOrNone);
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
