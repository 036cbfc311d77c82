package dev.jneox.train;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * States where and when the run is saved, and from what it starts.
 *
 * @param save folder that receives checkpoints
 * @param load folder with checkpoints to go on from; with {@code finetune} also a model in any
 *     format that {@link dev.jneox.format.ModelFiles} opens
 * @param finetune whether only the weights are loaded: optimizer, iteration and place in the data
 *     begin at 0, and the vocabulary may have another size
 * @param factor iterations between checkpoints, or with {@code logScale} the ratio of their
 *     iterations; NaN where none is set
 * @param logScale whether {@code factor} is a ratio
 * @param extraIters further iterations after which to save
 * @param keepLast how many checkpoints are kept; empty for all
 * @param async whether a checkpoint is copied in memory, and written while the training goes on
 */
public record CheckpointSection(
    Optional<Path> save,
    Optional<Path> load,
    boolean finetune,
    double factor,
    boolean logScale,
    Set<Integer> extraIters,
    OptionalInt keepLast,
    boolean async) {

  static CheckpointSection of(Settings s) {
    String key = "checkpoint_factor";
    double factor = s.given(key) ? s.real(key) : Double.NaN;
    boolean log = s.text("checkpoint_scale").equals("log");
    if (s.given(key) && log && factor <= 1) {
      throw s.wrong(key, "expected a number > 1 with checkpoint_scale log, found " + factor);
    }
    if (s.given(key) && !log && factor != Math.rint(factor)) {
      throw s.wrong(key, "expected a whole number with checkpoint_scale linear, found " + factor);
    }
    List<Integer> extra = s.list("extra_save_iters");
    if (s.given("save") && !s.given(key) && !s.given("extra_save_iters")) {
      throw s.wrong(
          "save", "is set without checkpoint_factor or extra_save_iters, which say when to save");
    }
    return new CheckpointSection(
        s.path("save"),
        s.path("load"),
        s.flag("finetune"),
        factor,
        log,
        Set.copyOf(extra),
        s.maybeInteger("keep_last_n_checkpoints"),
        s.flag("async_save"));
  }

  /**
   * Returns whether a checkpoint is due when {@code iteration} iterations are done. The trainer
   * saves the end of the run in any case.
   */
  public boolean savesAt(int iteration) {
    if (extraIters.contains(iteration)) {
      return true;
    }
    if (Double.isNaN(factor) || iteration < 1) {
      return false;
    }
    if (!logScale) {
      return iteration % factor == 0;
    }
    for (double power = 1; power < iteration + 1.0; power *= factor) {
      if ((int) power == iteration) {
        return true;
      }
    }
    return false;
  }
}
