package dev.jneox.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.Set;

/** Writes results as a Markdown table, in the columns of lm-evaluation-harness. */
public final class ResultTable {
  private static final List<String> COLUMNS =
      List.of("Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr");

  /** The columns whose values end below each other. */
  private static final Set<Integer> NUMBERS = Set.of(1, 3, 6, 8);

  private final EvaluationResults results;
  private final List<List<String>> rows = new ArrayList<>();

  private ResultTable(EvaluationResults results) {
    this.results = results;
  }

  /** Returns the table: groups with their tasks below them, then the other tasks. */
  public static String of(EvaluationResults results) {
    ResultTable table = new ResultTable(results);
    Set<String> below = new HashSet<>();
    results.groups().values().forEach(group -> below.addAll(group.members()));
    results.groups().keySet().stream()
        .filter(name -> !below.contains(name))
        .forEach(name -> table.add(name, 0));
    results.tasks().keySet().stream()
        .filter(name -> !below.contains(name))
        .forEach(name -> table.add(name, 0));
    return table.text();
  }

  private void add(String name, int depth) {
    GroupResult group = results.groups().get(name);
    if (group != null) {
      add(group.alias(), group.version(), "", group.scores(), depth);
      group.members().forEach(member -> add(member, depth + 1));
      return;
    }
    TaskResult task = results.tasks().get(name);
    if (task != null) {
      add(task.alias(), task.version(), task.fewshot() + "", task.scores(), depth);
    }
  }

  private void add(String name, String version, String fewshot, List<Score> scores, int depth) {
    String first = (depth == 0 ? "" : " ".repeat(depth) + "- ") + name;
    if (scores.isEmpty()) {
      rows.add(List.of(first, version, "", "", "", "", "", "", ""));
    }
    boolean more = false;
    for (Score score : scores) {
      OptionalDouble error = score.standardError();
      rows.add(
          List.of(
              more ? "" : first,
              more ? "" : version,
              score.filter(),
              fewshot,
              score.metric(),
              score.higherIsBetter() ? "↑" : "↓",
              number(score.value()),
              "±",
              error.isPresent() ? number(error.getAsDouble()) : "N/A"));
      more = true;
    }
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.4f", value);
  }

  private String text() {
    int[] widths = COLUMNS.stream().mapToInt(column -> Math.max(1, column.length())).toArray();
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], PythonText.length(row.get(i)));
      }
    }
    StringBuilder out = new StringBuilder();
    line(COLUMNS, widths, out);
    String[] rules = new String[widths.length];
    Arrays.setAll(
        rules, i -> NUMBERS.contains(i) ? "-".repeat(widths[i] - 1) + ":" : "-".repeat(widths[i]));
    line(List.of(rules), widths, out);
    rows.forEach(row -> line(row, widths, out));
    return out.toString();
  }

  private static void line(List<String> cells, int[] widths, StringBuilder out) {
    for (int i = 0; i < widths.length; i++) {
      String blanks = " ".repeat(widths[i] - PythonText.length(cells.get(i)));
      out.append('|').append(NUMBERS.contains(i) ? blanks + cells.get(i) : cells.get(i) + blanks);
    }
    out.append("|\n");
  }
}
