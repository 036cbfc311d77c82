package dev.jneox.corpus;

import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/**
 * Reads the text of a dictionary of the DICT server ({@code .dict}, {@code .dict.dz} without its
 * compression). An entry begins at the margin below an empty line. Braces of cross-references and
 * lines that only name the edition are dropped.
 */
final class DictText {
  private static final Pattern EDITION =
      Pattern.compile("\\[(1913 Webster|Webster 1913 Suppl\\.|PJC|WordNet 1\\.5|RP|RH|AS|GG)]");
  private static final Pattern EDITIONS =
      Pattern.compile("\\s*(" + EDITION.pattern() + "[ +]*)+\\s*");

  private DictText() {}

  static void read(String text, Consumer<String> documents) {
    Entries entries = new Entries("\n", documents);
    StringBuilder entry = new StringBuilder();
    boolean gap = true;
    List<String> lines = text.lines().toList();
    for (String line : lines) {
      if (line.isBlank()) {
        gap = true;
        continue;
      }
      if (gap && !Character.isWhitespace(line.charAt(0))) {
        add(entries, entry);
      }
      if (EDITIONS.matcher(line).matches()) {
        continue;
      }
      if (gap && !entry.isEmpty()) {
        entry.append('\n');
      }
      gap = false;
      entry.append(line.replace("{", "").replace("}", "").stripTrailing()).append('\n');
    }
    add(entries, entry);
    entries.end();
  }

  private static void add(Entries entries, StringBuilder entry) {
    if (!entry.toString().startsWith("00-database") && !entry.toString().startsWith("00database")) {
      entries.add(entry.toString());
    }
    entry.setLength(0);
  }
}
