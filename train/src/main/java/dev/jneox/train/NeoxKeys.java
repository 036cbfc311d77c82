package dev.jneox.train;

import dev.jneox.format.neox.YamlTree;
import dev.jneox.io.Spelling;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The keys of the configuration format, read from {@code neox-keys.txt}, where the format of that
 * table is told.
 */
final class NeoxKeys {
  private static final Map<String, Key> KEYS = new LinkedHashMap<>();
  private static final Map<String, String> FORMER = new HashMap<>();
  private static final Set<String> MAPPINGS = new HashSet<>();

  private NeoxKeys() {}

  /**
   * @param name dotted where the key stands inside a mapping
   * @param byDefault null where there is none
   * @param rule what JNeoX makes of the value
   */
  record Key(String name, KeyType type, Object byDefault, Rule rule) {}

  sealed interface Rule {
    /** The value is read, or does not matter. */
    record None() implements Rule {}

    /** Only these values, in lower case, can be done; "-" is the absent one. */
    record Only(List<String> values) implements Rule {}

    /** The mapping must be absent, empty or disabled. */
    record Off() implements Rule {}

    /** Asks for something that is not done and does not change the results; but these values. */
    record Ignored(List<String> read) implements Rule {}

    /** Must agree with another key. */
    record Same(String key) implements Rule {}
  }

  static {
    for (String line : table().split("\n")) {
      if (!line.isBlank() && !line.startsWith("#")) {
        String[] cell = line.trim().split(" +");
        if (cell[1].equals("was")) {
          FORMER.put(cell[0], cell[2]);
        } else {
          add(cell[0], KeyType.parse(cell[1]), cell[2], cell.length == 4 ? cell[3] : "");
        }
      }
    }
  }

  private static String table() {
    try (InputStream in = NeoxKeys.class.getResourceAsStream("neox-keys.txt")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void add(String name, KeyType type, String byDefault, String rule) {
    Object fallback = byDefault.equals("-") ? null : type.fit(YamlTree.plainScalar(byDefault));
    KEYS.put(name, new Key(name, type, fallback, parseRule(rule)));
    for (int dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      MAPPINGS.add(name.substring(0, dot));
    }
  }

  private static Rule parseRule(String rule) {
    if (rule.startsWith("only=")) {
      return new Rule.Only(List.of(rule.substring(5).split("\\|")));
    }
    if (rule.startsWith("same=")) {
      return new Rule.Same(rule.substring(5));
    }
    if (rule.startsWith("ignored=")) {
      return new Rule.Ignored(List.of(rule.substring(8).split("\\|")));
    }
    return switch (rule) {
      case "off" -> new Rule.Off();
      case "ignored" -> new Rule.Ignored(List.of());
      default -> new Rule.None();
    };
  }

  static Iterable<Key> all() {
    return KEYS.values();
  }

  /** The key of that dotted name, or null. */
  static Key find(String name) {
    return KEYS.get(name);
  }

  /** Whether the name is a mapping whose inside is looked at, such as {@code optimizer}. */
  static boolean isMapping(String name) {
    return MAPPINGS.contains(name);
  }

  /**
   * The key meant by an unknown name: its present name, the same word in another mapping, one that
   * begins so, or the nearest by spelling.
   */
  static Optional<String> nearest(String unknown) {
    String former = FORMER.get(unknown);
    if (former != null) {
      return Optional.of(former);
    }
    String word = unknown.toLowerCase(Locale.ROOT);
    String last = word.substring(word.lastIndexOf('.') + 1);
    String best = null;
    int distance = Math.max(2, word.length() / 4) + 1;
    for (String name : KEYS.keySet()) {
      int d =
          Math.min(
              Spelling.edits(word, name),
              name.endsWith("." + last) ? 1 : name.startsWith(word) ? 2 : Integer.MAX_VALUE);
      if (d < distance) {
        distance = d;
        best = name;
      }
    }
    return Optional.ofNullable(best);
  }
}
