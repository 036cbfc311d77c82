package dev.jneox.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * A JSON object of a model folder, read with the types a key must have: no text for a number, no
 * 1.5 for an integer.
 */
public final class JsonObject {
  /**
   * Refuses duplicate keys, absurd nesting and bytes that are not UTF-8; names from files are not
   * interned.
   */
  public static final JsonFactory JSON =
      JsonFactory.builder()
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder().maxNestingDepth(64).maxNumberLength(100).build())
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

  /** Reads a file of at most {@code maxBytes} bytes. */
  public static JsonObject read(Path file, long maxBytes) {
    try {
      long size = Files.size(file);
      if (size > maxBytes) {
        throw InputException.in(file, "size", "at most " + maxBytes + " bytes", size + " bytes");
      }
      JsonNode node = MAPPER.readValue(Files.readAllBytes(file), JsonNode.class);
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
   * The error for JSON that cannot be read or parsed, with the byte of {@code part} where it stops
   * making sense.
   */
  public static JneoxException unreadable(Path file, String part, IOException e) {
    if (e instanceof JsonProcessingException json) {
      long at = json.getLocation() == null ? -1 : json.getLocation().getByteOffset();
      String place = part + (at < 0 ? "" : ", byte " + at);
      return new InputException(
          file + ": " + place + ": not valid JSON: " + json.getOriginalMessage(), e);
    }
    return StorageException.of(file, part + ": cannot be read", e);
  }

  /** Bytes of an indented JSON file, keys in the order given. */
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

  public Set<String> keys() {
    Set<String> keys = new TreeSet<>();
    node.fieldNames().forEachRemaining(keys::add);
    return keys;
  }

  /** Whether the key is there with a value other than null. */
  public boolean has(String key) {
    return node.hasNonNull(key);
  }

  public int integer(String key, int absent, int min, int max) {
    return node.has(key) ? integer(node.get(key), key, min, max) : absent;
  }

  /**
   * An integer, or the first of a list of them; {@code absent} without the key, {@code none} for
   * null or an empty list.
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

  public boolean flag(String key, boolean absent) {
    JsonNode value = node.get(key);
    if (value != null && !value.isBoolean()) {
      throw wrong(key, "true or false", value);
    }
    return value == null ? absent : value.booleanValue();
  }

  /** Refuses the key when it is true: what it asks for would change the numbers. */
  public void requireOff(String key) {
    if (flag(key, false)) {
      throw unsupported(key, "false (it changes the numbers and is not supported)");
    }
  }

  /**
   * The one of several spellings of a key that is there, else the first; where several are, they
   * agree.
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

  /** The value under a key, whatever it is; null without it or when it is null. */
  public Optional<JsonNode> node(String key) {
    return Optional.ofNullable(node.get(key)).filter(value -> !value.isNull());
  }

  /** The text under a key; null without it. */
  public Optional<String> text(String key) {
    JsonNode value = node.get(key);
    if (value != null && !value.isTextual()) {
      throw wrong(key, "text", value);
    }
    return Optional.ofNullable(value).map(JsonNode::textValue);
  }

  /** The object under a key; null without it or when it is null. */
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

  /** The error for a key whose value cannot be used. */
  public InputException unsupported(String key, String expected) {
    return wrong(key, expected, node.path(key));
  }

  private InputException wrong(String key, String expected, JsonNode value) {
    return InputException.in(file, path + shortened(key), expected, shown(value));
  }

  /** A name from a file as shown in a message: quoted, and cut when long. */
  public static String quoted(String name) {
    return '"' + shortened(name) + '"';
  }

  public static String shortened(String text) {
    return text.length() <= 120 ? text : text.substring(0, 120) + "...";
  }

  private static String shown(JsonNode value) {
    return value.isMissingNode() ? "nothing" : shortened(value.toString());
  }
}
