package dev.jneox.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/** Writes rows as a Markdown table whose columns stand below each other. */
final class MarkdownTable {
  private final List<String> columns;
  private final Set<Integer> numbers;
  private final List<List<String>> rows = new ArrayList<>();

  /**
   * @param numbers columns whose values end below each other
   */
  MarkdownTable(List<String> columns, Set<Integer> numbers) {
    this.columns = columns;
    this.numbers = numbers;
  }

  void add(String... cells) {
    rows.add(List.of(cells));
  }

  /** Returns how wide the table is, in characters. */
  int width() {
    return Arrays.stream(widths()).sum() + columns.size() + 1;
  }

  private int[] widths() {
    int[] widths = columns.stream().mapToInt(column -> Math.max(1, column.length())).toArray();
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], PythonText.length(row.get(i)));
      }
    }
    return widths;
  }

  String text() {
    int[] widths = widths();
    StringBuilder out = new StringBuilder();
    line(columns, widths, out);
    String[] rules = new String[widths.length];
    Arrays.setAll(
        rules, i -> numbers.contains(i) ? "-".repeat(widths[i] - 1) + ":" : "-".repeat(widths[i]));
    line(List.of(rules), widths, out);
    rows.forEach(row -> line(row, widths, out));
    return out.toString();
  }

  private void line(List<String> cells, int[] widths, StringBuilder out) {
    for (int i = 0; i < widths.length; i++) {
      String blanks = " ".repeat(widths[i] - PythonText.length(cells.get(i)));
      out.append('|').append(numbers.contains(i) ? blanks + cells.get(i) : cells.get(i) + blanks);
    }
    out.append("|\n");
  }
}
