package dev.jneox.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.data.IndexedDataset;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox data inspect}: what is in a {@code .bin/.idx} pair. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    description = "Check PREFIX.bin and PREFIX.idx and say what is in them, as JSON.",
    footer = {"", "Example:", "  jneox data inspect data/pile --tokens 20"})
final class DataInspectCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "PREFIX", description = "The path of both files without .bin and .idx.")
  private Path prefix;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "16",
      description = "Tokens of the first document to show (default: ${DEFAULT-VALUE}).")
  private int tokens;

  @Override
  public Integer call() throws JsonProcessingException {
    IndexedDataset data = IndexedDataset.open(prefix);
    int shortest = data.sequences() == 0 ? 0 : Integer.MAX_VALUE;
    int longest = 0;
    for (int i = 0; i < data.sequences(); i++) {
      shortest = Math.min(shortest, data.size(i));
      longest = Math.max(longest, data.size(i));
    }
    int[] first = new int[data.sequences() == 0 ? 0 : Math.clamp(tokens, 0, data.size(0))];
    if (first.length > 0) {
      data.copy(0, 0, first, 0, first.length);
    }
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("prefix", prefix.toString());
    report.put("documents", data.documents());
    report.put("sequences", data.sequences());
    report.put("tokens", data.tokens());
    report.put("type", data.type().name().toLowerCase(Locale.ROOT));
    report.put("shortest", shortest);
    report.put("mean", data.sequences() == 0 ? 0 : (double) data.tokens() / data.sequences());
    report.put("longest", longest);
    report.put("first", first);
    spec.commandLine().getOut().println(new ObjectMapper().writeValueAsString(report));
    return 0;
  }
}
