package dev.jneox.train;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * The numbers of a run as a table: a header, {@code step} and the columns, then a row a step. Numbers are written so that they
 * read back to the same bits; a column without a value in a step stays empty.
 */
public final class MetricsCsv implements AutoCloseable {
  private final Path path;
  private final int columns;
  private final Writer out;

  private MetricsCsv(Path path, int columns, Writer out) {
    this.path = path;
    this.columns = columns;
    this.out = out;
  }

  /**
   * Opens a table to append to. Of an existing one, the rows up to {@code lastStep} are kept and the later ones, which the run
   * will make again, dropped; a row that a crash cut off too. With {@code lastStep} 0 it starts anew.
   *
   * @param columns beside the step
   * @throws InputException when the existing table has other columns or a row that is none, or the file cannot be written
   */
  public static MetricsCsv open(Path path, List<String> columns, long lastStep) {
    String header = "step," + String.join(",", columns);
    StringBuilder kept = new StringBuilder(header).append('\n');
    try {
      if (lastStep > 0 && Files.exists(path)) {
        keep(path, header, lastStep, kept);
      }
      AtomicFile.write(path, kept.toString().getBytes(StandardCharsets.UTF_8));
      return new MetricsCsv(path, columns.size(), Files.newBufferedWriter(path, StandardOpenOption.APPEND));
    } catch (IOException e) {
      throw failed(path, e);
    }
  }

  private static void keep(Path path, String header, long lastStep, StringBuilder kept) throws IOException {
    String text = Files.readString(path, StandardCharsets.ISO_8859_1);
    String[] lines = text.substring(0, text.lastIndexOf('\n') + 1).split("\n");
    if (!lines[0].equals(header)) {
      throw new InputException(
          path + ": line 1: expected the columns " + header + ", found " + lines[0] + ": move the file away or log elsewhere");
    }
    for (int i = 1; i < lines.length; i++) {
      String step = lines[i].split(",", 2)[0];
      if (!step.matches("\\d{1,18}")) {
        throw new InputException(path + ": line " + (i + 1) + ": expected a step number, found " + step);
      }
      if (Long.parseLong(step) <= lastStep) {
        kept.append(lines[i]).append('\n');
      }
    }
  }

  /**
   * Appends a row; it is in the file when this returns.
   *
   * @param values one for each column; null leaves it empty
   */
  public void write(long step, List<Double> values) {
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

  private static InputException failed(Path path, IOException e) {
    return new InputException(path + ": cannot be written: " + AtomicFile.reason(e), e);
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw failed(path, e);
    }
  }
}
