package dev.jneox.train;

import dev.jneox.io.InputException;
import java.io.StringReader;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;
import org.yaml.snakeyaml.DumperOptions.ScalarStyle;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeId;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;
import org.yaml.snakeyaml.nodes.Tag;
import org.yaml.snakeyaml.resolver.Resolver;

/**
 * YAML as plain values (Long, Double, Boolean, String, List, Map, null) which remembers the line of
 * every key. Scalars are read as PyYAML reads them (YAML 1.1), and numbers also as JSON writes
 * them: {@code 1e-4}, text to PyYAML, is a number here. Base-60 numbers and dates stay text, and
 * type tags on scalars are not looked at.
 */
final class YamlTree {
  private static final Pattern JSON_NUMBER =
      Pattern.compile("[-+]?(\\d+\\.?\\d*|\\.\\d+)[eE][-+]?\\d+");
  private static final Resolver RESOLVER = new Resolver();
  // PyYAML has no limit; a file may otherwise unfold without end.
  private static final int MOST_ALIASES = 16;

  private final String source;
  private final Map<String, Integer> lines = new LinkedHashMap<>();
  private final Set<Node> open = Collections.newSetFromMap(new IdentityHashMap<>());
  private final Object root;

  /**
   * @param source where the text comes from, for messages
   * @throws InputException naming the line where the text is not YAML
   */
  YamlTree(String source, String text) {
    this.source = source;
    LoaderOptions options = new LoaderOptions();
    options.setMaxAliasesForCollections(MOST_ALIASES);
    try {
      Node node = new Yaml(options).compose(new StringReader(text));
      root = node == null ? null : value("", node);
    } catch (MarkedYAMLException e) {
      int line = e.getProblemMark() == null ? 1 : e.getProblemMark().getLine() + 1;
      throw new InputException(
          source + ": line " + line + ": not YAML: " + oneLine(e.getProblem()), e);
    } catch (YAMLException e) {
      throw new InputException(source + ": not YAML: " + oneLine(e.getMessage()), e);
    }
  }

  /** The document; null when empty. */
  Object root() {
    return root;
  }

  /** Line of the key at a dotted path, from 1. */
  Map<String, Integer> lines() {
    return lines;
  }

  /** The value of an unquoted scalar. */
  static Object plainScalar(String text) {
    Tag tag = RESOLVER.resolve(NodeId.scalar, text, true);
    String digits = text.replace("_", "");
    if (tag.equals(Tag.NULL)) {
      return null;
    }
    if (tag.equals(Tag.BOOL)) {
      return text.toLowerCase(Locale.ROOT).matches("true|yes|on");
    }
    if (tag.equals(Tag.INT) && digits.matches("[-+]?(0[bx])?[0-9a-fA-F]+")) {
      return integer(digits);
    }
    if (tag.equals(Tag.FLOAT) && !text.contains(":")) {
      return switch (digits.toLowerCase(Locale.ROOT)) {
        case ".inf", "+.inf" -> Double.POSITIVE_INFINITY;
        case "-.inf" -> Double.NEGATIVE_INFINITY;
        case ".nan" -> Double.NaN;
        default -> Double.valueOf(digits);
      };
    }
    return JSON_NUMBER.matcher(text).matches() ? (Object) Double.valueOf(text) : text;
  }

  private Object value(String path, Node node) {
    if (!open.add(node)) {
      throw wrong(node, "the alias contains itself");
    }
    Object value =
        switch (node) {
          case MappingNode mapping -> mapping(path, mapping);
          case SequenceNode sequence -> {
            requireTag(node, Tag.SEQ);
            List<Object> items = new ArrayList<>();
            sequence.getValue().forEach(item -> items.add(value(path, item)));
            yield items;
          }
          case ScalarNode scalar ->
              scalar.getScalarStyle() == ScalarStyle.PLAIN
                  ? plainScalar(scalar.getValue())
                  : scalar.getValue();
          default -> throw wrong(node, "not a value");
        };
    open.remove(node);
    return value;
  }

  private Map<String, Object> mapping(String path, MappingNode node) {
    requireTag(node, Tag.MAP);
    Map<String, Object> map = new LinkedHashMap<>();
    for (NodeTuple tuple : node.getValue()) {
      if (!(tuple.getKeyNode() instanceof ScalarNode keyNode)) {
        throw wrong(tuple.getKeyNode(), "expected a key, found a list or mapping");
      }
      String key = keyNode.getValue().replace('-', '_');
      String at = path.isEmpty() ? key : path + "." + key;
      Object value = value(at, tuple.getValueNode());
      if (map.containsKey(key) && !Objects.equals(map.get(key), value)) {
        throw wrong(keyNode, at + ": already set to another value in line " + lines.get(at));
      }
      map.put(key, value);
      lines.putIfAbsent(at, line(keyNode));
    }
    return map;
  }

  private void requireTag(Node node, Tag tag) {
    if (!node.getTag().equals(tag)) {
      throw wrong(node, "the type tag " + node.getTag() + " is not supported");
    }
  }

  private static Object integer(String text) {
    boolean negative = text.startsWith("-");
    String digits = negative || text.startsWith("+") ? text.substring(1) : text;
    BigInteger n;
    if (digits.startsWith("0b")) {
      n = new BigInteger(digits.substring(2), 2);
    } else if (digits.startsWith("0x")) {
      n = new BigInteger(digits.substring(2), 16);
    } else {
      n = new BigInteger(digits, digits.startsWith("0") ? 8 : 10);
    }
    n = negative ? n.negate() : n;
    return n.bitLength() < Long.SIZE ? (Object) n.longValue() : n;
  }

  private InputException wrong(Node node, String what) {
    return new InputException(oneLine(source + ": line " + line(node) + ": " + what));
  }

  private static int line(Node node) {
    return node.getStartMark() == null ? 1 : node.getStartMark().getLine() + 1;
  }

  /** A message may repeat what a file holds; this keeps it one line. */
  static String oneLine(String message) {
    return message == null
        ? "no reason given"
        : message.strip().replaceAll("[\\s\\p{Cntrl}\\x{85}\\x{2028}\\x{2029}]+", " ");
  }
}
