package dev.jneox.corpus;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.Spelling;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Reads the keys of a mapping in a pipeline file, each with its type and range. */
final class Settings {
  private final Path file;
  private final String place;
  private final Map<String, @Nullable Object> values;
  private final TreeSet<String> known = new TreeSet<>();
  private final Map<String, String> asked = new LinkedHashMap<>();

  /**
   * Reads the mapping {@code value}.
   *
   * @param place of the mapping in the file, such as {@code sources[2]}; empty for the whole file
   */
  @SuppressWarnings("unchecked")
  Settings(Path file, String place, @Nullable Object value) {
    this.file = file;
    this.place = place;
    if (value == null) {
      this.values = Map.of();
    } else if (value instanceof Map<?, ?> map) {
      this.values = (Map<String, @Nullable Object>) map;
    } else {
      throw InputException.in(file, here(), "keys with values", describe(value));
    }
  }

  /** Returns the keys that were asked for, in order, each with what it takes and its default. */
  Map<String, String> asked() {
    return asked;
  }

  private static String otherwise(String kind, Object absent) {
    return kind
        + (absent.toString().isEmpty() || absent.equals(List.of()) ? "" : "; else " + absent);
  }

  private String here() {
    return place.isEmpty() ? "content" : place;
  }

  private String at(String key) {
    return place.isEmpty() ? key : place + "." + key;
  }

  InputException wrong(String key, String expected, @Nullable Object found) {
    return InputException.in(file, at(key), expected, describe(found));
  }

  /** Returns the value of a key; null where it is absent. */
  @Nullable Object value(String key) {
    known.add(key);
    return values.get(key);
  }

  /** Returns the folder of the file, from which relative paths start. */
  Path folder() {
    Path folder = file.toAbsolutePath().getParent();
    return folder == null ? file.toAbsolutePath() : folder;
  }

  /** Returns a path or glob, resolved against the folder of the file. */
  static String resolved(Path folder, String path) {
    return path.startsWith("/") ? path : folder + "/" + path;
  }

  Optional<String> text(String key) {
    asked.putIfAbsent(key, "a text");
    Object value = value(key);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof String || value instanceof Number) {
      return Optional.of(value.toString());
    }
    throw wrong(key, "text", value);
  }

  /** Returns a list of texts; one text is a list of one. */
  List<String> texts(String key, List<String> absent) {
    asked.putIfAbsent(key, otherwise("a text or a list of texts", absent));
    Object value = value(key);
    if (value == null) {
      return absent;
    }
    if (!(value instanceof List<?> list)) {
      return List.of(text(key).orElseThrow());
    }
    List<String> texts = new ArrayList<>();
    for (Object item : list) {
      if (!(item instanceof String || item instanceof Number)) {
        throw wrong(key, "a list of texts", item);
      }
      texts.add(item.toString());
    }
    return texts;
  }

  /** Returns one of several texts; empty without the key. */
  Optional<String> choice(String key, Collection<String> choices) {
    asked.put(key, "one of " + String.join(", ", choices));
    return value(key) == null ? Optional.empty() : Optional.of(choice(key, "", choices));
  }

  String choice(String key, String absent, Collection<String> choices) {
    asked.put(key, otherwise("one of " + String.join(", ", choices), absent));
    String value = text(key).orElse(absent);
    if (!choices.contains(value)) {
      throw wrong(key, String.join(", ", choices), value);
    }
    return value;
  }

  boolean flag(String key, boolean absent) {
    asked.putIfAbsent(key, otherwise("true or false", absent));
    Object value = value(key);
    return switch (value) {
      case null -> absent;
      case Boolean flag -> flag;
      default -> throw wrong(key, "true or false", value);
    };
  }

  int integer(String key, int absent, int min, int max) {
    asked.putIfAbsent(key, otherwise(integers(min, max), absent));
    Object value = value(key);
    if (value == null) {
      return absent;
    }
    if (value instanceof Long n && n >= min && n <= max) {
      return n.intValue();
    }
    throw wrong(key, integers(min, max), value);
  }

  private static String integers(int min, int max) {
    return "a whole number of " + min + (max == Integer.MAX_VALUE ? " or more" : " to " + max);
  }

  double number(String key, double absent, double min, double max) {
    asked.putIfAbsent(key, otherwise(numbers(min, max), absent));
    Object value = value(key);
    if (value == null) {
      return absent;
    }
    if (value instanceof Number n && n.doubleValue() >= min && n.doubleValue() <= max) {
      return n.doubleValue();
    }
    throw wrong(key, numbers(min, max), value);
  }

  private static String numbers(double min, double max) {
    return "a number of " + min + (max == Double.MAX_VALUE ? " or more" : " to " + max);
  }

  /** Throws for a key that nothing has asked for, with the nearest one that there is. */
  void noOthers() {
    for (String key : values.keySet()) {
      if (!known.contains(key)) {
        throw InputException.in(
            file,
            here(),
            known.isEmpty() ? "no options" : "the keys " + String.join(", ", known),
            key + meant(key, known));
      }
    }
  }

  /** Returns a question for the nearest name; empty where none is near. */
  static String meant(String wrong, Collection<String> names) {
    return Spelling.nearest(wrong, names).map(name -> " (did you mean " + name + "?)").orElse("");
  }

  static String describe(@Nullable Object value) {
    return switch (value) {
      case null -> "nothing";
      case String text -> JsonObject.quoted(text);
      case List<?> _ -> "a list";
      case Map<?, ?> _ -> "keys with values";
      default -> value.toString();
    };
  }
}
