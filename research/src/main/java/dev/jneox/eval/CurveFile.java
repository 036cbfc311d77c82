package dev.jneox.eval;

import dev.jneox.io.AtomicFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;

/** Writes the numbers of several models as a table, a row each: learning curves over steps. */
public final class CurveFile {
  /** The first line of the file. */
  static final String HEADER = "model,step,task,metric,filter,value,stderr,chance";

  private CurveFile() {}

  /**
   * Writes a CSV file. Values that are not there are empty.
   *
   * @throws dev.jneox.io.StorageException when it cannot be written
   */
  public static void write(Path file, List<ModelScores> models) {
    StringBuilder text = new StringBuilder(HEADER).append('\n');
    for (ModelScores model : models) {
      for (ModelScores.Entry entry : model.entries()) {
        Score score = entry.score();
        text.append(quoted(model.model().run())).append(',');
        model.model().step().ifPresent(text::append);
        text.append(',').append(quoted(entry.task()));
        text.append(',').append(quoted(score.metric()));
        text.append(',').append(quoted(score.filter()));
        text.append(',').append(score.value());
        text.append(',').append(number(score.standardError()));
        text.append(',').append(number(entry.chance())).append('\n');
      }
    }
    AtomicFile.write(file, text.toString().getBytes(StandardCharsets.UTF_8));
  }

  private static String number(OptionalDouble value) {
    return value.isPresent() ? String.valueOf(value.getAsDouble()) : "";
  }

  private static String quoted(String text) {
    return text.matches("[^,\"\\s]*( [^,\"\\s]+)*")
        ? text
        : '"' + text.replace("\"", "\"\"").replaceAll("\\R", " ") + '"';
  }
}
