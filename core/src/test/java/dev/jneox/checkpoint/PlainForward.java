package dev.jneox.checkpoint;

import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import java.util.HashMap;
import java.util.Map;

/**
 * Computes the forward pass of any {@link ModelSpec} as the papers write it: loops over doubles, no
 * library and no sharing.
 */
public final class PlainForward {
  private final ModelSpec spec;
  private final Map<ParamId, float[]> values = new HashMap<>();

  public PlainForward(ModelWeights weights) {
    spec = weights.spec();
    spec.parameters().forEach(param -> values.put(param.id(), weights.floats(param.id())));
  }

  /** Logits {@code [S][V]}. */
  public double[][] logits(int... ids) {
    double[][] x = new double[ids.length][spec.width()];
    for (int s = 0; s < ids.length; s++) {
      for (int i = 0; i < spec.width(); i++) {
        x[s][i] = values.get(ParamId.weight(Part.EMBEDDING))[ids[s] * spec.width() + i];
        if (spec.embedding().learnedPositions()) {
          x[s][i] += values.get(ParamId.weight(Part.POSITIONS))[s * spec.width() + i];
        }
      }
    }
    for (int l = 0; l < spec.layers(); l++) {
      x = block(x, l);
    }
    double[][] normed = norm(x, spec.finalNorm(), ParamId.weight(Part.FINAL_NORM));
    return linear(normed, spec.headWeight(), ParamId.bias(Part.HEAD));
  }

  private double[][] block(double[][] x, int l) {
    BlockSpec block = spec.block(l);
    double[][] normed =
        norm(x, block.residual().attention(), ParamId.weight(l, Part.ATTENTION_NORM));
    double[][] attention = linear(attention(normed, l), l, Part.ATTENTION_OUT);
    double[][] read =
        block.residual().sharesNorm()
            ? normed
            : norm(
                block.residual().isSerial() ? sum(x, attention) : x,
                block.residual().feedForward(),
                ParamId.weight(l, Part.FEED_FORWARD_NORM));
    FeedForward feedForward = block.feedForward();
    double[][] wide = linear(read, l, Part.UP);
    double[][] gate = feedForward.isGated() ? linear(read, l, Part.GATE) : null;
    for (int s = 0; s < x.length; s++) {
      for (int i = 0; i < feedForward.width(); i++) {
        wide[s][i] =
            gate == null
                ? act(feedForward.activation(), wide[s][i])
                : act(feedForward.activation(), gate[s][i]) * wide[s][i];
      }
    }
    return sum(x, sum(attention, linear(wide, l, Part.DOWN)));
  }

  private double[][] attention(double[][] x, int l) {
    Attention attention = spec.block(l).attention();
    double[][] q = linear(x, l, Part.QUERY);
    double[][] k = linear(x, l, Part.KEY);
    double[][] v = linear(x, l, Part.VALUE);
    int d = attention.headDim();
    double[][] z = new double[x.length][attention.queryWidth()];
    for (int head = 0; head < attention.heads(); head++) {
      int shared = head / attention.groupSize();
      for (int s = 0; s < x.length; s++) {
        int first = attention.window() == 0 ? 0 : Math.max(0, s - attention.window() + 1);
        double[] query = turned(q, s, head, attention);
        double[] weight = new double[s + 1];
        double total = 0;
        for (int t = first; t <= s; t++) {
          double[] key = turned(k, t, shared, attention);
          double score = 0;
          for (int i = 0; i < d; i++) {
            score += query[i] * key[i];
          }
          weight[t] = Math.exp(score * attention.scale());
          total += weight[t];
        }
        for (int t = first; t <= s; t++) {
          for (int i = 0; i < d; i++) {
            z[s][head * d + i] += weight[t] / total * v[t][shared * d + i];
          }
        }
      }
    }
    return z;
  }

  private static double[] turned(double[][] rows, int s, int head, Attention attention) {
    int d = attention.headDim();
    double[] x = new double[d];
    System.arraycopy(rows[s], head * d, x, 0, d);
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
    float[] scale = values.get(weight);
    float[] shift = values.get(weight.as(ParamId.Kind.BIAS));
    double[][] y = new double[x.length][spec.width()];
    for (int s = 0; s < x.length; s++) {
      double mean = 0;
      double square = 0;
      for (double value : x[s]) {
        mean += value / spec.width();
      }
      double centre = norm instanceof Norm.Layer ? mean : 0;
      for (double value : x[s]) {
        square += (value - centre) * (value - centre) / spec.width();
      }
      for (int i = 0; i < spec.width(); i++) {
        y[s][i] = (x[s][i] - centre) / Math.sqrt(square + norm.eps()) * scale[i];
        y[s][i] += shift == null ? 0 : shift[i];
      }
    }
    return y;
  }

  private double[][] linear(double[][] x, int l, Part part) {
    return linear(x, ParamId.weight(l, part), ParamId.bias(l, part));
  }

  private double[][] linear(double[][] x, ParamId weight, ParamId bias) {
    float[] w = values.get(weight);
    float[] b = values.get(bias);
    int in = x[0].length;
    double[][] y = new double[x.length][w.length / in];
    for (int s = 0; s < x.length; s++) {
      for (int o = 0; o < y[s].length; o++) {
        y[s][o] = b == null ? 0 : b[o];
        for (int i = 0; i < in; i++) {
          y[s][o] += (double) w[o * in + i] * x[s][i];
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

  private static double act(Activation activation, double x) {
    return switch (activation) {
      case GELU -> x / 2 * (1 + erf(x / Math.sqrt(2)));
      case GELU_TANH ->
          x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case SILU -> x / (1 + Math.exp(-x));
    };
  }

  /** By its Taylor series, which is exact enough where the values of tests lie. */
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
