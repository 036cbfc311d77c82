package dev.jneox.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.jneox.format.neox.RunFolder;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Lists the checkpoints in the folder of a run: what {@code inspect} prints of one.
 *
 * @param latest the checkpoint that the file {@code latest} names; null when it names none that is
 *     here
 * @param problem why the run does not stand for one of them; null when it does
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record RunInspection(
    String path, String format, String latest, List<Checkpoint> checkpoints, String problem) {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm", Locale.ROOT).withZone(ZoneId.systemDefault());

  /**
   * One checkpoint.
   *
   * @param saved when, in ISO 8601
   * @param bytes of all its files
   * @param loss of its last step, in nats per token; null when {@code metrics.csv} does not have it
   * @param validationLoss the last one up to it; null likewise
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Checkpoint(
      String name,
      String path,
      long step,
      String saved,
      long bytes,
      Double loss,
      Double validationLoss) {}

  /**
   * Lists the checkpoints of a folder.
   *
   * @throws InputException when it has none
   */
  static RunInspection of(Path path) {
    RunFolder run = RunFolder.of(path);
    List<Path> checkpoints = new ArrayList<>(run.checkpoints());
    Path newest = null;
    String problem = null;
    try {
      newest = run.newest();
    } catch (JneoxException e) {
      if (checkpoints.isEmpty()) {
        throw e;
      }
      problem = e.getMessage();
    }
    if (newest != null && !checkpoints.contains(newest)) {
      checkpoints.add(newest); // a save was killed between its two moves
      checkpoints.sort(Comparator.comparingLong(RunFolder::step));
    }
    boolean named = newest != null && Files.exists(path.resolve(RunFolder.LATEST));
    NavigableMap<Long, RunFolder.Losses> losses = run.losses();
    List<Checkpoint> list = new ArrayList<>();
    for (Path checkpoint : checkpoints) {
      long step = RunFolder.step(checkpoint);
      Map.Entry<Long, RunFolder.Losses> row = losses.floorEntry(step);
      list.add(
          new Checkpoint(
              checkpoint.getFileName().toString(),
              checkpoint.toString(),
              step,
              saved(checkpoint),
              bytes(checkpoint),
              row == null ? null : number(row.getValue().training()),
              row == null ? null : number(row.getValue().validation())));
    }
    return new RunInspection(
        path.toString(), "run", named ? newest.getFileName().toString() : null, list, problem);
  }

  private static Double number(OptionalDouble value) {
    return value.isPresent() ? value.getAsDouble() : null;
  }

  private static String saved(Path checkpoint) {
    try {
      return Files.getLastModifiedTime(checkpoint).toInstant().toString();
    } catch (IOException e) {
      throw unreadable(checkpoint, e);
    }
  }

  private static long bytes(Path checkpoint) {
    try (Stream<Path> files = Files.walk(checkpoint)) {
      long bytes = 0;
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        bytes += Files.size(file);
      }
      return bytes;
    } catch (IOException e) {
      throw unreadable(checkpoint, e);
    } catch (UncheckedIOException e) {
      throw unreadable(checkpoint, e.getCause());
    }
  }

  private static StorageException unreadable(Path path, IOException e) {
    return StorageException.of(path, "cannot be read", e);
  }

  /** Lines of at most 80 characters, but for long paths. */
  String text() {
    boolean losses =
        checkpoints.stream()
            .anyMatch(
                checkpoint -> checkpoint.loss() != null || checkpoint.validationLoss() != null);
    int name = width(Checkpoint::name);
    int size = width(checkpoint -> InspectCommand.size(checkpoint.bytes()));
    String row =
        "%-" + name + "s  %-16s  %" + size + "s  " + (losses ? "%8s  %10s  " : "%.0s%.0s") + "%s%n";
    StringBuilder out = new StringBuilder();
    out.append(String.format("%-11s %s%n", "run", path));
    out.append(String.format("%-11s %d%n%n", "checkpoints", checkpoints.size()));
    out.append(String.format(row, "", "saved", "size", "loss", "validation", "").stripTrailing())
        .append(System.lineSeparator());
    for (Checkpoint c : checkpoints) {
      String line =
          String.format(
              row,
              c.name(),
              TIME.format(Instant.parse(c.saved())),
              InspectCommand.size(c.bytes()),
              loss(c.loss()),
              loss(c.validationLoss()),
              c.name().equals(latest) ? "latest" : "");
      out.append(line.stripTrailing()).append(System.lineSeparator());
    }
    String shown =
        checkpoints.stream()
            .filter(c -> c.name().equals(latest))
            .findFirst()
            .orElse(checkpoints.getLast())
            .path();
    out.append(problem == null ? "" : String.format("%n%s%n", problem));
    return out.append(String.format("%nnext: jneox inspect %s%n", shown)).toString();
  }

  private int width(Function<Checkpoint, String> column) {
    return checkpoints.stream().map(column).mapToInt(String::length).max().orElse(0);
  }

  private static String loss(Double loss) {
    return loss == null ? "" : String.format(Locale.ROOT, "%.4f", loss);
  }
}
