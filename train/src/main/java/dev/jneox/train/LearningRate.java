package dev.jneox.train;

import dev.jneox.io.InputException;
import java.util.Arrays;

/**
 * Computes the learning rate of an iteration: a linear warm-up, then a decay, by the formulas of
 * one of two versions of GPT-NeoX. With n the iteration, w the warm-up, E the end of the decay, lr
 * the peak and floor the minimum:
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
 * and never below the floor after the warm-up. Past E the v2 cosine rises again, as in GPT-NeoX.
 * GPT-NeoX's rate exceeds the peak for some steps when the warm-up is shorter than an iteration
 * (v2: lr / w) or longer than E/2 (v1.0); this one never does.
 *
 * @param lr the peak
 * @param minLr the floor
 * @param warmupIters w, not rounded: GPT-NeoX takes a fraction of E
 * @param decayIters E
 */
public record LearningRate(
    Version version, Style style, double lr, double minLr, double warmupIters, long decayIters) {

  /** Names the version of GPT-NeoX whose formulas are used. */
  public enum Version {
    /** GPT-NeoX v1.0, which trained GPT-NeoX-20B and Pythia. */
    V1_0("v1.0"),
    /** GPT-NeoX v2 and later. */
    V2("v2");

    private final String text;

    Version(String text) {
      this.text = text;
    }

    /**
     * Reads {@code v1.0} or {@code v2}.
     *
     * @throws InputException when the text is neither
     */
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

  /** Lists the forms of the decay; the formulas are in the table above. */
  public enum Style {
    /** Stays at the peak. */
    CONSTANT,
    /** Falls by the same amount each iteration. */
    LINEAR,
    /** Falls along half a cosine. */
    COSINE,
    /** Falls by the same factor each iteration. */
    EXPONENTIAL
  }

  /**
   * Checks the values.
   *
   * @throws InputException naming a value that is outside its range
   */
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
   * Returns the rate of an optimizer step.
   *
   * @param iteration optimizer steps made before it, without those skipped for an overflow
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
