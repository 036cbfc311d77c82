package dev.jneox.cli;

import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Unmatched;

/**
 * {@code jneox corpus}, where the process has no Spark: says how to get one that has. The launcher
 * of a checkout starts the module corpus instead, on a class path and with flags of its own.
 */
@Command(
    name = "corpus",
    mixinStandardHelpOptions = true,
    description = {
      "Build a corpus from weighted sources: clean, deduplicate, mix, tokenise (on Apache Spark).",
      "It runs in a process of its own, which ./jneox in a checkout builds and starts:",
      "  ./jneox corpus --help"
    },
    footer = {
      "",
      "Example:",
      "  jneox corpus build pipelines/pilot.yml --out pilot",
    })
final class CorpusCommand implements Callable<Integer> {
  @Unmatched private final List<String> arguments = new ArrayList<>();

  @Override
  public Integer call() {
    throw new InputException(
        "corpus: needs JNeoX's module corpus with Apache Spark, which this class path and the"
            + " downloads do not have: run ./jneox corpus in a checkout, which builds it");
  }
}
