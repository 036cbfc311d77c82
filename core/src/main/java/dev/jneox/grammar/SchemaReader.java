package dev.jneox.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.VisibleText;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Writes the values of a JSON Schema into a network. Schemas that hold together ({@code allOf}, a
 * reference with keywords beside it) are read as one; each combination of them is a rule, made
 * once, so that references may lead back.
 */
final class SchemaReader {
  /** The most combinations of schemas. */
  private static final int MOST_RULES = 10_000;

  /** The longest chain of references, and of {@code allOf} in each other. */
  private static final int LONGEST_CHAIN = 100;

  private static final List<String> REFUSED =
      List.of(
          "not",
          "if",
          "then",
          "else",
          "patternProperties",
          "dependentSchemas",
          "dependentRequired",
          "dependencies",
          "unevaluatedProperties",
          "unevaluatedItems",
          "contains",
          "$dynamicRef",
          "$recursiveRef");

  private enum Type {
    NULL,
    BOOLEAN,
    INTEGER,
    FRACTION, // a number that is no integer
    STRING,
    ARRAY,
    OBJECT
  }

  /** Says what of a schema holds. */
  private enum Role {
    /** All of it. */
    WHOLE,
    /** The keywords that say something of the value itself. */
    PLAIN,
    /** One of the schemas under {@code anyOf}. */
    ANY_OF,
    /** One of the schemas under {@code oneOf}. */
    ONE_OF
  }

  private record Part(JsonNode node, String pointer, Role role) {
    Part key(String key, JsonNode child) {
      return new Part(child, pointer + "/" + escaped(key), Role.WHOLE);
    }

    Part at(String key, int index, JsonNode child) {
      return new Part(child, pointer + "/" + key + "/" + index, Role.WHOLE);
    }
  }

  private record Work(int rule, List<Part> parts) {}

  private final JsonNode root;
  private final Network network;
  private final JsonText json;
  private final Map<JsonNode, Integer> numbers = new IdentityHashMap<>();
  private final Map<Set<Integer>, Integer> rules = new HashMap<>();
  private final ArrayDeque<Work> open = new ArrayDeque<>();

  private SchemaReader(JsonNode root, Network network) {
    this.root = root;
    this.network = network;
    this.json = new JsonText(network);
  }

  /**
   * Writes a schema and returns its rule.
   *
   * @throws InputException that names the place by its JSON pointer
   */
  static int write(JsonNode schema, Network network) {
    SchemaReader reader = new SchemaReader(schema, network);
    int rule = reader.rule(List.of(new Part(schema, "#", Role.WHOLE)));
    while (!reader.open.isEmpty()) {
      Work work = reader.open.remove();
      try {
        reader.write(work.rule(), work.parts());
      } catch (InputException e) {
        String message = Objects.requireNonNull(e.getMessage());
        throw message.startsWith("JSON schema") ? e : wrong(network.name(work.rule()), message, e);
      }
    }
    return rule;
  }

  private static InputException wrong(String pointer, String message, @Nullable Throwable cause) {
    return new InputException("JSON schema: " + shown(pointer) + ": " + message, cause);
  }

  private static InputException expected(String pointer, String expected, String found) {
    return wrong(pointer, "expected " + expected + ", found " + found, null);
  }

  private static InputException expected(Part part, String key, String expected) {
    JsonNode found = part.node.path(key);
    return expected(
        part.pointer + "/" + key,
        expected,
        found.isMissingNode() ? "nothing" : shown(found.toString()));
  }

  private static String shown(String text) {
    return VisibleText.of(JsonObject.shortened(text));
  }

  private static String escaped(String key) {
    return key.replace("~", "~0").replace("/", "~1");
  }

  // Schemas that hold together.

  /** Returns the rule of the values of which all of some schemas hold. */
  private int rule(List<Part> parts) {
    Map<Integer, Part> flat = new LinkedHashMap<>();
    Set<JsonNode> visited = Collections.newSetFromMap(new IdentityHashMap<>());
    for (Part part : parts) {
      flatten(part, flat, visited, new ArrayList<>());
    }
    Integer known = rules.get(flat.keySet());
    if (known != null) {
      return known;
    }
    String name = parts.isEmpty() ? "#" : parts.getLast().pointer;
    if (rules.size() >= MOST_RULES) {
      throw expected(
          name,
          "at most " + MOST_RULES + " different parts of a value",
          "more: give fewer choices");
    }
    int rule = network.rule(name);
    rules.put(Set.copyOf(flat.keySet()), rule);
    open.add(new Work(rule, List.copyOf(flat.values())));
    return rule;
  }

  /**
   * Follows references and {@code allOf}.
   *
   * @param flat the schemas found, each under a key of its own
   * @param visited the schemas that were followed
   * @param path those that led here
   */
  private void flatten(
      Part part, Map<Integer, Part> flat, Set<JsonNode> visited, List<JsonNode> path) {
    Network.checkInterrupt();
    JsonNode node = part.node;
    if (part.role != Role.WHOLE) {
      flat.putIfAbsent(number(part), part);
      return;
    }
    if (node.isBoolean() && node.booleanValue()) {
      return;
    }
    if (node.isBoolean()) {
      flat.putIfAbsent(-1, part);
      return;
    }
    if (!node.isObject()) {
      throw expected(part.pointer, "a schema: an object, true or false", shown(node.toString()));
    }
    if (path.stream().anyMatch(before -> before == node) || path.size() > LONGEST_CHAIN) {
      throw expected(
          part.pointer,
          "references that lead to a value within this one",
          path.size() > LONGEST_CHAIN ? "a longer chain of them" : "one that leads back at once");
    }
    for (String key : REFUSED) {
      if (node.has(key)) {
        throw expected(
            part.pointer + "/" + key,
            "a keyword that is supported",
            "one that is not: leave it out (docs/server.md lists both)");
      }
    }
    Part plain = new Part(node, part.pointer, Role.PLAIN);
    if (!visited.add(node)) {
      return;
    }
    flat.putIfAbsent(number(plain), plain);
    path.add(node);
    if (node.has("$ref")) {
      flatten(resolve(part), flat, visited, path);
    }
    List<Part> all = list(part, "allOf");
    all.forEach(each -> flatten(each, flat, visited, path));
    path.removeLast();
    for (Role role : List.of(Role.ANY_OF, Role.ONE_OF)) {
      String key = role == Role.ANY_OF ? "anyOf" : "oneOf";
      List<Part> choices = list(part, key);
      if (node.has(key)) {
        if (role == Role.ONE_OF) {
          distinguish(choices);
        }
        Part choice = new Part(node, part.pointer, role);
        flat.putIfAbsent(number(choice), choice);
      }
    }
  }

  private int number(Part part) {
    return 4 * numbers.computeIfAbsent(part.node, node -> numbers.size()) + part.role.ordinal();
  }

  /** Returns the schemas of a list under a key; none without the key. */
  private static List<Part> list(Part part, String key) {
    JsonNode list = part.node.path(key);
    if (list.isMissingNode()) {
      return List.of();
    }
    if (!list.isArray() || list.isEmpty()) {
      throw expected(part, key, "a list of schemas");
    }
    List<Part> parts = new ArrayList<>();
    for (JsonNode each : list) {
      parts.add(part.at(key, parts.size(), each));
    }
    return parts;
  }

  private Part resolve(Part part) {
    String text = part.node.path("$ref").asText();
    String place = part.pointer + "/$ref";
    if (!part.node.path("$ref").isTextual() || !text.equals("#") && !text.startsWith("#/")) {
      throw expected(place, "a place in this schema, as #/$defs/name", shown(text));
    }
    JsonNode at = root;
    try {
      for (String token : text.equals("#") ? new String[0] : text.substring(2).split("/", -1)) {
        String key =
            URLDecoder.decode(token.replace("+", "%2B"), StandardCharsets.UTF_8)
                .replace("~1", "/")
                .replace("~0", "~");
        at =
            at.isArray() && key.matches("[0-9]{1,6}")
                ? at.path(Integer.parseInt(key))
                : at.path(key);
      }
    } catch (IllegalArgumentException e) {
      throw expected(place, "a place in this schema, as #/$defs/name", shown(text));
    }
    if (at.isMissingNode()) {
      throw expected(place, "a place that is in this schema", shown(text));
    }
    return new Part(at, text, Role.WHOLE);
  }

  // Choices of which one alone may hold.

  private void distinguish(List<Part> choices) {
    if (choices.size() > 100) {
      throw expected(
          choices.getFirst().pointer, "at most 100 schemas under oneOf", choices.size() + "");
    }
    for (int i = 0; i < choices.size(); i++) {
      for (int j = 0; j < i; j++) {
        if (!disjoint(choices.get(i), choices.get(j), 0)) {
          throw expected(
              choices.get(i).pointer,
              "a schema that cannot hold together with "
                  + choices.get(j).pointer
                  + " (another type, or a required property with another const)",
              "one that may: take anyOf, or tell them apart");
        }
      }
    }
  }

  /** Returns whether it is certain that no value written for one is a value of the other. */
  private boolean disjoint(Part one, Part other, int depth) {
    Network.checkInterrupt();
    Part mine = target(one);
    Part others = target(other);
    if (depth > 5 || !mine.node.isObject() || !others.node.isObject()) {
      return mine.node.equals(BooleanNode.FALSE) || others.node.equals(BooleanNode.FALSE);
    }
    List<JsonNode> myValues = values(mine);
    List<JsonNode> otherValues = values(others);
    if (myValues != null && otherValues != null) {
      return myValues.stream().noneMatch(value -> contains(otherValues, value));
    }
    EnumSet<Type> common = stated(mine);
    common.retainAll(stated(others));
    if (common.isEmpty()) {
      return true;
    }
    boolean objects =
        written(mine, others).equals(EnumSet.of(Type.OBJECT))
            && written(others, mine).equals(EnumSet.of(Type.OBJECT));
    return objects && (lacks(mine, others) || lacks(others, mine) || apart(mine, others, depth));
  }

  /** Returns the types that are written for one schema and that the other one allows. */
  private static EnumSet<Type> written(Part one, Part other) {
    EnumSet<Type> types = narrowed(List.of(one));
    types.retainAll(stated(other));
    return types;
  }

  /** Returns whether a schema requires a property that the other one forbids. */
  private boolean lacks(Part one, Part other) {
    return other.node.path("additionalProperties").equals(BooleanNode.FALSE)
        && required(one).stream().anyMatch(name -> !other.node.path("properties").has(name));
  }

  /** Returns whether both require a property of which they allow different values. */
  private boolean apart(Part one, Part other, int depth) {
    for (String name : required(one)) {
      JsonNode mine = one.node.path("properties").path(name);
      JsonNode others = other.node.path("properties").path(name);
      if (required(other).contains(name)
          && !mine.isMissingNode()
          && !others.isMissingNode()
          && disjoint(one.key(name, mine), other.key(name, others), depth + 1)) {
        return true;
      }
    }
    return false;
  }

  /** Follows references that stand alone. */
  private Part target(Part part) {
    Part at = part;
    for (int i = 0; i < LONGEST_CHAIN && at.node.has("$ref"); i++) {
      at = resolve(at);
    }
    return at;
  }

  private static boolean contains(Collection<JsonNode> values, JsonNode value) {
    return values.stream().anyMatch(each -> same(each, value));
  }

  private static boolean same(JsonNode one, JsonNode other) {
    return one.isNumber() && other.isNumber()
        ? one.decimalValue().compareTo(other.decimalValue()) == 0
        : one.equals(other);
  }

  // Keywords.

  /** Returns the values that const and enum allow; null without them. */
  private static @Nullable List<JsonNode> values(Part part) {
    List<JsonNode> values = null;
    if (part.node.has("enum")) {
      JsonNode list = part.node.get("enum");
      if (!list.isArray() || list.isEmpty()) {
        throw expected(part, "enum", "a list of values");
      }
      values = new ArrayList<>();
      for (JsonNode each : list) {
        values.add(each);
      }
    }
    if (part.node.has("const")) {
      JsonNode only = part.node.get("const");
      values = values == null || contains(values, only) ? List.of(only) : List.of();
    }
    return values;
  }

  /** Returns the types that a schema states; all where it states none. */
  private static EnumSet<Type> stated(Part part) {
    JsonNode type = part.node.path("type");
    EnumSet<Type> types = EnumSet.noneOf(Type.class);
    if (type.isMissingNode()) {
      List<JsonNode> values = values(part);
      if (values == null) {
        return EnumSet.allOf(Type.class);
      }
      values.forEach(value -> types.add(type(value)));
      return types;
    }
    boolean good = type.isTextual() || type.isArray() && !type.isEmpty();
    for (JsonNode each : type.isArray() ? type : List.of(type)) {
      switch (each.asText()) {
        case "null" -> types.add(Type.NULL);
        case "boolean" -> types.add(Type.BOOLEAN);
        case "integer" -> types.add(Type.INTEGER);
        case "number" -> {
          types.add(Type.INTEGER);
          types.add(Type.FRACTION);
        }
        case "string" -> types.add(Type.STRING);
        case "array" -> types.add(Type.ARRAY);
        case "object" -> types.add(Type.OBJECT);
        default -> good = false;
      }
    }
    if (!good) {
      throw expected(
          part, "type", "array, boolean, integer, null, number, object, string, or a list of them");
    }
    if (flag(part, "nullable")) {
      types.add(Type.NULL);
    }
    return types;
  }

  private static Type type(JsonNode value) {
    return switch (value.getNodeType()) {
      case NULL -> Type.NULL;
      case BOOLEAN -> Type.BOOLEAN;
      case NUMBER ->
          value.decimalValue().stripTrailingZeros().scale() <= 0 ? Type.INTEGER : Type.FRACTION;
      case ARRAY -> Type.ARRAY;
      case OBJECT -> Type.OBJECT;
      default -> Type.STRING;
    };
  }

  /** Returns the types that are written: where none is stated, those that keywords are about. */
  private static EnumSet<Type> narrowed(List<Part> parts) {
    EnumSet<Type> types = EnumSet.allOf(Type.class);
    EnumSet<Type> about = EnumSet.noneOf(Type.class);
    boolean stated = false;
    for (Part part : parts) {
      types.retainAll(stated(part));
      stated |= part.node.has("type") || part.node.has("enum") || part.node.has("const");
      for (Iterator<String> keys = part.node.fieldNames(); keys.hasNext(); ) {
        switch (keys.next()) {
          case "properties", "required", "additionalProperties", "minProperties", "maxProperties" ->
              about.add(Type.OBJECT);
          case "items", "prefixItems", "minItems", "maxItems" -> about.add(Type.ARRAY);
          case "pattern", "format", "minLength", "maxLength" -> about.add(Type.STRING);
          case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf" -> {
            about.add(Type.INTEGER);
            about.add(Type.FRACTION);
          }
          default -> {}
        }
      }
    }
    if (!stated && !about.isEmpty()) {
      types.retainAll(about);
    }
    return types;
  }

  private static boolean flag(Part part, String key) {
    JsonNode value = part.node.path(key);
    if (!value.isMissingNode() && !value.isBoolean()) {
      throw expected(part, key, "true or false");
    }
    return value.booleanValue();
  }

  private static Set<String> required(Part part) {
    JsonNode list = part.node.path("required");
    Set<String> names = new LinkedHashSet<>();
    boolean good = list.isArray() || list.isMissingNode();
    for (JsonNode name : list) {
      good &= name.isTextual();
      names.add(name.asText());
    }
    if (!good) {
      throw expected(part, "required", "a list of names");
    }
    return names;
  }

  /** Returns the largest count under a key of some schemas, or the smallest. */
  private static int count(List<Part> parts, String key, boolean largest, int absent) {
    int count = absent;
    for (Part part : parts) {
      JsonNode value = part.node.path(key);
      if (value.isMissingNode()) {
        continue;
      }
      boolean whole = value.isNumber() && type(value) == Type.INTEGER;
      if (!whole || value.decimalValue().signum() < 0) {
        throw expected(part, key, "a count");
      }
      BigDecimal most = BigDecimal.valueOf(Network.NEVER - 1);
      int bound = value.decimalValue().min(most).intValue();
      count = largest ? Math.max(count, bound) : Math.min(count, bound);
    }
    return count;
  }

  // Writing.

  private void write(int rule, List<Part> parts) {
    int from = network.start(rule);
    int to = network.end(rule);
    for (Part part : parts) {
      if (part.role == Role.WHOLE) {
        return; // false
      }
    }
    for (Part part : parts) {
      if (part.role != Role.PLAIN) {
        for (Part choice : list(part, part.role == Role.ANY_OF ? "anyOf" : "oneOf")) {
          List<Part> together = new ArrayList<>(parts);
          together.remove(part);
          together.add(choice);
          network.call(from, rule(together), to);
        }
        return;
      }
    }
    if (parts.isEmpty()) {
      json.any(from, to);
      return;
    }
    EnumSet<Type> types = narrowed(parts);
    List<JsonNode> values = commonValues(parts);
    if (values != null) {
      values(from, parts, values, to);
      return;
    }
    if (types.contains(Type.NULL)) {
      network.text(from, "null", to);
    }
    if (types.contains(Type.BOOLEAN)) {
      network.texts(from, List.of("true", "false"), to);
    }
    if (types.contains(Type.INTEGER)) {
      json.number(from, numbers(parts, types.contains(Type.FRACTION)), to);
    }
    if (types.contains(Type.STRING)) {
      string(from, parts, to);
    }
    if (types.contains(Type.ARRAY)) {
      array(from, parts, to);
    }
    if (types.contains(Type.OBJECT)) {
      object(from, parts, to);
    }
  }

  private static @Nullable List<JsonNode> commonValues(List<Part> parts) {
    List<JsonNode> common = null;
    for (Part part : parts) {
      List<JsonNode> values = values(part);
      if (values != null) {
        List<JsonNode> before = common;
        common =
            before == null
                ? values
                : before.stream().filter(value -> contains(values, value)).toList();
      }
    }
    return common;
  }

  /** Writes the values of an enum that the keywords beside it allow. */
  private void values(int from, List<Part> parts, List<JsonNode> values, int to) {
    EnumSet<Type> types = EnumSet.allOf(Type.class);
    for (Part part : parts) {
      types.retainAll(stated(part));
    }
    NumberForm numbers = numbers(parts, true);
    List<Nfa> forms = forms(parts);
    int least = count(parts, "minLength", true, 0);
    int most = count(parts, "maxLength", false, Regex.NO_LIMIT);
    Set<String> texts = new LinkedHashSet<>();
    for (JsonNode value : values) {
      Type type = type(value);
      boolean holds =
          types.contains(type)
              && switch (type) {
                case NULL, BOOLEAN -> true;
                case INTEGER, FRACTION -> numbers.contains(value.decimalValue());
                case STRING -> {
                  String text = value.textValue();
                  int length = text.codePointCount(0, text.length());
                  yield length >= least
                      && length <= most
                      && forms.stream().allMatch(form -> form.matches(text));
                }
                case ARRAY, OBJECT -> {
                  EnumSet<Type> about = EnumSet.of(type);
                  about.retainAll(aboutParts(parts));
                  if (!about.isEmpty()) {
                    throw expected(
                        parts.getLast().pointer,
                        "no keyword about objects and arrays beside enum and const",
                        "one: leave it out");
                  }
                  yield true;
                }
              };
      if (holds) {
        texts.add(whole(parts.getFirst().pointer, value.toString()));
      }
    }
    if (!texts.isEmpty()) {
      network.texts(from, texts, to);
    }
  }

  /** Returns the composite types that keywords are about. */
  private static EnumSet<Type> aboutParts(List<Part> parts) {
    EnumSet<Type> about = EnumSet.noneOf(Type.class);
    for (Part part : parts) {
      for (String key : List.of("items", "prefixItems", "minItems", "maxItems", "uniqueItems")) {
        if (part.node.has(key)) {
          about.add(Type.ARRAY);
        }
      }
      for (String key :
          List.of(
              "properties",
              "required",
              "additionalProperties",
              "propertyNames",
              "minProperties",
              "maxProperties")) {
        if (part.node.has(key)) {
          about.add(Type.OBJECT);
        }
      }
    }
    return about;
  }

  /** Refuses a text that UTF-8 cannot hold. */
  private static String whole(String pointer, String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        boolean pair =
            Character.isHighSurrogate(text.charAt(i))
                && i + 1 < text.length()
                && Character.isLowSurrogate(text.charAt(i + 1));
        if (!pair) {
          throw expected(pointer, "whole characters", "half of a surrogate pair");
        }
        i++;
      }
    }
    return text;
  }

  /** Reads the range of numbers that some schemas have in common. */
  private NumberForm numbers(List<Part> parts, boolean fractions) {
    BigDecimal low = null;
    BigDecimal high = null;
    boolean lowExcluded = false;
    boolean highExcluded = false;
    int decimals = fractions ? NumberForm.DOUBLE_DIGITS : 0;
    int divisor = 1;
    for (Part part : parts) {
      for (String key : List.of("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")) {
        BigDecimal bound = bound(part, key);
        if (bound == null) {
          continue;
        }
        // Draft 4 has a flag beside the bound.
        boolean excluded =
            key.startsWith("exclusive")
                || part.node
                    .path(key.equals("minimum") ? "exclusiveMinimum" : "exclusiveMaximum")
                    .booleanValue();
        if (key.endsWith("inimum")) {
          int by = low == null ? 1 : bound.compareTo(low);
          lowExcluded = by > 0 ? excluded : by == 0 ? lowExcluded || excluded : lowExcluded;
          low = by > 0 ? bound : low;
        } else {
          int by = high == null ? -1 : bound.compareTo(high);
          highExcluded = by < 0 ? excluded : by == 0 ? highExcluded || excluded : highExcluded;
          high = by < 0 ? bound : high;
        }
      }
      BigDecimal multiple = multiple(part);
      if (multiple == null) {
        continue;
      }
      if (multiple.scale() > 0) {
        decimals = Math.min(decimals, multiple.scale());
      } else {
        decimals = 0;
        divisor = lcm(part, divisor, multiple.intValue());
      }
    }
    return new NumberForm(low, lowExcluded, high, highExcluded, decimals, divisor);
  }

  private static int lcm(Part part, int one, int other) {
    long least = one;
    while (least % other != 0) {
      least += one;
    }
    if (least > NumberForm.LARGEST_DIVISOR) {
      throw expected(part, "multipleOf", "a common multiple up to " + NumberForm.LARGEST_DIVISOR);
    }
    return (int) least;
  }

  private static @Nullable BigDecimal multiple(Part part) {
    JsonNode value = part.node.path("multipleOf");
    if (value.isMissingNode()) {
      return null;
    }
    BigDecimal multiple = value.isNumber() ? value.decimalValue().stripTrailingZeros() : null;
    boolean fraction =
        multiple != null
            && multiple.scale() > 0
            && multiple.scale() <= 9
            && multiple.unscaledValue().equals(BigInteger.ONE);
    boolean integer =
        multiple != null
            && multiple.scale() <= 0
            && multiple.signum() > 0
            && multiple.compareTo(BigDecimal.valueOf(NumberForm.LARGEST_DIVISOR)) <= 0;
    if (!fraction && !integer) {
      throw expected(
          part,
          "multipleOf",
          "an integer from 1 to " + NumberForm.LARGEST_DIVISOR + ", or 0.1, 0.01 and so on");
    }
    return multiple;
  }

  private static @Nullable BigDecimal bound(Part part, String key) {
    JsonNode value = part.node.path(key);
    if (value.isMissingNode() || key.startsWith("exclusive") && value.isBoolean()) {
      return null;
    }
    BigDecimal bound = value.isNumber() ? value.decimalValue() : null;
    if (bound == null || bound.scale() > 400 || bound.scale() < -400 || bound.precision() > 400) {
      throw expected(part, key, "a number of at most 400 digits");
    }
    return bound;
  }

  /** Returns the patterns and formats of some schemas. */
  private static List<Nfa> forms(List<Part> parts) {
    List<Nfa> forms = new ArrayList<>();
    for (Part part : parts) {
      for (String key : List.of("pattern", "format")) {
        JsonNode value = part.node.path(key);
        if (value.isMissingNode()) {
          continue;
        }
        if (!value.isTextual()) {
          throw expected(part, key, "a text");
        }
        try {
          if (key.equals("pattern")) {
            forms.add(Nfa.of(RegexReader.search(value.textValue())));
          } else {
            Formats.of(value.textValue()).map(Nfa::of).ifPresent(forms::add);
          }
        } catch (InputException e) {
          throw wrong(part.pointer + "/" + key, Objects.requireNonNull(e.getMessage()), e);
        }
      }
    }
    return forms;
  }

  private void string(int from, List<Part> parts, int to) {
    int least = count(parts, "minLength", true, 0);
    int most = count(parts, "maxLength", false, Regex.NO_LIMIT);
    List<Nfa> forms = forms(parts);
    if (most < least) {
      return;
    }
    if (forms.isEmpty()) {
      if (least == 0 && most == Regex.NO_LIMIT) {
        json.string(from, to);
      } else {
        json.string(from, least, most, to);
      }
      return;
    }
    Nfa form = forms.getFirst();
    for (Nfa other : forms.subList(1, forms.size())) {
      form = form.and(other);
    }
    if (least > 0 || most < Regex.NO_LIMIT) {
      form = form.and(Nfa.ofLength(least, most));
    }
    json.string(from, form, to);
  }

  private void array(int from, List<Part> parts, int to) {
    int least = count(parts, "minItems", true, 0);
    int most = count(parts, "maxItems", false, Network.NEVER);
    int listed = 0;
    for (Part part : parts) {
      listed = Math.max(listed, listed(part).size());
      // One item is unlike all others.
      if (most > 1 && flag(part, "uniqueItems")) {
        throw expected(
            part.pointer + "/uniqueItems", "a keyword that is supported", "one that is not");
      }
    }
    // Before item i none or i items stand; `first` and `after` are nodes behind them.
    int first = network.node();
    int after = -1;
    network.text(from, "[", first);
    for (int i = 0; i < listed && i < most; i++) {
      int index = i;
      List<Part> item = new ArrayList<>();
      parts.forEach(part -> item(part, index).ifPresent(item::add));
      if (i >= least) {
        network.text(i == 0 ? first : after, "]", to);
      }
      int begun = first;
      if (i > 0) {
        begun = network.node();
        json.comma(after, begun);
      }
      after = network.node();
      network.call(begun, rule(item), after);
    }
    if (listed >= most) {
      if (most >= least) {
        network.text(most == 0 ? first : after, "]", to);
      }
      return;
    }
    List<Part> rest = new ArrayList<>();
    parts.forEach(part -> item(part, Integer.MAX_VALUE).ifPresent(rest::add));
    int end = network.node();
    network.text(end, "]", to);
    if (listed == 0) {
      if (least == 0) {
        network.empty(first, end);
      }
      after = network.node();
      network.call(first, rule(rest), after);
      listed = 1;
    }
    int more = most == Network.NEVER ? most : most - listed;
    int[] loop = network.loop(after, Math.max(0, least - listed), more, end);
    int begun = network.node();
    json.comma(loop[0], begun);
    network.call(begun, rule(rest), loop[1]);
  }

  /** Returns the schemas of the first items; draft 7 has them under {@code items}. */
  private static List<Part> listed(Part part) {
    String key = part.node.path("items").isArray() ? "items" : "prefixItems";
    boolean none = part.node.path(key).isArray() && part.node.path(key).isEmpty();
    return none ? List.of() : list(part, key);
  }

  /** Returns what a schema says of an item; empty for nothing. */
  private static Optional<Part> item(Part part, int index) {
    List<Part> listed = listed(part);
    if (index < listed.size()) {
      return Optional.of(listed.get(index));
    }
    String key = part.node.path("items").isArray() ? "additionalItems" : "items";
    return part.node.has(key) ? Optional.of(part.key(key, part.node.get(key))) : Optional.empty();
  }

  private void object(int from, List<Part> parts, int to) {
    Set<String> names = new LinkedHashSet<>();
    Set<String> required = new LinkedHashSet<>();
    boolean named = false;
    boolean stated = false;
    for (Part part : parts) {
      JsonNode properties = part.node.path("properties");
      if (!properties.isObject() && !properties.isMissingNode()) {
        throw expected(part, "properties", "an object of schemas");
      }
      properties.fieldNames().forEachRemaining(names::add);
      named |= !properties.isEmpty();
      stated |= part.node.has("additionalProperties");
      required.addAll(required(part));
    }
    names.addAll(required);
    int most = count(parts, "maxProperties", false, Network.NEVER);
    int least = count(parts, "minProperties", true, 0);
    boolean others = !named || stated; // other names than those listed
    limits(parts, least, most, names.size(), required.size());
    int first = network.node();
    int after = network.node();
    network.text(from, "{", first);
    // `first` is a node before which no pair stands, `after` one behind a pair.
    for (String name : names) {
      int pair = network.node();
      int next = network.node();
      network.empty(first, pair);
      json.comma(after, pair);
      int colon = network.node();
      int value = network.node();
      json.quoted(pair, whole(parts.getFirst().pointer, name), colon);
      json.colon(colon, value);
      network.call(value, rule(property(parts, name)), next);
      if (required.contains(name)) {
        first = network.node(); // not reached
      } else {
        network.empty(after, next);
      }
      after = next;
    }
    int end = network.node();
    network.text(end, "}", to);
    if (least == 0) {
      network.empty(first, end);
    }
    int more = most == Network.NEVER ? most : most - names.size();
    if (!others || more == 0) {
      network.empty(after, end);
      return;
    }
    List<Part> value = property(parts, null);
    if (required.isEmpty()) {
      other(first, parts, names, value, after);
    }
    // That one counts as well.
    int[] loop = network.loop(after, 0, more == Network.NEVER ? more : more - 1, end);
    int begun = network.node();
    json.comma(loop[0], begun);
    other(begun, parts, names, value, loop[1]);
  }

  private static void limits(List<Part> parts, int least, int most, int names, int required) {
    String pointer = parts.getLast().pointer;
    if (most < names && most != Network.NEVER) {
      throw expected(
          pointer + "/maxProperties", "at least the " + names + " names of properties", most + "");
    }
    if (least > Math.max(1, required)) {
      throw expected(
          pointer + "/minProperties",
          "at most the " + Math.max(1, required) + " required properties",
          least + "");
    }
  }

  /** Writes a pair with a name that is not listed. */
  private void other(int from, List<Part> parts, Set<String> names, List<Part> value, int to) {
    int colon = network.node();
    List<Part> name = new ArrayList<>();
    for (Part part : parts) {
      if (part.node.has("propertyNames")) {
        name.add(part.key("propertyNames", part.node.get("propertyNames")));
      }
    }
    if (name.isEmpty()) {
      if (names.isEmpty()) {
        json.string(from, colon);
      } else {
        json.stringExcept(from, names, colon);
      }
    } else if (names.isEmpty()) {
      name.add(new Part(STRING, name.getFirst().pointer, Role.WHOLE));
      network.call(from, rule(name), colon);
    } else {
      throw expected(
          name.getFirst().pointer, "no propertyNames beside properties", "both: leave one out");
    }
    int begun = network.node();
    json.colon(colon, begun);
    network.call(begun, rule(value), to);
  }

  private static final JsonNode STRING =
      JsonNodeFactory.instance.objectNode().put("type", "string");

  /**
   * Returns what schemas say of a property.
   *
   * @param name null for one that none lists
   */
  private static List<Part> property(List<Part> parts, @Nullable String name) {
    List<Part> found = new ArrayList<>();
    for (Part part : parts) {
      JsonNode properties = part.node.path("properties");
      if (name != null && properties.has(name)) {
        Part list = part.key("properties", properties);
        found.add(list.key(name, properties.get(name)));
      } else if (part.node.has("additionalProperties")) {
        found.add(part.key("additionalProperties", part.node.get("additionalProperties")));
      }
    }
    return found;
  }
}
