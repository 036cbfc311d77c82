package dev.jneox.train;

import dev.jneox.io.InputException;
import java.util.Arrays;

/**
 * The learning rate of an iteration: a linear warm-up, then a decay, as one of two versions of
 * GPT-NeoX computes it. With n the iteration, w the warm-up, E the end of the decay, lr the peak
 * and floor the minimum:
 *
 * <pre>
 *            v1.0 (trained 20B and Pythia)                   v2 and later
 *   warm-up  lr n / w, so the first step has rate 0          lr max(1, n) / w
 *   then     m = min(n, E - w) - w                           m = n - w,  D = E - w
 *   linear   lr (E - m) / E                                  lr (D - m) / D
 *   cosine   lr/2 (cos(pi m / E) + 1)                        floor + (lr - floor)/2 (cos(pi m / D) + 1)
 *   exponential  lr exp(-0.693 m / E)                        lr exp(-0.693 m / D)
 * </pre>
 *
 * and never below the floor once warm. Past E the v2 cosine rises again, as GPT-NeoX's does. Unlike
 * GPT-NeoX's, the rate is never above the peak: there it is for a moment when the warm-up is
 * shorter than an iteration (v2: lr / w) or longer than E/2 (v1.0).
 *
 * @param warmupIters w, not rounded: GPT-NeoX takes a fraction of E
 * @param decayIters E
 */
public record LearningRate(
    Version version, Style style, double lr, double minLr, double warmupIters, long decayIters) {

  /** Whose formulas. */
  public enum Version {
    V1_0("v1.0"),
    V2("v2");

    private final String text;

    Version(String text) {
      this.text = text;
    }

    /** Reads {@code v1.0} or {@code v2}. */
    public static Version of(String text) {
      return Arrays.stream(values())
          .filter(v -> v.text.equals(text))
          .findFirst()
          .orElseThrow(
              () -> new InputException("schedule version: expected v1.0 or v2, found " + text));
    }

    @Override
    public String toString() {
      return text;
    }
  }

  /** The form of the decay. */
  public enum Style {
    CONSTANT,
    LINEAR,
    COSINE,
    EXPONENTIAL
  }

  public LearningRate {
    require(lr >= 0 && Double.isFinite(lr), "learning rate", "a number >= 0", lr);
    require(minLr >= 0 && minLr <= lr, "minimum learning rate", "a number within 0.." + lr, minLr);
    require(decayIters >= 1, "decay iterations", "a whole number >= 1", decayIters);
    require(
        warmupIters >= 0 && warmupIters < decayIters,
        "warm-up iterations",
        "a number >= 0 and < " + decayIters,
        warmupIters);
  }

  private static void require(boolean holds, String what, String expected, Object found) {
    if (!holds) {
      throw new InputException(what + ": expected " + expected + ", found " + found);
    }
  }

  /**
   * The rate of the optimizer step that ends an iteration.
   *
   * @param iteration steps already taken; 0 is the first step. Steps skipped for an overflow are
   *     not counted
   */
  public double at(long iteration) {
    return Math.min(lr, version == Version.V1_0 ? first(iteration) : second(iteration));
  }

  private double first(long iteration) {
    double n = Math.min(iteration, decayIters - warmupIters);
    if (warmupIters > 0 && iteration <= warmupIters) {
      return lr * n / warmupIters;
    }
    double m = n - warmupIters;
    double rate =
        switch (style) {
          case CONSTANT -> lr;
          case LINEAR -> lr * (decayIters - m) / decayIters;
          case COSINE -> lr / 2 * (Math.cos(Math.PI * m / decayIters) + 1);
          case EXPONENTIAL -> lr * Math.exp(-0.693 * m / decayIters);
        };
    return Math.max(rate, minLr);
  }

  private double second(long iteration) {
    if (warmupIters > 0 && iteration <= warmupIters) {
      return lr * Math.max(1, iteration) / warmupIters;
    }
    double m = iteration - warmupIters;
    double d = decayIters - warmupIters;
    double rate =
        switch (style) {
          case CONSTANT -> lr;
          case LINEAR -> lr * (d - m) / d;
          case COSINE -> minLr + (lr - minLr) / 2 * (Math.cos(Math.PI * m / d) + 1);
          case EXPONENTIAL -> lr * Math.exp(-0.693 * m / d);
        };
    return Math.max(rate, minLr);
  }
}
