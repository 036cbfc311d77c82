package dev.jneox.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.format.ModelFiles;
import dev.jneox.io.FreedMemory;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox inspect}: what is in a model. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Show what is in a model: shape, parameters, types, files, tokenizer.",
      "Only headers are read, so it takes no time at any size; checksums read all.",
      "Of a run of train, list the checkpoints; with --tensors or --checksums, show the",
      "newest one."
    },
    footer = {
      "",
      "A tensor's checksum is that of its values row by row, little-endian, in the",
      "name and shape that --tensors shows, quantised ones in fp32: the same weights",
      "of the same type have the same checksums in every format.",
      "",
      "Examples:",
      "  jneox inspect DIR",
      "  jneox inspect run",
      "  jneox inspect DIR --tensors --checksums --json > model.json",
      "  jneox inspect model.safetensors --tensors"
    })
final class InspectCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "MODEL",
      description =
          "A model folder or file, a run of train, a bare file of tensors, or ORG/NAME on the hub.")
  private String model;

  @Option(names = "--tensors", description = "List every tensor: name, type, shape, bytes.")
  private boolean tensors;

  @Option(
      names = "--checksums",
      description = "Compute the SHA-256 of every file and, with --tensors, of every tensor.")
  private boolean checksums;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() throws JsonProcessingException {
    FreedMemory.returnToSystem();
    Path path = ModelOptions.find(model, spec.commandLine().getErr());
    if (ModelFiles.isRun(path) && !tensors && !checksums) {
      RunInspection run = RunInspection.of(path);
      print(run, run.text());
    } else {
      try (Contents contents = Contents.open(ModelFiles.resolve(path))) {
        Inspection inspection = Inspection.of(contents, tensors, checksums);
        print(inspection, text(inspection));
      }
    }
    return 0;
  }

  private void print(Object inspection, String text) throws JsonProcessingException {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      JsonMapper mapper =
          JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();
      out.println(mapper.writeValueAsString(inspection));
    } else {
      out.print(text);
    }
    out.flush();
  }

  /** Lines of at most 100 characters, but for long paths. */
  static String text(Inspection inspection) {
    StringBuilder out = new StringBuilder();
    long bytes = inspection.files().stream().mapToLong(Inspection.StoredFile::bytes).sum();
    line(out, "model", "%s", inspection.path());
    line(out, "format", "%s", inspection.format());
    if (inspection.spec() != null) {
      ConfigWords.of(inspection.spec()).forEach((what, words) -> line(out, what, "%s", words));
    }
    if (inspection.tokenizer() != null) {
      Inspection.Vocabulary v = inspection.tokenizer();
      line(out, "tokenizer", "%,d tokens, %,d rows of padding", v.tokens(), v.padding());
    } else if (inspection.spec() != null) {
      line(out, "tokenizer", "none");
    }
    line(out, "parameters", "%,d", inspection.parameters());
    inspection
        .parts()
        .forEach(
            (part, n) ->
                line(
                    out,
                    "",
                    "%-10s %,18d  %5.1f %%",
                    part,
                    n,
                    100.0 * n / inspection.parameters()));
    String title = "types";
    for (var entry : inspection.dtypes().entrySet()) {
      Inspection.Stored stored = entry.getValue();
      line(
          out,
          title,
          "%-10s %,18d  parameters in %,d tensors, %s",
          entry.getKey(),
          stored.parameters(),
          stored.tensors(),
          size(stored.bytes()));
      title = "";
    }
    line(out, "files", "%s in %,d", size(bytes), inspection.files().size());
    for (Inspection.StoredFile file : inspection.files()) {
      line(out, "", "%,18d  %s", file.bytes(), file.name());
      hash(out, file.sha256());
    }
    if (inspection.tensors() != null) {
      tensors(out, inspection);
    }
    return out.toString();
  }

  private static void tensors(StringBuilder out, Inspection inspection) {
    int width = inspection.tensors().stream().mapToInt(t -> t.name().length()).max().orElse(0);
    out.append('\n');
    for (Inspection.StoredTensor tensor : inspection.tensors()) {
      String shape =
          Arrays.stream(tensor.shape()).mapToObj(Long::toString).collect(Collectors.joining(" x "));
      out.append(
          String.format(
              Locale.ROOT,
              "%-" + Math.clamp(width, 1, 56) + "s  %-5s %14s %,14d%n",
              tensor.name(),
              tensor.dtype(),
              shape,
              tensor.bytes()));
      hash(out, tensor.sha256());
    }
  }

  private static void hash(StringBuilder out, String sha256) {
    if (sha256 != null) {
      out.append("    sha256 ").append(sha256).append('\n');
    }
  }

  /** Bytes in a unit that people read. */
  static String size(long bytes) {
    return bytes < 1_000_000
        ? String.format(Locale.ROOT, "%,d bytes", bytes)
        : bytes < 1_000_000_000
            ? String.format(Locale.ROOT, "%.1f MB", bytes / 1e6)
            : String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
  }

  private static void line(StringBuilder out, String name, String format, Object... values) {
    out.append(String.format("%-11s ", name))
        .append(String.format(Locale.ROOT, format, values))
        .append('\n');
  }
}
