package dev.jneox.model;

import java.util.Arrays;
import java.util.Map;
import java.util.Objects;

/**
 * Computes the forward pass of any model as the papers write it: loops over doubles, one sequence
 * at a time, with nothing of the code under test but the description of the model.
 */
public final class PlainForward {
  /** Looks at, or changes, the row of a position at a point by TransformerLens's name. */
  @FunctionalInterface
  public interface Look {
    Look NONE = (name, position, row) -> {};

    void at(String name, int position, double[] row);
  }

  private final ModelSpec spec;
  private final Map<ParamId, float[]> weights;
  private final Look look;

  /** Computes without anybody looking. */
  public PlainForward(ModelSpec spec, Map<ParamId, float[]> weights) {
    this(spec, weights, Look.NONE);
  }

  public PlainForward(ModelSpec spec, Map<ParamId, float[]> weights, Look look) {
    this.spec = spec;
    this.weights = weights;
    this.look = look;
  }

  /** Logits {@code [positions, vocabulary]}. */
  public double[][] logits(int... ids) {
    double[][] x = new double[ids.length][spec.width()];
    for (int p = 0; p < ids.length; p++) {
      add(x[p], row(ParamId.weight(Part.EMBEDDING), ids[p]));
    }
    look("hook_embed", x);
    if (spec.embedding().learnedPositions()) {
      double[][] positions = new double[ids.length][];
      Arrays.setAll(positions, p -> row(ParamId.weight(Part.POSITIONS), p));
      look("hook_pos_embed", positions);
      add(x, positions);
    }
    for (int l = 0; l < spec.layers(); l++) {
      block(l, spec.block(l), x);
    }
    double[][] last = norm(spec.finalNorm(), ParamId.weight(Part.FINAL_NORM), x, "ln_final");
    return linear(spec.headWeight(), ParamId.bias(Part.HEAD), last);
  }

  private void block(int l, BlockSpec block, double[][] x) {
    String name = "blocks." + l + ".";
    look(name + "hook_resid_pre", x);
    double[][] normed =
        norm(block.residual().attention(), ParamId.weight(l, Part.ATTENTION_NORM), x, name + "ln1");
    double[][] attention = attention(l, block.attention(), normed, name + "attn.");
    look(name + "hook_attn_out", attention);
    if (block.residual() instanceof Residual.Serial) {
      add(x, attention);
      look(name + "hook_resid_mid", x);
    }
    if (!(block.residual() instanceof Residual.ParallelOneNorm)) {
      normed =
          norm(
              block.residual().feedForward(),
              ParamId.weight(l, Part.FEED_FORWARD_NORM),
              x,
              name + "ln2");
    }
    double[][] mlp = feedForward(l, block.feedForward(), normed, name + "mlp.");
    look(name + "hook_mlp_out", mlp);
    if (!(block.residual() instanceof Residual.Serial)) {
      add(x, attention);
    }
    add(x, mlp);
    look(name + "hook_resid_post", x);
  }

  private double[][] norm(Norm norm, ParamId weight, double[][] x, String name) {
    double[][] result = new double[x.length][spec.width()];
    boolean layer = norm instanceof Norm.Layer;
    for (int p = 0; p < x.length; p++) {
      double mean = layer ? Arrays.stream(x[p]).average().orElseThrow() : 0;
      double squares = Arrays.stream(x[p]).map(v -> (v - mean) * (v - mean)).sum();
      double[] scale = {Math.sqrt(squares / spec.width() + norm.eps())};
      look.at(name + ".hook_scale", p, scale);
      for (int i = 0; i < spec.width(); i++) {
        result[p][i] = (x[p][i] - mean) / scale[0] * (layer ? values(weight)[i] : 1);
        result[p][i] += layer ? values(weight.as(ParamId.Kind.BIAS))[i] : 0;
      }
    }
    look(name + ".hook_normalized", result);
    for (int p = 0; p < x.length && !layer; p++) { // as TransformerLens has it
      for (int i = 0; i < spec.width(); i++) {
        result[p][i] *= values(weight)[i];
      }
    }
    return result;
  }

  private double[][] attention(int l, Attention spec, double[][] x, String name) {
    double[][] q = linear(ParamId.weight(l, Part.QUERY), ParamId.bias(l, Part.QUERY), x);
    double[][] k = linear(ParamId.weight(l, Part.KEY), ParamId.bias(l, Part.KEY), x);
    double[][] v = linear(ParamId.weight(l, Part.VALUE), ParamId.bias(l, Part.VALUE), x);
    look(name + "hook_q", q);
    look(name + "hook_k", k);
    look(name + "hook_v", v);
    if (spec.position() instanceof Position.Rotary rotary) {
      rotate(rotary, spec.headDim(), q);
      rotate(rotary, spec.headDim(), k);
      look(name + "hook_rot_q", q);
      look(name + "hook_rot_k", k);
    }
    int d = spec.headDim();
    double[][] z = new double[x.length][spec.queryWidth()];
    for (int p = 0; p < x.length; p++) {
      int n = p + 1;
      double[] scores = new double[spec.heads() * n];
      for (int h = 0; h < spec.heads(); h++) {
        for (int t = 0; t < n; t++) {
          double sum = 0;
          for (int i = 0; i < d; i++) {
            sum += q[p][h * d + i] * k[t][h / spec.groupSize() * d + i];
          }
          boolean seen = spec.window() == 0 || t > p - spec.window();
          scores[h * n + t] = seen ? sum * spec.scale() : Double.NEGATIVE_INFINITY;
        }
      }
      look.at(name + "hook_attn_scores", p, scores);
      for (int h = 0; h < spec.heads(); h++) {
        double max = Arrays.stream(scores, h * n, h * n + n).max().orElseThrow();
        double sum = Arrays.stream(scores, h * n, h * n + n).map(s -> Math.exp(s - max)).sum();
        for (int t = h * n; t < h * n + n; t++) {
          scores[t] = Math.exp(scores[t] - max) / sum;
        }
      }
      look.at(name + "hook_pattern", p, scores);
      for (int h = 0; h < spec.heads(); h++) {
        for (int t = 0; t < n; t++) {
          for (int i = 0; i < d; i++) {
            z[p][h * d + i] += scores[h * n + t] * v[t][h / spec.groupSize() * d + i];
          }
        }
      }
    }
    look(name + "hook_z", z);
    return linear(ParamId.weight(l, Part.ATTENTION_OUT), ParamId.bias(l, Part.ATTENTION_OUT), z);
  }

  private static void rotate(Position.Rotary rotary, int headDim, double[][] x) {
    int pairs = rotary.dims() / 2;
    for (int p = 0; p < x.length; p++) {
      for (int head = 0; head < x[p].length; head += headDim) {
        for (int i = 0; i < pairs; i++) {
          int a = head + (rotary.interleaved() ? 2 * i : i);
          int b = rotary.interleaved() ? a + 1 : a + pairs;
          double angle = p * Math.pow(rotary.base(), -2.0 * i / rotary.dims());
          double cos = Math.cos(angle);
          double sin = Math.sin(angle);
          double first = x[p][a] * cos - x[p][b] * sin;
          x[p][b] = x[p][b] * cos + x[p][a] * sin;
          x[p][a] = first;
        }
      }
    }
  }

  private double[][] feedForward(int l, FeedForward spec, double[][] x, String name) {
    double[][] up = linear(ParamId.weight(l, Part.UP), ParamId.bias(l, Part.UP), x);
    double[][] inner =
        spec instanceof FeedForward.Gated
            ? linear(ParamId.weight(l, Part.GATE), ParamId.bias(l, Part.GATE), x)
            : up;
    look(name + "hook_pre", inner);
    if (spec instanceof FeedForward.Gated) {
      look(name + "hook_pre_linear", up);
    }
    for (int p = 0; p < x.length; p++) {
      for (int i = 0; i < spec.width(); i++) {
        double active = activation(spec.activation(), inner[p][i]);
        inner[p][i] = spec instanceof FeedForward.Gated ? active * up[p][i] : active;
      }
    }
    look(name + "hook_post", inner);
    return linear(ParamId.weight(l, Part.DOWN), ParamId.bias(l, Part.DOWN), inner);
  }

  private static double activation(Activation activation, double x) {
    return switch (activation) {
      case GELU -> x / 2 * (1 + erf(x / Math.sqrt(2)));
      case GELU_TANH ->
          x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case SILU -> x / (1 + Math.exp(-x));
    };
  }

  /** {@code 2/sqrt(pi) e^(-x^2) (x + 2/3 x^3 + 4/15 x^5 + ...)}, whose terms have one sign. */
  private static double erf(double x) {
    if (Math.abs(x) > 6) {
      return Math.signum(x);
    }
    double term = x;
    double sum = x;
    for (int n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= 2 * x * x / (2 * n + 1);
      sum += term;
    }
    return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
  }

  /** Without a bias where the model has none. */
  private double[][] linear(ParamId weight, ParamId bias, double[][] x) {
    float[] w = values(weight);
    float[] b = weights.get(bias);
    int in = x[0].length;
    double[][] y = new double[x.length][w.length / in];
    for (int p = 0; p < x.length; p++) {
      for (int o = 0; o < y[p].length; o++) {
        double sum = b == null ? 0 : b[o];
        for (int i = 0; i < in; i++) {
          sum += (double) w[o * in + i] * x[p][i];
        }
        y[p][o] = sum;
      }
    }
    return y;
  }

  private float[] values(ParamId id) {
    return Objects.requireNonNull(weights.get(id), id::toString);
  }

  private double[] row(ParamId table, int row) {
    double[] values = new double[spec.width()];
    Arrays.setAll(values, i -> values(table)[row * spec.width() + i]);
    return values;
  }

  private static void add(double[] x, double[] y) {
    for (int i = 0; i < x.length; i++) {
      x[i] += y[i];
    }
  }

  private static void add(double[][] x, double[][] y) {
    for (int p = 0; p < x.length; p++) {
      add(x[p], y[p]);
    }
  }

  private void look(String name, double[][] rows) {
    for (int p = 0; p < rows.length; p++) {
      look.at(name, p, rows[p]);
    }
  }
}
