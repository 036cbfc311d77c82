package dev.jneox.train;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * States the length of a run, and when it validates and logs. One of {@code iters} and {@code
 * epochs} is present.
 *
 * @param iters optimizer steps
 * @param epochs passes over the training data
 * @param exitInterval the process stops after an iteration that is a multiple of it
 * @param evalInterval iterations between validations
 * @param evalIters batches of a validation or test; 0 for none
 * @param evalTasks tasks of lm-evaluation-harness that {@code jneox train} evaluates every {@code
 *     evalInterval} iterations and after the last
 * @param evalTaskLimit the first documents of each task alone
 * @param logInterval iterations between log lines
 * @param recompute layers per group whose activations are computed anew in the backward pass; 0
 *     keeps all activations
 * @param seed of weights and data order
 * @param logGradNorm whether TensorBoard gets the gradient norm of each layer
 * @param profile whether steps {@code profileStepStart} to {@code profileStepStop} are traced, into
 *     {@code trace.json} beside {@code metrics.csv}
 * @param tensorboardDir folder for TensorBoard's event files
 * @param logDir folder for {@code metrics.csv}
 */
public record RunSection(
    OptionalInt iters,
    OptionalInt epochs,
    OptionalInt exitInterval,
    int evalInterval,
    int evalIters,
    List<String> evalTasks,
    OptionalInt evalTaskLimit,
    int logInterval,
    int recompute,
    int seed,
    boolean logGradNorm,
    boolean profile,
    int profileStepStart,
    int profileStepStop,
    Optional<Path> tensorboardDir,
    Optional<Path> logDir) {

  /** Copies the list. */
  public RunSection {
    evalTasks = List.copyOf(evalTasks);
  }

  static RunSection of(Settings s) {
    if (s.given("train_iters") && s.given("train_epochs")) {
      throw s.wrong(
          "train_epochs",
          "is set beside train_iters (" + s.place("train_iters") + "): keep one of them");
    }
    if (!s.given("train_iters") && !s.given("train_epochs")) {
      throw s.wrong("train_iters", "is required: set it or train_epochs");
    }
    if (s.flag("profile")) {
      if (s.path("save").isEmpty() && s.path("log_dir").isEmpty()) {
        throw s.wrong("profile", "is set without save or log_dir, which say where trace.json goes");
      }
      if (s.integer("profile_step_stop") < s.integer("profile_step_start")) {
        throw s.wrong(
            "profile_step_stop",
            "expected a step from profile_step_start "
                + s.integer("profile_step_start")
                + " on, found "
                + s.integer("profile_step_stop"));
      }
    }
    return new RunSection(
        s.maybeInteger("train_iters"),
        s.maybeInteger("train_epochs"),
        s.maybeInteger("exit_interval"),
        s.integer("eval_interval"),
        s.integer("eval_iters"),
        s.list("eval_tasks"),
        s.maybeInteger("eval_task_limit"),
        s.integer("log_interval"),
        s.flag("checkpoint_activations") ? s.integer("checkpoint_num_layers") : 0,
        s.integer("seed"),
        s.flag("log_grad_norm"),
        s.flag("profile"),
        s.integer("profile_step_start"),
        s.integer("profile_step_stop"),
        s.path("tensorboard_dir"),
        s.path("log_dir"));
  }
}
