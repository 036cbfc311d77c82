package dev.jneox.train;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Writes the numbers of a run as a CSV table: a header ({@code step} and the columns), then a row
 * per step. Numbers read back to the same bits; a column without a value in a step is empty.
 */
public final class MetricsCsv implements AutoCloseable {
  /** Matches what {@link Double#toString} writes. */
  private static final String NUMBER = "NaN|-?(Infinity|\\d+\\.\\d+(E-?\\d+)?)";

  /** The longest file in bytes that is read into memory; a row is about 150 bytes. */
  private static final long LONGEST = 1L << 28;

  private final Path path;
  private final int columns;
  private final Writer out;
  private final TargetLock lock;

  private MetricsCsv(Path path, int columns, Writer out, TargetLock lock) {
    this.path = path;
    this.columns = columns;
    this.out = out;
    this.lock = lock;
  }

  /**
   * Opens a table to append to; an existing one may be damaged.
   *
   * <p>With {@code lastStep} above 0 the rows up to it are kept. Later rows, which the run will
   * write again, are removed, and so is an unfinished last row. Where the header or another row is
   * damaged, a copy of the old file is kept too. With {@code lastStep} 0 the table is new, and an
   * existing one is renamed.
   *
   * @param columns beside the step
   * @param lastStep step that the run begins from
   * @param notes gets a line when a file was copied or renamed
   * @throws InputException when {@code path} is not a file
   * @throws StorageException when the file cannot be written, or another run writes it
   */
  public static MetricsCsv open(
      Path path, List<String> columns, long lastStep, Consumer<String> notes) {
    String header = "step," + String.join(",", columns);
    StringBuilder kept = new StringBuilder(header).append('\n');
    TargetLock lock = TargetLock.take(path); // log_dir may be that of two runs
    boolean opened = false;
    try {
      if (Files.exists(path)) {
        if (!Files.isRegularFile(path)) {
          throw new InputException(path + ": expected a file, found something else");
        }
        if (lastStep > 0 && Files.size(path) <= LONGEST) {
          int damaged = keep(path, header, columns.size(), lastStep, kept);
          if (damaged > 0) {
            Path aside = free(path);
            Files.copy(path, aside);
            notes.accept(
                path
                    + ": line "
                    + damaged
                    + " is damaged: the good rows are kept, and the file as it was is now "
                    + aside);
          }
        } else {
          Path aside = free(path);
          Files.move(path, aside);
          String why =
              lastStep > 0 ? ": is longer than any table of a run" : ": is of an earlier run";
          notes.accept(path + why + ": it is now " + aside);
        }
      }
      AtomicFile.write(path, kept.toString().getBytes(StandardCharsets.UTF_8));
      Writer out = Files.newBufferedWriter(path, StandardOpenOption.APPEND);
      opened = true;
      return new MetricsCsv(path, columns.size(), out, lock);
    } catch (IOException e) {
      throw failed(path, e);
    } finally {
      if (!opened) {
        lock.close();
      }
    }
  }

  /**
   * Appends the good rows up to {@code lastStep} to {@code kept}; returns the first damaged line,
   * from 1, or 0.
   */
  private static int keep(Path path, String header, int columns, long lastStep, StringBuilder kept)
      throws IOException {
    String text = Files.readString(path, StandardCharsets.ISO_8859_1);
    String[] lines = text.substring(0, Math.max(0, text.lastIndexOf('\n'))).split("\n", -1);
    int damaged = lines[0].equals(header) ? 0 : 1;
    long last = 0;
    for (int i = 1; i < lines.length; i++) {
      boolean good = lines[i].matches("\\d{1,18}(,(" + NUMBER + ")?){" + columns + "}");
      long step = good ? Long.parseLong(lines[i].substring(0, lines[i].indexOf(','))) : 0;
      if (step <= last) {
        damaged = damaged == 0 ? i + 1 : damaged;
      } else if (step <= lastStep) {
        kept.append(lines[i]).append('\n');
        last = step;
      }
    }
    return damaged;
  }

  /**
   * Returns the first name that is free beside {@code metrics.csv}: {@code metrics-1.csv}, {@code
   * metrics-2.csv}, and so on.
   */
  private static Path free(Path path) {
    String name = path.getFileName().toString();
    int dot = name.lastIndexOf('.');
    return IntStream.iterate(1, n -> n + 1)
        .mapToObj(n -> path.resolveSibling(name.substring(0, dot) + "-" + n + name.substring(dot)))
        .filter(other -> !Files.exists(other))
        .findFirst()
        .orElseThrow();
  }

  /**
   * Appends a row; it is in the file when this returns.
   *
   * @param values one per column; null leaves it empty
   * @throws StorageException when the file cannot be written
   */
  public void write(long step, List<@Nullable Double> values) {
    if (values.size() != columns) {
      throw new IllegalArgumentException(values.size() + " values for " + columns + " columns");
    }
    StringBuilder row = new StringBuilder().append(step);
    values.forEach(value -> row.append(',').append(value == null ? "" : value));
    try {
      out.append(row.append('\n')).flush();
    } catch (IOException e) {
      throw failed(path, e);
    }
  }

  private static StorageException failed(Path path, IOException e) {
    return StorageException.of(path, "cannot be written", e);
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw failed(path, e);
    } finally {
      lock.close();
    }
  }
}
