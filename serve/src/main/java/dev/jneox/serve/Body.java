package dev.jneox.serve;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.io.JsonEOFException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.Spelling;
import dev.jneox.io.VisibleText;
import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads the JSON object of a request. Each value is checked and named in the error. A field that
 * nobody reads is refused at the end ({@link #end}), so that none is ignored by mistake.
 */
final class Body {
  /** Strict JSON in UTF-8. The depth is far above that of JSON schemas in use. */
  static final ObjectMapper MAPPER =
      new ObjectMapper(
              JsonFactory.builder()
                  .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(200)
                          .maxNumberLength(100)
                          .maxStringLength(Integer.MAX_VALUE)
                          .build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private static final int LONGEST_SHOWN = 60;

  /** What Jackson says of a character, and of a word, that it did not expect. */
  private static final Pattern CHARACTER =
      Pattern.compile("^(?:Unexpected|Illegal) .*?\\('?(.+?)'? ?\\(code");

  private static final Pattern NAMED =
      Pattern.compile(
          "^(Duplicate field|Unrecognized token) '(.*?)'(?:: was expecting.*)?$", Pattern.DOTALL);

  private final ObjectNode node;
  private final String path; // of the object itself, with a trailing dot; "" for the body
  private final Set<String> read = new HashSet<>();

  private Body(ObjectNode node, String path) {
    this.node = node;
    this.path = path;
  }

  /**
   * Parses a body.
   *
   * @throws ApiException when it is no JSON object
   */
  static Body parse(byte[] bytes) {
    JsonNode node;
    try {
      node = MAPPER.readTree(bytes);
    } catch (JsonProcessingException e) {
      String place =
          e.getLocation() == null
              ? ""
              : "line %d, column %d: "
                  .formatted(e.getLocation().getLineNr(), e.getLocation().getColumnNr());
      throw ApiException.malformed("body: " + place + "expected JSON in UTF-8, found " + found(e));
    } catch (IOException e) {
      throw ApiException.malformed(
          "body: expected JSON in UTF-8: " + shown(String.valueOf(e.getMessage())));
    }
    if (!(node instanceof ObjectNode object)) {
      throw ApiException.malformed("body: expected a JSON object, found " + described(node));
    }
    return new Body(object, "");
  }

  /** Says in a few words where the parser stopped. */
  private static String found(JsonProcessingException e) {
    String message = String.valueOf(e.getOriginalMessage());
    if (e instanceof JsonEOFException) {
      return "the end of it";
    }
    Matcher character = CHARACTER.matcher(message);
    if (character.find()) {
      return "the character " + shown(character.group(1));
    }
    Matcher named = NAMED.matcher(message);
    if (named.find()) {
      return named.group(1).startsWith("Dup")
          ? "the field " + shown(named.group(2)) + " twice"
          : shown(named.group(2));
    }
    return "something else: " + VisibleText.line(message);
  }

  /** Returns a value, or an empty optional where it is absent or null. */
  Optional<JsonNode> get(String name) {
    read.add(name);
    JsonNode value = node.get(name);
    return value == null || value.isNull() ? Optional.empty() : Optional.of(value);
  }

  Optional<String> string(String name) {
    return get(name)
        .map(
            value -> {
              if (!value.isTextual()) {
                throw wrong(name, "a string", value);
              }
              return text(name, value);
            });
  }

  boolean flag(String name, boolean byDefault) {
    return get(name)
        .map(
            value -> {
              if (!value.isBoolean()) {
                throw wrong(name, "true or false", value);
              }
              return value.booleanValue();
            })
        .orElse(byDefault);
  }

  double number(String name, double byDefault, double least, double most) {
    return get(name)
        .map(
            value -> {
              double found = value.isNumber() ? value.doubleValue() : Double.NaN;
              if (!(found >= least && found <= most)) {
                throw wrong(
                    name, "a number from %s to %s".formatted(plain(least), plain(most)), value);
              }
              return found;
            })
        .orElse(byDefault);
  }

  OptionalInt integer(String name, int least, int most) {
    Optional<JsonNode> value = get(name);
    return value.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of((int) whole(name, value.get(), least, most));
  }

  OptionalLong wholeNumber(String name) {
    Optional<JsonNode> value = get(name);
    return value.isEmpty()
        ? OptionalLong.empty()
        : OptionalLong.of(whole(name, value.get(), Long.MIN_VALUE, Long.MAX_VALUE));
  }

  /** Reads a whole number. 1.0 is one, as it is for Python's clients. */
  long whole(String name, JsonNode value, long least, long most) {
    if (value.isNumber()) {
      double real = value.doubleValue();
      BigInteger found =
          value.isIntegralNumber()
              ? value.bigIntegerValue()
              : Double.isFinite(real) && real == Math.rint(real) && Math.abs(real) < 1e18
                  ? BigInteger.valueOf((long) real)
                  : null;
      if (found != null
          && found.compareTo(BigInteger.valueOf(least)) >= 0
          && found.compareTo(BigInteger.valueOf(most)) <= 0) {
        return found.longValue();
      }
    }
    throw wrong(name, "a whole number from %d to %d".formatted(least, most), value);
  }

  /** Reads one string or a list of them; an absent one is empty. */
  List<String> strings(String name, int most) {
    Optional<JsonNode> value = get(name);
    if (value.isEmpty()) {
      return List.of();
    }
    if (value.get().isTextual()) {
      return List.of(text(name, value.get()));
    }
    if (!value.get().isArray()) {
      throw wrong(name, "a string or a list of strings", value.get());
    }
    if (value.get().size() > most) {
      throw invalid(name, "at most " + most + " strings", value.get().size() + " of them");
    }
    List<String> strings = new ArrayList<>();
    for (JsonNode item : value.get()) {
      if (!item.isTextual()) {
        throw wrong(name + "[" + strings.size() + "]", "a string", item);
      }
      strings.add(text(name + "[" + strings.size() + "]", item));
    }
    return strings;
  }

  /** Reads an object inside. Its own fields are checked by its {@link #end}. */
  Optional<Body> object(String name) {
    return get(name).map(value -> object(name, value));
  }

  Body object(String name, JsonNode value) {
    if (!(value instanceof ObjectNode object)) {
      throw wrong(name, "an object", value);
    }
    return new Body(object, path + name + ".");
  }

  /** Returns an object whose fields are for others to read, after a look at all its texts. */
  JsonNode checked(String name, JsonNode value) {
    if (!value.isObject()) {
      throw wrong(name, "an object", value);
    }
    return checkTexts(name, value);
  }

  private JsonNode checkTexts(String name, JsonNode value) {
    if (value.isTextual()) {
      text(name, value);
    }
    value.forEach(inner -> checkTexts(name, inner));
    return value;
  }

  /** Reads a text that is Unicode: a lone surrogate has no UTF-8 and no token. */
  String text(String name, JsonNode value) {
    String text = value.textValue();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else if (Character.isSurrogate(c)) {
        throw invalid(
            name, "Unicode text", "the lone surrogate \\u%04x at %d".formatted((int) c, i));
      }
    }
    return text;
  }

  /** Returns the names that were asked for, whether they are there or not. */
  Set<String> names() {
    return Set.copyOf(read);
  }

  /** Accepts fields that change nothing here. */
  void ignore(String... names) {
    read.addAll(List.of(names));
  }

  /** Accepts a flag at its default alone. */
  void only(String name, boolean byDefault, String why) {
    if (flag(name, byDefault) != byDefault) {
      throw ApiException.unsupported(path + name, path + name + ": " + why);
    }
  }

  /** Refuses a field that asks for what the server does not do. */
  void refuse(String name, String why) {
    if (get(name).isPresent()) {
      throw ApiException.unsupported(path + name, path + name + ": " + why);
    }
  }

  /**
   * Checks that every field was read.
   *
   * @throws ApiException naming the first that was not, and the nearest known one
   */
  void end() {
    for (Iterator<String> names = node.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (!read.contains(name)) {
        String nearest =
            read.stream()
                .filter(known -> isNear(name, known))
                .min(
                    Comparator.comparingInt((String known) -> Spelling.edits(name, known))
                        .thenComparing(Comparator.naturalOrder()))
                .map(known -> "; did you mean " + known + "?")
                .orElse("");
        throw ApiException.unsupported(
            path + shown(name), "unknown parameter: " + path + shown(name) + nearest);
      }
    }
  }

  /** Whether a name is a slip of another one; {@code min_tokens} is none of {@code max_tokens}. */
  private static boolean isNear(String name, String known) {
    int edits = Spelling.edits(name, known);
    return edits <= 1 && name.length() > 1
        || edits == 2 && name.length() > 3 && known.startsWith(name.substring(0, 2));
  }

  ApiException wrong(String name, String expected, JsonNode found) {
    return invalid(name, expected, described(found));
  }

  ApiException invalid(String name, String expected, String found) {
    return ApiException.invalid(
        path + name, "%s: expected %s, found %s".formatted(path + name, expected, found));
  }

  /** Describes a value in a few words. */
  static String described(JsonNode value) {
    if (value.isObject()) {
      return "an object";
    }
    if (value.isArray()) {
      return value.isEmpty() ? "an empty list" : "a list";
    }
    if (value.isFloatingPointNumber() && Double.isInfinite(value.doubleValue())) {
      return "a number beyond 1e308";
    }
    return value.isMissingNode() ? "nothing" : shown(value.toString());
  }

  private static String shown(String text) {
    String visible = VisibleText.of(text);
    return visible.length() <= LONGEST_SHOWN
        ? visible
        : visible.substring(0, visible.offsetByCodePoints(0, LONGEST_SHOWN / 2)) + "...";
  }

  private static String plain(double bound) {
    return bound == Math.rint(bound) && Math.abs(bound) < 1e15
        ? Long.toString((long) bound)
        : Double.toString(bound);
  }
}
