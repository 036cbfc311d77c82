package dev.jneox.train;

import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;

/**
 * States the settings of AdamW and its learning rate.
 *
 * @param lr the peak of the schedule
 * @param beta1 decay rate of the first moment
 * @param beta2 decay rate of the second moment
 * @param eps added to the root of the second moment
 * @param weightDecay of matrices and embeddings; norms and biases have none
 * @param clip largest global L2 norm of the gradient, 0 for no clipping
 * @param version whose formulas the schedule follows
 * @param style form of the decay
 * @param minLr least learning rate after the warm-up
 * @param decayIters iteration at which the decay ends, if the configuration states it
 * @param decayFraction end of the decay as a fraction of the run; NaN if it is not stated so
 * @param warmup length of the warm-up as a fraction of the decay's
 * @param spikes which steps are left out because loss or gradient norm leaps
 * @param zeroStage what the copies of a model share out: 0 for nothing, 1 for the moments
 */
public record OptimizerSection(
    double lr,
    double beta1,
    double beta2,
    double eps,
    double weightDecay,
    double clip,
    LearningRate.Version version,
    LearningRate.Style style,
    double minLr,
    OptionalInt decayIters,
    double decayFraction,
    double warmup,
    SpikeRule spikes,
    int zeroStage) {

  private static final String ZERO = "zero_optimization";

  static OptimizerSection of(Settings s) {
    if (!s.given("optimizer.type")) {
      throw s.wrong(
          "optimizer.type",
          "is required and not set: write optimizer: {type: Adam, params: {lr: ...}}");
    }
    List<Double> betas =
        s.given("optimizer.params.betas") ? s.list("optimizer.params.betas") : List.of(0.9, 0.999);
    if (betas.size() != 2 || betas.stream().anyMatch(b -> b < 0 || b >= 1)) {
      throw s.wrong("optimizer.params.betas", "expected two numbers >= 0 and < 1, found " + betas);
    }
    double lr = s.real("optimizer.params.lr");
    if (s.real("min_lr") > lr) {
      throw s.wrong(
          "min_lr", s.real("min_lr") + " is more than the learning rate optimizer.params.lr " + lr);
    }
    if (s.given("lr_decay_iters") && s.given("lr_decay_fraction")) {
      throw s.wrong("lr_decay_fraction", "is set beside lr_decay_iters: keep one of them");
    }
    return new OptimizerSection(
        lr,
        betas.get(0),
        betas.get(1),
        s.real("optimizer.params.eps"),
        s.real("weight_decay"),
        s.real("gradient_clipping"),
        LearningRate.Version.of(s.text("lr_schedule_version")),
        LearningRate.Style.valueOf(s.text("lr_decay_style").toUpperCase(Locale.ROOT)),
        s.real("min_lr"),
        s.maybeInteger("lr_decay_iters"),
        s.given("lr_decay_fraction") ? s.real("lr_decay_fraction") : Double.NaN,
        s.real("warmup"),
        SpikeRule.of(s),
        zeroStage(s));
  }

  private static int zeroStage(Settings s) {
    Object stage = s.inside(ZERO, "stage").orElse(0);
    if (stage.toString().matches("[0-3]")) {
      return Integer.parseInt(stage.toString());
    }
    throw s.wrong(ZERO, "stage: expected 0, 1, 2 or 3, found " + stage);
  }

  /** Returns the schedule of a run of {@code trainIters} iterations. */
  public LearningRate learningRate(long trainIters) {
    long wanted =
        decayIters.isPresent()
            ? decayIters.getAsInt()
            : Double.isNaN(decayFraction)
                ? trainIters
                : (long) Math.floor(trainIters * decayFraction);
    long end = Math.max(1, wanted);
    return new LearningRate(version, style, lr, minLr, warmup * end, end);
  }
}
