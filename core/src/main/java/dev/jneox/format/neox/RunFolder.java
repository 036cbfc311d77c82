package dev.jneox.format.neox;

import dev.jneox.io.AtomicFolder;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Lists the checkpoints of a training run: folders {@code global_stepN}, and the text file {@code
 * latest} that names one of them. GPT-NeoX and JNeoX use this layout; the content of a checkpoint
 * differs.
 *
 * @param path of the folder
 * @param checkpoints folders {@code global_stepN}, by N
 */
public record RunFolder(Path path, List<Path> checkpoints) {
  /** The file that names the checkpoint to resume from. */
  public static final String LATEST = "latest";

  private static final String STEP = "global_step";

  /** Longest content of {@link #LATEST} that is read. */
  private static final int MAX_NAME = 256;

  private static final String METRICS = "metrics.csv";
  private static final long MAX_METRICS = 1 << 28;

  /** How many checkpoints a message lists. */
  private static final int MAX_LISTED = 6;

  /**
   * Holds the losses in {@code metrics.csv} up to a step, in nats per token.
   *
   * @param training of the last row up to the step
   * @param validation the last one up to the step
   */
  public record Losses(OptionalDouble training, OptionalDouble validation) {
    static final Losses NONE = new Losses(OptionalDouble.empty(), OptionalDouble.empty());
  }

  /** Copies the map. */
  public RunFolder {
    checkpoints = List.copyOf(checkpoints);
  }

  /** Returns whether a folder has checkpoints or names one. */
  public static boolean is(Path path) {
    return Files.exists(path.resolve(LATEST)) || !of(path).checkpoints.isEmpty();
  }

  /** Lists the checkpoints of a folder; none when there is no such folder. */
  public static RunFolder of(Path path) {
    if (!Files.isDirectory(path)) {
      return new RunFolder(path, List.of());
    }
    try (Stream<Path> entries = Files.list(path)) {
      return new RunFolder(
          path,
          entries
              .filter(RunFolder::isCheckpoint)
              .sorted(Comparator.comparingLong(RunFolder::step))
              .toList());
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be read", e);
    }
  }

  private static boolean isCheckpoint(Path path) {
    return path.getFileName().toString().matches(STEP + "\\d{1,18}") && Files.isDirectory(path);
  }

  /** Parses the step in the name of a checkpoint. */
  public static long step(Path checkpoint) {
    return Long.parseLong(checkpoint.getFileName().toString().replaceAll("\\D", ""));
  }

  /** Formats the name of the checkpoint after {@code iteration} steps. */
  public static String name(long iteration) {
    return STEP + iteration;
  }

  /**
   * Finds the checkpoint that {@link #LATEST} names or, without that file, the only one.
   *
   * @throws InputException when {@code latest} names none, or is missing and there is not exactly
   *     one checkpoint
   */
  public Path newest() {
    Path latest = path.resolve(LATEST);
    if (!Files.exists(latest)) {
      if (checkpoints.size() == 1) {
        return checkpoints.getFirst();
      }
      throw new InputException(
          latest
              + ": expected a file that names a checkpoint, found none; there is "
              + listing()
              + ": write one of these names into it, or give the checkpoint's folder");
    }
    String name;
    try {
      name =
          InputFile.check(latest).size() > MAX_NAME
              ? "a long text"
              : InputFile.text(latest, MAX_NAME).strip();
    } catch (IOException e) {
      throw StorageException.of(latest, "cannot be read", e);
    }
    if (name.matches("[A-Za-z0-9_][A-Za-z0-9._-]*")) {
      Path named = path.resolve(name);
      Path replaced = path.resolve(name + AtomicFolder.REPLACED);
      if (Files.isDirectory(named)) {
        return named;
      }
      if (Files.isDirectory(replaced)) {
        return replaced; // a save was killed between its two moves
      }
    }
    throw InputException.in(
        latest,
        "content",
        "the name of a checkpoint in this folder",
        JsonObject.quoted(name) + "; there is " + listing());
  }

  /** Reads the losses up to a step. */
  public Losses losses(long step) {
    Map.Entry<Long, Losses> row = losses().floorEntry(step);
    return row == null ? Losses.NONE : row.getValue();
  }

  /** Reads the losses up to each step of {@code metrics.csv}; empty without that file. */
  public NavigableMap<Long, Losses> losses() {
    NavigableMap<Long, Losses> losses = new TreeMap<>();
    Path file = path.resolve(METRICS);
    if (!Files.isRegularFile(file)) {
      return losses;
    }
    List<String> rows = lines(file, MAX_METRICS);
    List<String> columns = rows.isEmpty() ? List.of() : List.of(rows.getFirst().split(","));
    Losses last = Losses.NONE;
    for (String row : rows.stream().skip(1).toList()) {
      String[] cells = row.split(",", -1);
      if (cells[0].matches("\\d{1,18}")) {
        last =
            new Losses(
                cell(cells, columns.indexOf("loss"), last.training),
                cell(cells, columns.indexOf("valid_loss"), last.validation));
        losses.put(Long.parseLong(cells[0]), last);
      }
    }
    return losses;
  }

  private static OptionalDouble cell(String[] cells, int column, OptionalDouble before) {
    boolean given =
        column >= 0 && column < cells.length && cells[column].matches("[0-9.]+([eE][-+]?\\d+)?");
    return given ? OptionalDouble.of(Double.parseDouble(cells[column])) : before;
  }

  /**
   * Lists the checkpoints for a message: {@code global_step5, global_step10}, or {@code no
   * checkpoint}.
   */
  public String listing() {
    if (checkpoints.isEmpty()) {
      return "no checkpoint";
    }
    List<String> names =
        checkpoints.stream().map(checkpoint -> checkpoint.getFileName().toString()).toList();
    int left = names.size() - MAX_LISTED;
    return left <= 0
        ? String.join(", ", names)
        : names.getFirst()
            + ", ... ("
            + (left + 1)
            + " more), "
            + String.join(", ", names.subList(left + 2, names.size()));
  }

  /**
   * Reads the lines of a small text file of a run.
   *
   * @throws InputException when it is larger than {@code maxBytes}
   */
  public static List<String> lines(Path file, long maxBytes) {
    try {
      return InputFile.text(file, maxBytes, StandardCharsets.ISO_8859_1).lines().toList();
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }
}
