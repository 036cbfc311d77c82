package dev.jneox.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Decides which steps are left out because their loss or gradient norm leaps, as OLMo-core's
 * SkipStepOptimizer: those that are more than {@code sigmas} standard deviations above the mean of
 * the last {@code interval} steps. Of the first {@code interval / 2} steps none is left out.
 *
 * @param sigmas standard deviations above the mean; 0 leaves out no step
 * @param interval steps that mean and deviation are of, at least 2
 */
public record SpikeRule(double sigmas, int interval) {
  /**
   * The last steps of a run, which a checkpoint saves, so that a resumed run goes on exactly.
   *
   * @param losses of the last steps, the oldest first; those left out too
   * @param norms of their gradients
   */
  record Recent(List<Double> losses, List<Double> norms) {
    /** No step. */
    static final Recent NONE = new Recent(List.of(), List.of());

    Recent {
      losses = List.copyOf(losses);
      norms = List.copyOf(norms);
    }
  }

  static SpikeRule of(Settings s) {
    return new SpikeRule(
        s.real("skip_step_sigma_factor"), s.integer("skip_step_rolling_interval_length"));
  }

  /** Returns whether steps are left out at all. */
  public boolean isOn() {
    return sigmas > 0;
  }

  /** Describes the leap of a step; empty for one that is to be taken. */
  Optional<String> spike(Recent recent, double loss, double norm) {
    if (!isOn() || recent.losses.size() < Math.max(2, interval / 2)) {
      return Optional.empty();
    }
    return leap("loss", recent.losses, loss).or(() -> leap("gradient norm", recent.norms, norm));
  }

  private Optional<String> leap(String what, List<Double> before, double value) {
    double mean = before.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
    double squares = before.stream().mapToDouble(x -> (x - mean) * (x - mean)).sum();
    double deviation = Math.sqrt(squares / (before.size() - 1));
    return value > mean + sigmas * deviation
        ? Optional.of(
            String.format(
                Locale.ROOT,
                "%s %.4g is %.1f standard deviations above %.4g, the mean of the last %d steps",
                what,
                value,
                (value - mean) / deviation,
                mean,
                before.size()))
        : Optional.empty();
  }

  /** Returns the last steps with one more. */
  Recent after(Recent recent, double loss, double norm) {
    return isOn() ? new Recent(with(recent.losses, loss), with(recent.norms, norm)) : Recent.NONE;
  }

  private List<Double> with(List<Double> values, double value) {
    List<Double> more = new ArrayList<>(values);
    more.add(value);
    return more.subList(Math.max(0, more.size() - interval), more.size());
  }
}
