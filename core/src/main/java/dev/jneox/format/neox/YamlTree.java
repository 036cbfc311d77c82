package dev.jneox.format.neox;

import static dev.jneox.io.JsonObject.shortened;

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
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.DumperOptions;
import org.yaml.snakeyaml.DumperOptions.ScalarStyle;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeId;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;
import org.yaml.snakeyaml.nodes.Tag;
import org.yaml.snakeyaml.representer.Representer;
import org.yaml.snakeyaml.resolver.Resolver;

/**
 * Reads YAML as plain values (Long, Double, Boolean, String, List, Map, null) and remembers the
 * line of every key. Scalars are read as PyYAML reads them (YAML 1.1), and numbers also as JSON
 * writes them: {@code 1e-4}, text to PyYAML, is a number here. Base-60 numbers and dates stay text.
 * Of the type tags only those of these values are allowed. Time and memory are bounded by the
 * length of the text: aliases unfold to at most {@value #MOST_VALUES} values.
 */
public final class YamlTree {
  private static final Pattern JSON_NUMBER =
      Pattern.compile("[-+]?(\\d+(?:\\.\\d*)?|\\.\\d+)[eE][-+]?\\d+");

  /** The longest scalar that may be a number: the patterns below take time and stack. */
  private static final int LONGEST_NUMBER = 128;

  private static final Resolver RESOLVER =
      new Resolver() {
        @Override
        public Tag resolve(NodeId kind, String value, boolean implicit) {
          return kind == NodeId.scalar && value.length() > LONGEST_NUMBER
              ? Tag.STR
              : super.resolve(kind, value, implicit);
        }
      };

  /** The tags that a scalar may have; the last two are implicit ones that are read as text. */
  private static final Set<Tag> SCALARS =
      Set.of(Tag.STR, Tag.INT, Tag.FLOAT, Tag.BOOL, Tag.NULL, Tag.TIMESTAMP, Tag.MERGE);

  /** The most values, each counted as often as an alias repeats it. */
  private static final int MOST_VALUES = 1 << 20;

  /** The most characters of the paths of all keys, each counted as often. */
  private static final int MOST_CHARACTERS = 1 << 26;

  /** The most levels; the parser allows as many, but does not count what aliases nest. */
  private static final int DEEPEST = 50;

  private final String source;
  private final Map<String, Integer> lines = new LinkedHashMap<>();
  private final Set<Node> open = Collections.newSetFromMap(new IdentityHashMap<>());
  private final @Nullable Object root;
  private int values;
  private long characters;

  /**
   * Parses a document.
   *
   * @param source where the text comes from, for messages
   * @throws InputException naming the line where the text is not YAML
   */
  public YamlTree(String source, String text) {
    this.source = source;
    LoaderOptions options = new LoaderOptions();
    options.setMaxAliasesForCollections(Integer.MAX_VALUE); // counted here
    options.setAllowDuplicateKeys(true); // compared here
    DumperOptions unused = new DumperOptions();
    Yaml yaml =
        new Yaml(new SafeConstructor(options), new Representer(unused), unused, options, RESOLVER);
    try {
      Node node = yaml.compose(new StringReader(text));
      root = node == null ? null : value("", node);
    } catch (MarkedYAMLException e) {
      int line = e.getProblemMark() == null ? 1 : e.getProblemMark().getLine() + 1;
      throw new InputException(
          source + ": line " + line + ": not YAML: " + oneLine(e.getProblem()), e);
    } catch (YAMLException e) {
      throw new InputException(source + ": not YAML: " + oneLine(e.getMessage()), e);
    }
  }

  /** Returns the document; null when empty. */
  public @Nullable Object root() {
    return root;
  }

  /** Returns the line of the key at each dotted path, from 1. */
  public Map<String, Integer> lines() {
    return Collections.unmodifiableMap(lines);
  }

  /** Returns the value of an unquoted scalar. */
  public static @Nullable Object plainScalar(String text) {
    Tag tag = RESOLVER.resolve(NodeId.scalar, text, true);
    String digits = text.replace("_", "");
    if (tag.equals(Tag.NULL)) {
      return null;
    }
    if (tag.equals(Tag.BOOL)) {
      return Set.of("true", "yes", "on").contains(text.toLowerCase(Locale.ROOT));
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
    return text.length() <= LONGEST_NUMBER && JSON_NUMBER.matcher(text).matches()
        ? (Object) Double.valueOf(text)
        : text;
  }

  private @Nullable Object value(String path, Node node) {
    characters += path.length();
    if (++values > MOST_VALUES || characters > MOST_CHARACTERS) {
      throw wrong(node, "expected at most " + MOST_VALUES + " values, found more by aliases");
    }
    if (!open.add(node)) {
      throw wrong(node, "the alias contains itself");
    }
    if (open.size() > DEEPEST) {
      throw wrong(node, "expected at most " + DEEPEST + " levels, found more by aliases");
    }
    @Nullable Object value =
        switch (node) {
          case MappingNode mapping -> mapping(path, mapping);
          case SequenceNode sequence -> {
            requireTag(node, Tag.SEQ);
            List<@Nullable Object> items = new ArrayList<>();
            sequence.getValue().forEach(item -> items.add(value(path, item)));
            yield items;
          }
          case ScalarNode scalar -> {
            if (!SCALARS.contains(node.getTag()) && !scalar.getValue().equals("=")) {
              throw wrong(
                  node,
                  "the type tag " + shortened(node.getTag().toString()) + " is not supported");
            }
            yield scalar.getScalarStyle() == ScalarStyle.PLAIN
                ? plainScalar(scalar.getValue())
                : scalar.getValue();
          }
          default -> throw wrong(node, "not a value");
        };
    open.remove(node);
    return value;
  }

  private Map<String, @Nullable Object> mapping(String path, MappingNode node) {
    requireTag(node, Tag.MAP);
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    for (NodeTuple tuple : node.getValue()) {
      if (!(tuple.getKeyNode() instanceof ScalarNode keyNode)) {
        throw wrong(tuple.getKeyNode(), "expected a key, found a list or mapping");
      }
      String key = keyNode.getValue().replace('-', '_');
      String at = path.isEmpty() ? key : path + "." + key;
      @Nullable Object value = value(at, tuple.getValueNode());
      if (map.containsKey(key) && !Objects.equals(map.get(key), value)) {
        throw wrong(
            keyNode, shortened(at) + ": already set to another value in line " + lines.get(at));
      }
      map.put(key, value);
      lines.putIfAbsent(at, line(keyNode));
    }
    return map;
  }

  private void requireTag(Node node, Tag tag) {
    if (!node.getTag().equals(tag)) {
      throw wrong(
          node, "the type tag " + shortened(node.getTag().toString()) + " is not supported");
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

  /** Replaces line breaks and other white space, because a message may repeat what a file holds. */
  public static String oneLine(@Nullable String message) {
    return message == null
        ? "no reason given"
        : message.strip().replaceAll("[\\s\\p{Cntrl}\\x{85}\\x{2028}\\x{2029}]+", " ");
  }
}
