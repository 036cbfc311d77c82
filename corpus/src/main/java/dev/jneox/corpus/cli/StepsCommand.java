package dev.jneox.corpus.cli;

import dev.jneox.corpus.PipelineKeys;
import dev.jneox.io.InputException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox corpus steps}: what a pipeline file may say. */
@Command(
    name = "steps",
    mixinStandardHelpOptions = true,
    description = "List the steps with their options, and the keys of a source and of output.")
final class StepsCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      arity = "0..*",
      paramLabel = "NAME",
      description = "Names of steps, source or output; all where there are none.")
  private List<String> names = List.of();

  @Override
  public Integer call() {
    Map<String, PipelineKeys.Described> all = PipelineKeys.all();
    for (String name : names) {
      if (!all.containsKey(name)) {
        throw new InputException(
            name + ": expected one of " + String.join(", ", all.keySet()) + ", found another name");
      }
    }
    PrintWriter console = spec.commandLine().getOut();
    all.forEach(
        (name, described) -> {
          if (names.isEmpty() || names.contains(name)) {
            console.printf("%s: %s%n", name, described.does());
            described.keys().forEach((key, takes) -> console.printf("  %s: %s%n", key, takes));
          }
        });
    console.flush();
    return 0;
  }
}
