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
import org.jspecify.annotations.Nullable;

/**
 * Lists the keys of the configuration format, from the table {@code neox-keys.txt}, which begins
 * with a description of its format.
 */
final class NeoxKeys {
  private static final Map<String, Key> KEYS = new LinkedHashMap<>();
  private static final Map<String, String> FORMER = new HashMap<>();
  private static final Set<String> MAPPINGS = new HashSet<>();

  private NeoxKeys() {}

  /**
   * Describes a key.
   *
   * @param name dotted where the key is inside a mapping
   * @param byDefault null where there is none
   * @param rule how JNeoX treats the value
   */
  record Key(String name, KeyType type, @Nullable Object byDefault, Rule rule) {}

  /** States how JNeoX treats the value of a key. */
  sealed interface Rule {
    /** The value is used, or has no effect that anyone needs to know of. */
    record None() implements Rule {}

    /** Only these values are supported, in lower case; "-" means that the key is not set. */
    record Only(List<String> values) implements Rule {}

    /** The mapping must be absent, empty or disabled. */
    record Off() implements Rule {}

    /** Values but these ask for something that is not done and does not change the results. */
    record Ignored(List<String> read) implements Rule {}

    /** The value must equal that of another key. */
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
    Object value = byDefault.equals("-") ? null : YamlTree.plainScalar(byDefault);
    Object fallback = value == null ? null : type.fit(value);
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

  /** Returns the key of a dotted name; empty where there is none. */
  static Optional<Key> find(String name) {
    return Optional.ofNullable(KEYS.get(name));
  }

  /** Returns whether the name is a mapping with keys of its own, such as {@code optimizer}. */
  static boolean isMapping(String name) {
    return MAPPINGS.contains(name);
  }

  /**
   * Guesses which key an unknown name means: the present name of a renamed key, else the nearest by
   * spelling. A key of that name in another mapping, or one that begins with the name, counts as
   * near.
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
