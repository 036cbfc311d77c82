package dev.jneox.cli.eval;

import dev.jneox.cli.Usage;
import dev.jneox.eval.TaskCatalog;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Holds the options of {@code eval} that are for tasks alone. */
final class TaskOptions {
  @Option(
      names = "--include-path",
      paramLabel = "DIR",
      description =
          "Task files of the harness's form, in DIR and below; they come before our own of the same"
              + " name. May be given several times.")
  private List<Path> include;

  @Option(
      names = "--num-fewshot",
      paramLabel = "N",
      description = "Put N examples in front of each document. Default: as the task says, else 0.")
  private Integer fewshot;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "Read so many sequences at a time. Default: 16.")
  private Integer batchSize;

  @Option(
      names = "--bootstrap-iters",
      paramLabel = "N",
      description =
          "Draw N samples for a standard error that no formula gives; 0 for no standard errors."
              + " Default: 100000.")
  private Integer bootstrap;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description =
          "Write results_DATE.json and samples_TASK_DATE.jsonl into DIR/MODEL, in the harness's"
              + " schema, and of all models in DIR the page report.html and the table curves.csv."
              + " Answers are kept in DIR/MODEL/answers.jsonl, so that the same command goes on"
              + " where it was stopped, and asks for nothing twice. With --compare, report.html"
              + " alone.")
  private Path out;

  @Option(
      names = "--checkpoints",
      description =
          "Of a run of train, evaluate every checkpoint, rather than the newest. Of a model on the"
              + " hub, list its revisions: ORG/NAME@step1000,step2000.")
  private boolean checkpoints;

  @Option(
      names = "--force",
      description = "Begin anew where the data or the model changed since the answers in --out.")
  private boolean force;

  /** Refuses options of tasks where there is no task. */
  void refuse(CommandSpec spec) {
    refuse(spec, out != null, "--out");
    refuseButOut(spec);
  }

  /** Refuses them where results are compared. */
  void refuseButOut(CommandSpec spec) {
    Object[] all = {include, fewshot, batchSize, bootstrap};
    String[] names = {"--include-path", "--num-fewshot", "--batch-size", "--bootstrap-iters"};
    refuse(spec, checkpoints, "--checkpoints");
    refuse(spec, force, "--force");
    for (int i = 0; i < all.length; i++) {
      refuse(spec, all[i] != null, names[i]);
    }
  }

  private static void refuse(CommandSpec spec, boolean given, String name) {
    if (given) {
      throw new ParameterException(spec.commandLine(), name + " is for --tasks");
    }
  }

  void check(CommandSpec spec) {
    Usage.require(spec, fewshot == null || fewshot >= 0, "--num-fewshot", "0 or more", fewshot);
    Usage.require(
        spec,
        batchSize == null || batchSize >= 1 && batchSize <= 4096,
        "--batch-size",
        "1 to 4096",
        batchSize);
    Usage.require(
        spec,
        bootstrap == null || bootstrap >= 0 && bootstrap <= 10_000_000,
        "--bootstrap-iters",
        "0 to 10000000",
        bootstrap);
  }

  TaskCatalog catalog() {
    return new TaskCatalog(include == null ? List.of() : include);
  }

  OptionalInt fewshot() {
    return fewshot == null ? OptionalInt.empty() : OptionalInt.of(fewshot);
  }

  int batchSize() {
    return batchSize == null ? 16 : batchSize;
  }

  int bootstrap() {
    return bootstrap == null ? 100_000 : bootstrap;
  }

  boolean checkpoints() {
    return checkpoints;
  }

  boolean force() {
    return force;
  }

  /** Returns the folder for files of results; null for none. */
  Path out() {
    return out;
  }
}
