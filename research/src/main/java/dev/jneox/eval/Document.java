package dev.jneox.eval;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.VisibleText;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Holds one record of a data set: values of JSON by the names of its fields. Two are equal where
 * their fields are, wherever they come from.
 */
public final class Document {
  private final Map<String, @Nullable Object> fields;
  private final String source;

  private Document(Map<String, @Nullable Object> fields, String source) {
    this.fields = fields;
    this.source = source;
  }

  /**
   * Makes a document.
   *
   * @param fields null, Boolean, Long, Double, String, List and Map
   * @param source where it comes from, as errors say it
   */
  public static Document of(Map<String, ? extends @Nullable Object> fields, String source) {
    return new Document(Collections.unmodifiableMap(new LinkedHashMap<>(fields)), source);
  }

  /** Returns the values by name, in their order. */
  public Map<String, @Nullable Object> fields() {
    return fields;
  }

  /** Returns where it comes from: the file, and the place in it. */
  public String source() {
    return source;
  }

  /** Returns the same document with other or more fields. */
  public Document with(Map<String, ? extends @Nullable Object> more) {
    Map<String, @Nullable Object> all = new LinkedHashMap<>(fields);
    all.putAll(more);
    return new Document(Collections.unmodifiableMap(all), source);
  }

  /**
   * Returns the value of a field, which may be null.
   *
   * @throws InputException when there is no such field
   */
  public @Nullable Object value(String field) {
    if (!fields.containsKey(field)) {
      throw new InputException(
          source + ": expected the field '" + field + "', found " + fields.keySet());
    }
    return fields.get(field);
  }

  /**
   * Returns the text of a field.
   *
   * @throws InputException when there is none
   */
  public String text(String field) {
    if (value(field) instanceof String text) {
      return text;
    }
    throw expected(field, "a text");
  }

  /**
   * Returns the texts of a field that is a list.
   *
   * @throws InputException when it is another
   */
  public List<String> texts(String field) {
    if (!(value(field) instanceof List<?> list)) {
      throw expected(field, "a list of texts");
    }
    List<String> texts = new ArrayList<>();
    for (Object each : list) {
      if (!(each instanceof String text)) {
        throw expected(field, "a list of texts");
      }
      texts.add(text);
    }
    return texts;
  }

  /**
   * Makes the error of a field that is not as it should be.
   *
   * @param what should be there, in words
   */
  public InputException expected(String field, String what) {
    return new InputException(
        source
            + ": field '"
            + field
            + "': expected "
            + what
            + ", found "
            + shown(fields.get(field)));
  }

  /** Writes a value for a message: a text in quotes, a long one cut. */
  static String shown(@Nullable Object value) {
    return value instanceof String text
        ? VisibleText.of(JsonObject.quoted(text))
        : VisibleText.of(JsonObject.shortened(String.valueOf(value)));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Document document && fields.equals(document.fields);
  }

  @Override
  public int hashCode() {
    return fields.hashCode();
  }
}
