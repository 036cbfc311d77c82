package dev.jneox.fuzz;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamWriteConstraints;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Changes a JSON text: a value, a key or the order of its tree, then perhaps its characters. */
final class Json {
  private static final JsonNodeFactory MAKE = JsonNodeFactory.instance;
  static final ObjectMapper MAPPER =
      new ObjectMapper(
          JsonFactory.builder()
              .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
              .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(5000).build())
              .streamWriteConstraints(
                  StreamWriteConstraints.builder().maxNestingDepth(5000).build())
              .build());

  private static final String[] NAMES = {
    "",
    "type",
    "__proto__",
    "a\u0000b",
    "\u001b[31m",
    "\u202e",
    "../../x",
    "/etc/passwd",
    "\ud800",
    "model",
    "vocab",
    "é",
    "e\u0301",
    "▁",
    "Ġ",
    "<0x00>",
    "%s%n",
    "$1\\1",
    "\r\n",
    "con",
    ".",
    ".."
  };

  private Json() {}

  static byte[] changed(byte[] bytes, SplittableRandom random) {
    JsonNode root;
    try {
      root = MAPPER.readTree(bytes);
    } catch (IOException e) {
      return Texts.changed(bytes, random);
    }
    if (root == null || !root.isContainerNode()) {
      return Texts.changed(bytes, random);
    }
    for (int n = 1 + random.nextInt(random.nextInt(1, 4)); n > 0; n--) {
      change(root, root, random);
    }
    String text = written(root);
    return random.nextInt(12) == 0
        ? Texts.changed(text.getBytes(StandardCharsets.UTF_8), random)
        : text.getBytes(StandardCharsets.UTF_8);
  }

  static String written(JsonNode root) {
    try {
      return MAPPER.writeValueAsString(root);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Goes down some way and changes what it comes to. */
  private static void change(JsonNode root, JsonNode from, SplittableRandom random) {
    JsonNode node = from;
    while (!node.isEmpty() && random.nextInt(4) > 0) {
      JsonNode child = child(node, random);
      if (!child.isContainerNode()) {
        break;
      }
      node = child;
    }
    if (node instanceof ObjectNode object) {
      change(root, object, random);
    } else {
      change(root, (ArrayNode) node, random);
    }
  }

  private static JsonNode child(JsonNode node, SplittableRandom random) {
    if (node.isArray()) {
      return node.get(random.nextInt(node.size()));
    }
    return node.get(key(node, random));
  }

  private static String key(JsonNode node, SplittableRandom random) {
    int n = random.nextInt(node.size());
    var names = node.fieldNames();
    while (n-- > 0) {
      names.next();
    }
    return names.next();
  }

  private static void change(JsonNode root, ObjectNode node, SplittableRandom random) {
    if (node.isEmpty()) {
      node.set(name(random), value(root, MAKE.nullNode(), random));
      return;
    }
    String key = key(node, random);
    switch (random.nextInt(10)) {
      case 0, 1 -> node.remove(key);
      case 2 -> node.set(name(random), node.get(key));
      case 3 -> node.set(name(random), node.remove(key));
      case 4 -> node.set(key(node, random), node.get(key).deepCopy());
      case 5 -> node.set(name(random), value(root, node.get(key), random));
      default -> node.set(key, value(root, node.get(key), random));
    }
  }

  private static void change(JsonNode root, ArrayNode node, SplittableRandom random) {
    if (node.isEmpty()) {
      node.add(value(root, MAKE.nullNode(), random));
      return;
    }
    int at = random.nextInt(node.size());
    switch (random.nextInt(8)) {
      case 0 -> node.remove(at);
      case 1 -> node.insert(random.nextInt(node.size() + 1), node.get(at).deepCopy());
      case 2 -> {
        JsonNode other = node.get(random.nextInt(node.size()));
        node.set(at, other.deepCopy());
      }
      case 3 -> {
        for (int n = 1 << random.nextInt(8); n > 0; n--) {
          node.add(node.get(at).deepCopy());
        }
      }
      case 4 -> {
        while (node.size() > at) {
          node.remove(node.size() - 1);
        }
      }
      default -> node.set(at, value(root, node.get(at), random));
    }
  }

  private static String name(SplittableRandom random) {
    return random.nextInt(40) == 0 ? "x".repeat(20_000) : NAMES[random.nextInt(NAMES.length)];
  }

  /** Another value: like the old one, of another type, or from elsewhere in the tree. */
  private static JsonNode value(JsonNode root, JsonNode old, SplittableRandom random) {
    if (random.nextInt(3) > 0) {
      if (old.isNumber()) {
        return number(old, random);
      }
      if (old.isTextual()) {
        return text(old.textValue(), random);
      }
      if (old.isBoolean()) {
        return MAKE.booleanNode(!old.booleanValue());
      }
    }
    return switch (random.nextInt(13)) {
      case 0 -> MAKE.nullNode();
      case 1 -> MAKE.booleanNode(random.nextBoolean());
      case 2 -> number(MAKE.numberNode(0), random);
      case 3 -> MAKE.textNode(name(random));
      case 4 -> MAKE.arrayNode();
      case 5 -> MAKE.objectNode();
      case 6 -> MAKE.arrayNode().add(old.deepCopy());
      case 7 -> MAKE.objectNode().set(name(random), old.deepCopy());
      case 8 -> MAKE.textNode(old.isValueNode() ? old.asText() : "x");
      case 9 -> deep(random);
      default -> anywhere(root, random).deepCopy();
    };
  }

  private static JsonNode anywhere(JsonNode root, SplittableRandom random) {
    JsonNode node = child(root.isEmpty() ? MAKE.arrayNode().add(0) : root, random);
    while (node.isContainerNode() && !node.isEmpty() && random.nextInt(4) > 0) {
      node = child(node, random);
    }
    return node;
  }

  private static JsonNode deep(SplittableRandom random) {
    List<Integer> depths = new ArrayList<>(List.of(5, 60, 62, 63, 64, 65, 999, 1001));
    JsonNode node = MAKE.numberNode(1);
    boolean arrays = random.nextBoolean();
    for (int n = depths.get(random.nextInt(depths.size())); n > 0; n--) {
      node = arrays ? MAKE.arrayNode().add(node) : MAKE.objectNode().set("a", node);
    }
    return node;
  }

  private static JsonNode number(JsonNode old, SplittableRandom random) {
    return switch (random.nextInt(12)) {
      case 0 -> MAKE.numberNode(new BigDecimal("1e400"));
      case 1 -> MAKE.numberNode(new BigDecimal("1e-400"));
      case 2 -> MAKE.numberNode(BigInteger.TWO.pow(64 + random.nextInt(2) * 200));
      case 3 -> MAKE.numberNode(Double.NaN);
      case 4 -> MAKE.numberNode(Double.POSITIVE_INFINITY);
      case 5 -> MAKE.numberNode(old.asDouble() + 0.5);
      case 6 -> MAKE.numberNode(-0.0);
      case 7 -> MAKE.numberNode(old.asDouble() * 1e10);
      default ->
          MAKE.numberNode(Bytes.odd(old.asLong(), 4096, random.nextBoolean() ? 32 : 64, random));
    };
  }

  private static JsonNode text(String old, SplittableRandom random) {
    if (random.nextInt(6) == 0) {
      return MAKE.textNode(name(random));
    }
    return MAKE.textNode(Texts.changed(old, random));
  }
}
