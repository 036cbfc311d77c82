package dev.jneox.cli.train;

import dev.jneox.format.neox.RunFolder;
import dev.jneox.io.JneoxException;
import dev.jneox.train.LossCurve;
import dev.jneox.train.LossCurve.Point;
import dev.jneox.train.Trainer;
import dev.jneox.train.TrainingCallback;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;

/**
 * Draws the losses of a run into {@code loss.png} beside its checkpoints, again after each save. A
 * picture that cannot be drawn gives one warning, and the run goes on.
 */
final class LossPicture implements TrainingCallback {
  private final PrintWriter out;
  private final Path save;
  private final long tokensPerStep;
  private final LossCurve.Recorder losses;
  private final List<Point> training = new ArrayList<>();
  private final List<Point> validation = new ArrayList<>();
  private String title = "";
  private boolean failed;

  /**
   * Draws into a folder.
   *
   * @param save folder of the run, whose {@code metrics.csv} has the losses of earlier steps
   */
  LossPicture(PrintWriter out, Path save, long tokensPerStep) {
    this.out = out;
    this.save = save;
    this.tokensPerStep = tokensPerStep;
    this.losses = new LossCurve.Recorder(tokensPerStep);
  }

  @Override
  public void atStart(Trainer trainer) {
    title =
        String.format(
            Locale.ROOT, "%s: %.1f M parameters", save, trainer.model().parameterCount() / 1e6);
    OptionalDouble[] last = {OptionalDouble.empty()};
    attempt(
        () ->
            RunFolder.of(save)
                .losses()
                .headMap((long) trainer.iteration(), true)
                .forEach(
                    (step, row) -> {
                      row.training()
                          .ifPresent(loss -> training.add(new Point(step * tokensPerStep, loss)));
                      if (!row.validation().equals(last[0])) {
                        last[0] = row.validation();
                        last[0].ifPresent(
                            loss -> validation.add(new Point(step * tokensPerStep, loss)));
                      }
                    }));
  }

  @Override
  public void afterStep(Trainer trainer, Trainer.Step step) {
    losses.afterStep(trainer, step);
  }

  @Override
  public void afterEvaluation(String name, int iteration, double loss) {
    losses.afterEvaluation(name, iteration, loss);
  }

  @Override
  public void afterSave(Path checkpoint, int iteration) {
    List<Point> steps = new ArrayList<>(training);
    steps.addAll(losses.curve().training());
    List<Point> held = new ArrayList<>(validation);
    held.addAll(losses.curve().validation());
    LossCurve curve = new LossCurve(steps, held).finite();
    if (!curve.training().isEmpty()) {
      attempt(
          () -> new LossPlot(title, curve, OptionalDouble.empty()).write(save.resolve("loss.png")));
    }
  }

  private void attempt(Runnable act) {
    if (failed) {
      return;
    }
    try {
      act.run();
    } catch (JneoxException e) {
      failed = true;
      out.println(e.getMessage() + "; the run goes on without the picture of its loss");
      out.flush();
    }
  }
}
