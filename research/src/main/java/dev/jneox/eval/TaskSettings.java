package dev.jneox.eval;

import dev.jneox.io.InputException;
import dev.jneox.io.Spelling;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads the settings of a task file by their names; errors say where they stand. */
final class TaskSettings {
  private final String source;
  private final Map<String, @Nullable Object> values;
  private final Map<String, TaskFunction> functions;

  /**
   * @param source what errors begin with
   */
  TaskSettings(
      String source,
      Map<String, ? extends @Nullable Object> values,
      Map<String, TaskFunction> functions) {
    this.source = source;
    this.values = new LinkedHashMap<>(values);
    this.functions = functions;
  }

  String place(String key) {
    return source + ": " + key;
  }

  InputException expected(String key, String what) {
    return new InputException(
        place(key) + ": expected " + what + ", found " + shown(values.get(key)));
  }

  private static String shown(@Nullable Object value) {
    String text = value instanceof FunctionName name ? "!function " + name.name() : value + "";
    return text.length() <= 80 ? text : text.substring(0, 77) + "...";
  }

  /** Refuses settings that are not in a list, by their names. */
  void only(Set<String> known) {
    for (String key : values.keySet()) {
      if (!known.contains(key)) {
        String meant =
            Spelling.nearest(key, known).map(near -> "; did you mean '" + near + "'?").orElse("");
        throw new InputException(source + ": setting '" + key + "' is not supported" + meant);
      }
    }
  }

  /** Refuses settings of the harness that we do not have, unless they are off. */
  void none(String... keys) {
    for (String key : keys) {
      Object value = values.get(key);
      if (value != null && !Boolean.FALSE.equals(value)) {
        throw new InputException(place(key) + ": is not supported, found " + shown(value));
      }
    }
  }

  @Nullable Object value(String key) {
    return values.get(key);
  }

  boolean has(String key) {
    return values.get(key) != null;
  }

  @Nullable String text(String key) {
    Object value = values.get(key);
    if (value == null || value instanceof String) {
      return (String) value;
    }
    throw expected(key, "a text");
  }

  String text(String key, String absent) {
    String text = text(key);
    return text == null ? absent : text;
  }

  /** Returns a whole number; {@code absent} where there is none. */
  int integer(String key, int absent, int least) {
    Object value = values.get(key);
    if (value == null) {
      return absent;
    }
    if (value instanceof Integer number && number >= least) {
      return number;
    }
    throw expected(key, "a whole number from " + least);
  }

  double number(String key, double absent) {
    Object value = values.get(key);
    if (value == null) {
      return absent;
    }
    if (value instanceof Number number) {
      return number.doubleValue();
    }
    throw expected(key, "a number");
  }

  boolean flag(String key, boolean absent) {
    Object value = values.get(key);
    if (value == null) {
      return absent;
    }
    if (value instanceof Boolean flag) {
      return flag;
    }
    throw expected(key, "true or false");
  }

  /** Returns texts: a list, or one alone; empty where there is none. */
  List<String> texts(String key) {
    Object value = values.get(key);
    List<String> texts = new ArrayList<>();
    for (Object each :
        value instanceof List<?> list ? list : value == null ? List.of() : List.of(value)) {
      if (!(each instanceof String text)) {
        throw expected(key, "texts");
      }
      texts.add(text);
    }
    return texts;
  }

  /** Returns the settings below a key: none where it is not there. */
  TaskSettings below(String key) {
    return values.get(key) == null
        ? new TaskSettings(place(key), Map.of(), functions)
        : map(key, values.get(key), place(key));
  }

  /** Returns the settings of each element of a list; empty where there is none. */
  List<TaskSettings> several(String key) {
    Object value = values.get(key);
    List<TaskSettings> several = new ArrayList<>();
    int number = 1;
    for (Object each :
        value instanceof List<?> list ? list : value == null ? List.of() : List.of(value)) {
      several.add(map(key, each, place(key) + " " + number++));
    }
    return several;
  }

  private TaskSettings map(String key, @Nullable Object value, String place) {
    if (!(value instanceof Map<?, ?> map)) {
      throw expected(key, "settings below it");
    }
    Map<String, @Nullable Object> below = new LinkedHashMap<>();
    map.forEach((name, each) -> below.put(String.valueOf(name), each));
    return new TaskSettings(place, below, functions);
  }

  Map<String, @Nullable Object> values() {
    return values;
  }

  /**
   * Returns the function that a setting names.
   *
   * @throws InputException where it names none, or none that we have for this
   */
  <T extends TaskFunction> T function(String key, Class<T> type) {
    if (!(values.get(key) instanceof FunctionName name)) {
      throw expected(key, "a !function");
    }
    TaskFunction function = functions.get(name.name());
    if (function == null) {
      throw new InputException(
          place(key) + ": the function " + name.name() + " is not one that JNeoX has");
    }
    if (!type.isInstance(function)) {
      throw new InputException(
          place(key) + ": the function " + name.name() + " is for another setting");
    }
    return type.cast(function);
  }
}
