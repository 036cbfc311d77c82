package dev.jneox.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads a JSON object of a model folder and checks the type of each value: no string for a number,
 * no 1.5 for an integer.
 */
public final class JsonObject {
  /**
   * Rejects duplicate keys, nesting beyond 64 levels and bytes that are not UTF-8. Reads the NaN
   * and Infinity that Python writes. Does not intern names from files.
   */
  public static final JsonFactory JSON =
      JsonFactory.builder()
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .streamReadConstraints(
              StreamReadConstraints.builder().maxNestingDepth(64).maxNumberLength(100).build())
          .build();

  /**
   * Reads what Python's {@code json} reads: texts, names and numbers of any length, NaN and
   * Infinity. Nesting beyond 1000 levels is an error, as it is there.
   */
  public static final JsonFactory LINES =
      JsonFactory.builder()
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxStringLength(Integer.MAX_VALUE)
                  .maxNameLength(Integer.MAX_VALUE)
                  .maxNumberLength(Integer.MAX_VALUE)
                  .build())
          .build();

  private static final ObjectMapper MAPPER =
      new ObjectMapper(JSON).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private final Path file;
  private final String path;
  private final JsonNode node;

  private JsonObject(Path file, String path, JsonNode node) {
    this.file = file;
    this.path = path;
    this.node = node;
  }

  /**
   * Reads a file of at most {@code maxBytes} bytes.
   *
   * @throws InputException when there is no such file, or it holds no JSON object
   */
  public static JsonObject read(Path file, long maxBytes) {
    try {
      JsonNode node = MAPPER.readValue(InputFile.bytes(file, maxBytes), JsonNode.class);
      if (!node.isObject()) {
        throw InputException.in(file, "content", "a JSON object", shown(node));
      }
      return new JsonObject(file, "", node);
    } catch (NoSuchFileException e) {
      throw new InputException(file + ": no such file", e);
    } catch (IOException e) {
      throw unreadable(file, "content", e);
    }
  }

  /**
   * Creates the error for JSON that cannot be read or parsed, with the byte of {@code part} at
   * which parsing stopped.
   */
  public static JneoxException unreadable(Path file, String part, IOException e) {
    if (e instanceof JsonProcessingException json) {
      long at = json.getLocation() == null ? -1 : json.getLocation().getByteOffset();
      String place = part + (at < 0 ? "" : ", byte " + at);
      return new InputException(
          file + ": " + place + ": not valid JSON: " + problem(json) + Placeholder.hint(file), e);
    }
    return StorageException.of(file, part + ": cannot be read", e);
  }

  /** Returns a parser's error as one line, without its hints about parser settings. */
  public static String problem(JsonProcessingException e) {
    return e.getOriginalMessage()
        .replaceFirst(" \\([^(]*\\[Source.*", "")
        .replaceFirst(": enable `[^`]*` to allow", "")
        .replaceFirst(", from `[^`]*`", "")
        .replaceAll("\\p{Cntrl}+", " ");
  }

  /** Formats an indented JSON file with the keys in the given order. */
  public static byte[] write(Map<String, ?> content) {
    DefaultIndenter indenter = new DefaultIndenter("  ", "\n");
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter(
            Separators.createDefaultInstance()
                .withObjectFieldValueSpacing(Separators.Spacing.AFTER));
    printer.indentArraysWith(indenter);
    printer.indentObjectsWith(indenter);
    try {
      return (MAPPER.writer(printer).writeValueAsString(content) + "\n")
          .getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e);
    }
  }

  /** Returns the keys in ascending order. */
  public Set<String> keys() {
    Set<String> keys = new TreeSet<>();
    node.fieldNames().forEachRemaining(keys::add);
    return keys;
  }

  /** Returns whether the key has a value other than null. */
  public boolean has(String key) {
    return node.hasNonNull(key);
  }

  /**
   * Returns the integer under a key.
   *
   * @param absent the result without the key
   * @param min smallest value allowed
   * @param max largest value allowed
   * @throws InputException for any other value
   */
  public int integer(String key, int absent, int min, int max) {
    return node.has(key) ? integer(node.get(key), key, min, max) : absent;
  }

  /**
   * Returns an integer, or the first element of a list of integers.
   *
   * @param absent the result without the key
   * @param none the result for null or an empty list
   * @param min smallest value allowed
   * @param max largest value allowed
   */
  public int firstInteger(String key, int absent, int none, int min, int max) {
    JsonNode value = node.get(key);
    if (value == null) {
      return absent;
    }
    if (value.isNull() || value.isArray() && value.isEmpty()) {
      return none;
    }
    return integer(value.isArray() ? value.get(0) : value, key, min, max);
  }

  /**
   * Returns an integer or a list of integers as a list; empty without the key and for null.
   *
   * @param min smallest value allowed
   * @param max largest value allowed
   */
  public List<Integer> integers(String key, int min, int max) {
    if (!has(key)) {
      return List.of();
    }
    JsonNode value = node.get(key);
    List<Integer> integers = new ArrayList<>();
    for (JsonNode each : value.isArray() ? value : List.of(value)) {
      integers.add(integer(each, key, min, max));
    }
    return integers;
  }

  private int integer(JsonNode value, String key, int min, int max) {
    boolean good =
        value.isIntegralNumber()
            && value.canConvertToInt()
            && value.intValue() >= min
            && value.intValue() <= max;
    if (!good) {
      throw wrong(key, "an integer from " + min + " to " + max, value);
    }
    return value.intValue();
  }

  /**
   * Returns the positive, finite number under a key.
   *
   * @param absent the result without the key
   * @throws InputException for any other value
   */
  public double positive(String key, double absent) {
    JsonNode value = node.get(key);
    if (value == null) {
      return absent;
    }
    double number = value.doubleValue();
    if (!value.isNumber() || !(number > 0) || Double.isInfinite(number)) {
      throw wrong(key, "a positive number", value);
    }
    return number;
  }

  /**
   * Returns the boolean under a key.
   *
   * @param absent the result without the key
   * @throws InputException for any other value
   */
  public boolean flag(String key, boolean absent) {
    JsonNode value = node.get(key);
    if (value != null && !value.isBoolean()) {
      throw wrong(key, "true or false", value);
    }
    return value == null ? absent : value.booleanValue();
  }

  /** Rejects a key that is true, because the feature it enables would change the numbers. */
  public void requireOff(String key) {
    if (flag(key, false)) {
      throw unsupported(key, "false (it changes the numbers and is not supported)");
    }
  }

  /**
   * Returns the spelling of a key that the object uses, else the first one.
   *
   * @throws InputException when two spellings have different values
   */
  public String spelled(String... spellings) {
    String used = null;
    for (String spelling : spellings) {
      if (used == null && has(spelling)) {
        used = spelling;
      } else if (has(spelling) && !node.get(spelling).equals(node.get(used))) {
        throw unsupported(spelling, "the same as " + used + ", " + shown(node.get(used)));
      }
    }
    return used == null ? spellings[0] : used;
  }

  /** Returns the value under a key; empty without the key and for null. */
  public Optional<JsonNode> node(String key) {
    return Optional.ofNullable(node.get(key)).filter(value -> !value.isNull());
  }

  /**
   * Returns the string under a key; empty without the key.
   *
   * @throws InputException for any other value
   */
  public Optional<String> text(String key) {
    JsonNode value = node.get(key);
    if (value != null && !value.isTextual()) {
      throw wrong(key, "text", value);
    }
    return Optional.ofNullable(value).map(JsonNode::textValue);
  }

  /**
   * Returns the object under a key; empty without the key and for null.
   *
   * @throws InputException for any other value
   */
  public Optional<JsonObject> object(String key) {
    JsonNode value = node.get(key);
    if (value == null || value.isNull()) {
      return Optional.empty();
    }
    if (!value.isObject()) {
      throw wrong(key, "an object", value);
    }
    return Optional.of(new JsonObject(file, path + key + ".", value));
  }

  /** Creates the error for a key whose value cannot be used. */
  public InputException unsupported(String key, String expected) {
    return wrong(key, expected, node.path(key));
  }

  private InputException wrong(String key, String expected, JsonNode value) {
    return InputException.in(file, path + shortened(key), expected, shown(value));
  }

  /** Quotes a name from a file for a message, and cuts a long one. */
  public static String quoted(String name) {
    return '"' + shortened(name) + '"';
  }

  /** Cuts a text from a file to 120 characters for a message. */
  public static String shortened(String text) {
    return text.length() <= 120 ? text : text.substring(0, 120) + "...";
  }

  private static String shown(JsonNode value) {
    return value.isMissingNode() ? "nothing" : shortened(value.toString());
  }
}
