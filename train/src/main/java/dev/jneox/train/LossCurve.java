package dev.jneox.train;

import java.util.ArrayList;
import java.util.List;

/**
 * Holds the losses of a training run by the tokens seen, in nats per token.
 *
 * @param training of each step
 * @param validation on held-out text
 */
public record LossCurve(List<Point> training, List<Point> validation) {
  /**
   * Holds a loss after a number of training tokens.
   *
   * @param tokens seen since step 0
   * @param loss in nats per token
   */
  public record Point(long tokens, double loss) {}

  /** Copies the lists. */
  public LossCurve {
    training = List.copyOf(training);
    validation = List.copyOf(validation);
  }

  /** Collects the curve of a run, as a callback of {@link Trainer#run}. */
  public static final class Recorder implements TrainingCallback {
    private final long tokensPerStep;
    private final List<Point> training = new ArrayList<>();
    private final List<Point> validation = new ArrayList<>();

    /**
     * Starts without a point.
     *
     * @param tokensPerStep training tokens of a batch
     */
    public Recorder(long tokensPerStep) {
      this.tokensPerStep = tokensPerStep;
    }

    @Override
    public void afterStep(Trainer trainer, Trainer.Step step) {
      training.add(new Point(step.iteration() * tokensPerStep, step.loss()));
    }

    @Override
    public void afterEvaluation(String name, int iteration, double loss) {
      if (name.equals("validation")) {
        validation.add(new Point(iteration * tokensPerStep, loss));
      }
    }

    /** Returns the curve so far. */
    public LossCurve curve() {
      return new LossCurve(training, validation);
    }
  }

  /**
   * Returns the curve without losses that are not finite, such as that of a step that overflowed.
   */
  public LossCurve finite() {
    return new LossCurve(finite(training), finite(validation));
  }

  private static List<Point> finite(List<Point> points) {
    return points.stream().filter(point -> Double.isFinite(point.loss())).toList();
  }

  /**
   * Averages each training loss with its neighbours, over about a fortieth of the run. Near the
   * ends of the run it takes fewer neighbours, as many before as after.
   */
  public double[] localMean() {
    return localMean(training.stream().mapToDouble(Point::loss).toArray());
  }

  static double[] localMean(double[] values) {
    int reach = values.length / 80;
    double[] sums = new double[values.length + 1];
    for (int i = 0; i < values.length; i++) {
      sums[i + 1] = sums[i] + values[i];
    }
    double[] means = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      int near = Math.min(reach, Math.min(i, values.length - 1 - i));
      means[i] = (sums[i + near + 1] - sums[i - near]) / (2 * near + 1);
    }
    return means;
  }
}
