package dev.jneox.cli;

import dev.jneox.format.ModelFiles;
import dev.jneox.inspect.Contents;
import dev.jneox.inspect.Inspection;
import dev.jneox.inspect.Inspection.Checksums;
import dev.jneox.inspect.RunInspection;
import dev.jneox.inspect.RunInspection.Checkpoint;
import dev.jneox.io.ByteSize;
import dev.jneox.io.FreedMemory;
import dev.jneox.io.Shell;
import dev.jneox.io.VisibleText;
import dev.jneox.model.ModelSpec;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.function.Function;
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
      "Of a run of train, list the checkpoints; with --tensors or --checksums, show the newest one."
    },
    footer = {
      "",
      "A tensor's checksum is that of its values row by row, little-endian, in the name and shape"
          + " that --tensors shows, quantised ones in fp32: the same weights of the same type have"
          + " the same checksums in every format.",
      "",
      "Examples:",
      "  jneox inspect DIR",
      "  jneox inspect run",
      "  jneox inspect DIR --tensors --checksums --json > model.json",
      "  jneox inspect model.safetensors --tensors"
    })
final class InspectCommand implements Callable<Integer> {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm", Locale.ROOT).withZone(ZoneId.systemDefault());

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
  public Integer call() {
    FreedMemory.returnToSystem();
    Path path = ModelOptions.find(model, spec.commandLine().getErr());
    if (ModelFiles.isRun(path) && !tensors && !checksums) {
      RunInspection run = RunInspection.of(path);
      print(json ? Json.line(InspectionJson.of(run)) + System.lineSeparator() : text(run));
    } else {
      try (Contents contents = Contents.open(ModelFiles.resolve(path))) {
        Inspection inspection = Inspection.of(contents, checksums(), ProgressLine::bytes);
        print(
            json
                ? Json.line(InspectionJson.of(inspection, tensors)) + System.lineSeparator()
                : text(inspection, tensors));
      }
    }
    return 0;
  }

  private Checksums checksums() {
    return !checksums ? Checksums.NONE : tensors ? Checksums.FILES_AND_TENSORS : Checksums.FILES;
  }

  private void print(String text) {
    PrintWriter out = spec.commandLine().getOut();
    out.print(VisibleText.lines(text));
    out.flush();
  }

  /** Lines of at most 100 characters, but for long paths. */
  private static String text(Inspection inspection, boolean tensors) {
    StringBuilder out = new StringBuilder();
    long bytes = inspection.files().stream().mapToLong(Inspection.StoredFile::bytes).sum();
    Optional<ModelSpec> config = inspection.spec();
    line(out, "model", "%s", inspection.path());
    line(out, "format", "%s", inspection.format());
    config.ifPresent(
        spec -> ConfigWords.of(spec).forEach((what, words) -> line(out, what, "%s", words)));
    if (inspection.tokenizer().isPresent()) {
      Inspection.Vocabulary v = inspection.tokenizer().get();
      line(out, "tokenizer", "%,d tokens, %,d rows of padding", v.tokens(), v.padding());
    } else if (config.isPresent()) {
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
          ByteSize.text(stored.bytes()));
      title = "";
    }
    line(out, "files", "%s in %,d", ByteSize.text(bytes), inspection.files().size());
    for (Inspection.StoredFile file : inspection.files()) {
      line(out, "", "%,18d  %s", file.bytes(), file.name());
      hash(out, file.sha256());
    }
    if (tensors) {
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
              VisibleText.of(tensor.name()),
              tensor.dtype(),
              shape,
              tensor.bytes()));
      hash(out, tensor.sha256());
    }
  }

  private static void hash(StringBuilder out, Optional<String> sha256) {
    sha256.ifPresent(hash -> out.append("    sha256 ").append(hash).append('\n'));
  }

  /** Lines of at most 80 characters, but for long paths. */
  private static String text(RunInspection run) {
    List<Checkpoint> checkpoints = run.checkpoints();
    String latest = run.latest().orElse("");
    boolean losses =
        checkpoints.stream()
            .anyMatch(
                checkpoint ->
                    checkpoint.loss().isPresent() || checkpoint.validationLoss().isPresent());
    int name = width(checkpoints, Checkpoint::name);
    int size = width(checkpoints, checkpoint -> ByteSize.text(checkpoint.bytes()));
    String row =
        "%-" + name + "s  %-16s  %" + size + "s  " + (losses ? "%8s  %10s  " : "%.0s%.0s") + "%s%n";
    StringBuilder out = new StringBuilder();
    out.append(String.format("%-11s %s%n", "run", run.path()));
    out.append(String.format("%-11s %d%n%n", "checkpoints", checkpoints.size()));
    out.append(String.format(row, "", "saved", "size", "loss", "validation", "").stripTrailing())
        .append(System.lineSeparator());
    for (Checkpoint c : checkpoints) {
      String line =
          String.format(
              row,
              c.name(),
              TIME.format(c.saved()),
              ByteSize.text(c.bytes()),
              loss(c.loss()),
              loss(c.validationLoss()),
              c.name().equals(latest) ? "latest" : "");
      out.append(line.stripTrailing()).append(System.lineSeparator());
    }
    Path shown =
        checkpoints.stream()
            .filter(c -> c.name().equals(latest))
            .findFirst()
            .orElse(checkpoints.getLast())
            .path();
    run.problem().ifPresent(problem -> out.append(String.format("%n%s%n", problem)));
    return out.append(String.format("%nnext: jneox inspect %s%n", Shell.quoted(shown))).toString();
  }

  private static int width(List<Checkpoint> checkpoints, Function<Checkpoint, String> column) {
    return checkpoints.stream().map(column).mapToInt(String::length).max().orElse(0);
  }

  private static String loss(OptionalDouble loss) {
    return loss.isEmpty() ? "" : String.format(Locale.ROOT, "%.4f", loss.getAsDouble());
  }

  private static void line(StringBuilder out, String name, String format, Object... values) {
    out.append(String.format("%-11s ", name))
        .append(String.format(Locale.ROOT, format, values))
        .append('\n');
  }
}
