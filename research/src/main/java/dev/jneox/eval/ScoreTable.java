package dev.jneox.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;

/** Writes the numbers of several models as one Markdown table, models below each other. */
public final class ScoreTable {
  /** Columns of a terminal. */
  private static final int WIDTH = 80;

  private static final int SHORTEST = 12;

  private ScoreTable() {}

  /** Is a number of a model. */
  private record Row(ModelScores model, Score score) {}

  /**
   * Returns the table. The beginnings of names that are all alike are left out, and longer names
   * are cut where the table would not fit a terminal.
   */
  public static String of(List<ModelScores> models) {
    Map<List<String>, List<Row>> numbers = new LinkedHashMap<>();
    for (ModelScores model : models) {
      for (ModelScores.Entry entry : model.entries()) {
        Score score = entry.score();
        numbers
            .computeIfAbsent(
                List.of(entry.alias(), score.metric(), score.filter()), _ -> new ArrayList<>())
            .add(new Row(model, score));
      }
    }
    int common = common(models);
    MarkdownTable table = table(numbers, common, Integer.MAX_VALUE);
    if (table.width() > WIDTH) {
      int longest =
          models.stream().mapToInt(m -> m.model().name().length() - common).max().orElse(0);
      table = table(numbers, common, Math.max(SHORTEST, longest - (table.width() - WIDTH)));
    }
    return table.text();
  }

  private static MarkdownTable table(
      Map<List<String>, List<Row>> numbers, int common, int longest) {
    boolean filters = numbers.keySet().stream().anyMatch(key -> !key.getLast().equals("none"));
    MarkdownTable table =
        new MarkdownTable(
            List.of("Tasks", "Metric", "", "Model", "Value", "", "Stderr"), Set.of(4, 6));
    String[] task = {""};
    numbers.forEach(
        (key, rows) -> {
          boolean more = false;
          boolean same = key.getFirst().equals(task[0]);
          task[0] = key.getFirst();
          for (Row row : rows) {
            OptionalDouble error = row.score.standardError();
            String metric = row.score.metric() + (filters ? "," + row.score.filter() : "");
            table.add(
                more || same ? "" : key.getFirst(),
                more ? "" : metric,
                more ? "" : row.score.higherIsBetter() ? "↑" : "↓",
                cut(row.model.model().name().substring(common), longest),
                ResultTable.number(row.score.value()),
                "±",
                error.isPresent() ? ResultTable.number(error.getAsDouble()) : "N/A");
            more = true;
          }
        });
    return table;
  }

  /** Returns the length of the folders and names that all models begin with. */
  private static int common(List<ModelScores> models) {
    if (models.size() < 2) {
      return 0;
    }
    String first = models.getFirst().model().name();
    int end = Math.max(first.lastIndexOf('/'), first.lastIndexOf('@')) + 1;
    for (ModelScores model : models) {
      while (end > 0 && !model.model().name().startsWith(first.substring(0, end))) {
        end = Math.max(first.lastIndexOf('/', end - 2), first.lastIndexOf('@', end - 2)) + 1;
      }
    }
    return end;
  }

  /** Cuts the beginning of a name, because checkpoints differ in the end. */
  static String cut(String name, int longest) {
    return name.length() <= longest
        ? name
        : "..." + name.substring(name.length() - Math.max(1, longest - 3));
  }
}
