package dev.jneox.train;

/**
 * Estimates the time that the rest of a run takes.
 *
 * @param steps left; 0 or fewer when the run is at its end
 * @param flops floating-point operations left
 */
public record Forecast(int steps, double flops) {
  /** The rate of training divided by that of the machine's matrix products, about. */
  private static final double SHARE_OF_GEMM = 0.6;

  /** Counts the steps and operations that a trainer has left. */
  public static Forecast of(Trainer trainer, NeoxConfig config) {
    int steps = trainer.iterations() - trainer.iteration();
    int seqLength = config.model().seqLength();
    long tokens = (long) config.batch().total() * seqLength;
    return new Forecast(steps, steps * trainer.model().trainingFlops(tokens, seqLength));
  }

  /**
   * Estimates the seconds that the rest takes.
   *
   * @param gemmRate FLOP/s of the machine's matrix products, in the type that the run uses
   */
  public double seconds(double gemmRate) {
    return seconds(flops, gemmRate);
  }

  /**
   * Estimates the seconds that training takes.
   *
   * @param flops floating-point operations of the model
   * @param gemmRate FLOP/s of the machine's matrix products, in the type that the run uses
   */
  public static double seconds(double flops, double gemmRate) {
    return flops / (SHARE_OF_GEMM * gemmRate);
  }
}
