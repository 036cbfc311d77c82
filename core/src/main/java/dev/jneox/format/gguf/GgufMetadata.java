package dev.jneox.format.gguf;

import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Holds the metadata of a GGUF file and checks the type of each value: an integer of any width, but
 * no string for a number.
 */
public final class GgufMetadata {
  private final Path file;
  private final Map<String, GgufValue> values;

  GgufMetadata(Path file, Map<String, GgufValue> values) {
    this.file = file;
    this.values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
  }

  /** Returns all values by key, in the order of the file. */
  public Map<String, GgufValue> values() {
    return values;
  }

  /** Returns whether the key is there. */
  public boolean has(String key) {
    return values.containsKey(key);
  }

  /** Returns the integer under a key; {@code absent} without it. */
  int integer(String key, int absent, int min, int max) {
    return values.containsKey(key) ? integer(key, min, max) : absent;
  }

  /** Returns the integer under a required key. */
  int integer(String key, int min, int max) {
    GgufValue value = values.get(key);
    if (value != null && value.value() instanceof Long number && number >= min && number <= max) {
      return number.intValue();
    }
    throw wrong(key, "an integer from " + min + " to " + max);
  }

  double positive(String key, double absent) {
    GgufValue value = values.get(key);
    if (value == null) {
      return absent;
    }
    double number = value.value() instanceof Number any ? any.doubleValue() : Double.NaN;
    if (!(number > 0) || Double.isInfinite(number)) {
      throw wrong(key, "a positive number");
    }
    // fp32's 9.9999997e-6 was written as 1e-5.
    return value.type() == GgufValue.Type.FLOAT32
        ? Double.parseDouble(Float.toString((float) number))
        : number;
  }

  boolean flag(String key, boolean absent) {
    GgufValue value = values.get(key);
    if (value != null && !(value.value() instanceof Boolean)) {
      throw wrong(key, "true or false");
    }
    return value == null ? absent : (Boolean) value.value();
  }

  /** Returns the string under a key; null without it. */
  @Nullable String text(String key) {
    GgufValue value = values.get(key);
    if (value != null && !(value.value() instanceof String)) {
      throw wrong(key, "text");
    }
    return value == null ? null : (String) value.value();
  }

  /** Returns the strings under a key; null without it. */
  @Nullable List<String> texts(String key) {
    GgufValue value = values.get(key);
    if (value == null) {
      return null;
    }
    if (!(value.value() instanceof List<?> list)) {
      throw wrong(key, "an array of texts");
    }
    return list.stream().map(String.class::cast).toList();
  }

  /** Returns the integers under a key; null without it. */
  long @Nullable [] integers(String key) {
    GgufValue value = values.get(key);
    if (value == null) {
      return null;
    }
    if (!(value.value() instanceof long[] numbers)) {
      throw wrong(key, "an array of integers");
    }
    return numbers;
  }

  /** Creates the error for a key whose value cannot be used. */
  InputException wrong(String key, String expected) {
    GgufValue value = values.get(key);
    return InputException.in(
        file, "key " + key, expected, value == null ? "no such key" : value.toString());
  }
}
