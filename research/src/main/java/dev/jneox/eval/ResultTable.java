package dev.jneox.eval;

import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.Set;

/** Writes results as a Markdown table, in the columns of lm-evaluation-harness. */
public final class ResultTable {
  private final EvaluationResults results;
  private final MarkdownTable rows =
      new MarkdownTable(
          List.of("Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr"),
          Set.of(1, 3, 6, 8));

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
    return table.rows.text();
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
      rows.add(first, version, "", "", "", "", "", "", "");
    }
    boolean more = false;
    for (Score score : scores) {
      OptionalDouble error = score.standardError();
      rows.add(
          more ? "" : first,
          more ? "" : version,
          score.filter(),
          fewshot,
          score.metric(),
          score.higherIsBetter() ? "↑" : "↓",
          number(score.value()),
          "±",
          error.isPresent() ? number(error.getAsDouble()) : "N/A");
      more = true;
    }
  }

  static String number(double value) {
    return String.format(Locale.ROOT, "%.4f", value);
  }
}
