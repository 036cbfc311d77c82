package dev.jneox.corpus.cli;

import dev.jneox.corpus.CorpusPlan;
import dev.jneox.corpus.Facts;
import dev.jneox.corpus.Pipeline;
import dev.jneox.io.ByteSize;
import dev.jneox.io.Counted;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox corpus plan}: what a build would do. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    description = "Say what a build of a pipeline would do, with the sizes expected.")
final class PlanCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "PIPELINE.yml", description = "The pipeline file.")
  private Path file;

  @Override
  public Integer call() {
    Pipeline pipeline = Pipeline.read(file);
    CorpusPlan plan = CorpusPlan.of(pipeline);
    PrintWriter console = spec.commandLine().getOut();
    console.printf("read, in %s:%n", Counted.text(plan.tasks(), "task"));
    int width = plan.sources().stream().mapToInt(source -> source.name().length()).max().orElse(1);
    for (CorpusPlan.Reading source : plan.sources()) {
      console.printf(
          Locale.ROOT,
          "  %-" + width + "s %s, %s on disk, about %s of text, %s epochs, %.1f %% of the corpus%n",
          source.name(),
          Counted.text(source.files(), "file"),
          ByteSize.text(source.diskBytes()),
          ByteSize.text(source.textBytes()),
          source.weight(),
          100 * source.share());
    }
    int number = 1;
    for (Facts.StepText step : plan.texts()) {
      console.printf("%d. %s: %s%n", number++, step.name(), step.does());
    }
    if (plan.shuffleBytes() > 0) {
      console.printf("signatures to sort: about %s%n", ByteSize.text(plan.shuffleBytes()));
    }
    console.printf(
        "write %s; stages and output take about %s of disk%n",
        pipeline.output().kind().name().toLowerCase(Locale.ROOT), ByteSize.text(plan.diskBytes()));
    console.flush();
    return 0;
  }
}
