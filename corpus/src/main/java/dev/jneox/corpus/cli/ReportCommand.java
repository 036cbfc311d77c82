package dev.jneox.corpus.cli;

import dev.jneox.corpus.Datasheet;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox corpus report}: the datasheet of a corpus. */
@Command(
    name = "report",
    mixinStandardHelpOptions = true,
    description = {
      "Write the datasheet of a corpus that build made, as Markdown and HTML.",
      "Sizes, weights, licences, languages, removals by reason with samples,",
      "duplicates. Build writes it too."
    })
final class ReportCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "DIR", description = "The folder that build wrote.")
  private Path corpus;

  @Override
  public Integer call() {
    Datasheet.write(corpus);
    spec.commandLine()
        .getOut()
        .printf("%s%n%s%n", corpus.resolve(Datasheet.MARKDOWN), corpus.resolve(Datasheet.HTML));
    spec.commandLine().getOut().flush();
    return 0;
  }
}
