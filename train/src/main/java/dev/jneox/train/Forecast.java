package dev.jneox.train;

/**
 * Estimates what is left of a run. The number of steps is fixed: a slow or busy machine takes
 * longer.
 *
 * @param steps left; 0 or fewer when the run is at its end
 * @param flops floating-point operations left
 */
public record Forecast(int steps, double flops) {
  /** How much of the rate of its matrix products a machine trains at, about. */
  private static final double SHARE_OF_GEMM = 0.6;

  /** Counts what a trainer has left to do. */
  public static Forecast of(Trainer trainer, NeoxConfig config) {
    int steps = trainer.iterations() - trainer.iteration();
    int seqLength = config.model().seqLength();
    long tokens = (long) config.batch().total() * seqLength;
    return new Forecast(steps, steps * trainer.model().trainingFlops(tokens, seqLength));
  }

  /**
   * Estimates the seconds that it takes.
   *
   * @param gemmRate FLOP/s of the machine's matrix products, in the type that the run uses
   */
  public double seconds(double gemmRate) {
    return seconds(flops, gemmRate);
  }

  /** Estimates the seconds that so many floating-point operations of training take. */
  public static double seconds(double flops, double gemmRate) {
    return flops / (SHARE_OF_GEMM * gemmRate);
  }
}
