package dev.jneox.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.io.VisibleText;

/** What {@code --json} prints. What a terminal would not show is escaped within strings. */
public final class Json {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final ObjectMapper INDENTED =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  private Json() {}

  /** A value on one line: maps keep their order. */
  public static String line(Object value) {
    return text(JSON, value);
  }

  /** A value on indented lines; the keys of records are in snake case. */
  static String indented(Object value) {
    return text(INDENTED, value);
  }

  private static String text(ObjectMapper mapper, Object value) {
    try {
      return VisibleText.lines(mapper.writeValueAsString(value));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
