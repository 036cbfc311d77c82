package dev.jneox.train;

import dev.jneox.format.neox.YamlTree;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Merges the keys of GPT-NeoX configuration files, checks every name and type, and keeps the line
 * of every value for messages. {@link NeoxConfig} interprets the values.
 *
 * <p>Files are YAML or JSON; {@code .yml} is appended to a name without an ending; {@code -} in
 * keys is {@code _}; a key may be in one file only. Overrides are applied last: {@code key=value},
 * the value as YAML, for a key inside mappings {@code optimizer.params.lr=1e-3}.
 */
public final class Settings {
  /** The longest file in bytes, which is what the YAML parser takes. */
  private static final int LONGEST = 3 << 20;

  private static final int SHOWN = 60; // characters of a wrong value that a message repeats

  /**
   * Alternative ways to state one thing, each a list of keys: the data, the length of the run, the
   * precision.
   */
  private static final List<List<List<String>>> ALTERNATIVES =
      List.of(
          List.of(
              List.of("data_path"),
              List.of(
                  "train_data_paths",
                  "train_data_weights",
                  "valid_data_paths",
                  "valid_data_weights",
                  "test_data_paths",
                  "test_data_weights")),
          List.of(List.of("train_iters"), List.of("train_epochs")),
          List.of(List.of("precision"), List.of("fp16.enabled"), List.of("bf16.enabled")));

  private final Map<String, String> texts = new LinkedHashMap<>();
  private final Map<String, @Nullable Object> tree = new LinkedHashMap<>();
  private final Map<String, String> places = new LinkedHashMap<>();
  private final Map<String, Object> values = new LinkedHashMap<>();

  private Settings() {}

  /**
   * Reads files, merges them and checks every key.
   *
   * @param overrides {@code key=value}
   * @throws InputException naming file, line, key, what was expected and what was found
   * @throws StorageException when a file cannot be read
   */
  public static Settings load(List<Path> files, List<String> overrides) {
    Map<Path, String> texts = new LinkedHashMap<>();
    for (Path file : files) {
      Path named = withEnding(file);
      if (texts.put(named, read(named)) != null) {
        throw error(named + ": is given twice");
      }
    }
    return of(texts, overrides);
  }

  static Settings of(Map<Path, String> files, List<String> overrides) {
    Settings settings = new Settings();
    files.forEach(settings::merge);
    Set<String> overridden = new HashSet<>();
    overrides.forEach(assignment -> overridden.add(settings.override(assignment)));
    ALTERNATIVES.forEach(ways -> settings.choose(ways, overridden));
    settings.check();
    return settings;
  }

  private static Path withEnding(Path file) {
    String name = String.valueOf(file.getFileName());
    return name.matches("(?s).*\\.(yml|yaml|json)") ? file : file.resolveSibling(name + ".yml");
  }

  private static String read(Path file) {
    try {
      return InputFile.stream(file, LONGEST);
    } catch (CharacterCodingException e) {
      throw new InputException(file + ": not UTF-8 text", e);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  private void merge(Path file, String text) {
    String name = String.valueOf(file.getFileName());
    if (texts.putIfAbsent(name, text) != null) {
      throw error(
          file
              + ": a file named "
              + name
              + " is already given: a checkpoint keeps both by name, rename one");
    }
    YamlTree yaml = new YamlTree(file.toString(), text);
    if (!(yaml.root() instanceof Map<?, ?> map)) {
      throw error(file + ": line 1: expected keys and values, found " + found(yaml.root()));
    }
    yaml.lines()
        .forEach(
            (path, line) -> {
              String place = file + ": line " + line;
              if (tree.containsKey(path)) {
                throw error(
                    place
                        + ": "
                        + path
                        + " is already set in "
                        + places.get(path)
                        + ": keep it in one of the files");
              }
              places.putIfAbsent(path, place);
            });
    map.forEach((key, value) -> tree.put((String) key, value));
  }

  /**
   * Removes the keys of the other alternatives where an override chose one: {@code --set
   * data_path=x} removes {@code train_data_paths} of a file. Two alternatives in files stay, and
   * are an error later.
   */
  private void choose(List<List<String>> ways, Set<String> overridden) {
    List<List<String>> chosen =
        ways.stream()
            .filter(
                way ->
                    way.stream()
                        .anyMatch(
                            key -> overridden.contains(key) && !Boolean.FALSE.equals(inTree(key))))
            .toList();
    if (!chosen.isEmpty()) {
      ways.stream()
          .flatMap(List::stream)
          .filter(
              key ->
                  !overridden.contains(key) && chosen.stream().noneMatch(way -> way.contains(key)))
          .forEach(this::leaveOut);
    }
  }

  private @Nullable Object inTree(String path) {
    Object at = tree;
    for (String name : path.split("\\.")) {
      at = at instanceof Map<?, ?> map ? map.get(name) : null;
    }
    return at;
  }

  private void leaveOut(String path) {
    int dot = path.lastIndexOf('.');
    Object inside = dot < 0 ? tree : inTree(path.substring(0, dot));
    if (inside instanceof Map<?, ?> map) {
      map.remove(path.substring(dot + 1));
    }
    places.remove(path);
  }

  /** Applies an override; returns the path of its key. */
  private String override(String assignment) {
    String place = YamlTree.oneLine("--set " + assignment);
    int equals = assignment.indexOf('=');
    if (equals < 1) {
      throw error(place + ": expected key=value, found no value");
    }
    String path = assignment.substring(0, equals).strip().replace('-', '_');
    Object value = new YamlTree(place, assignment.substring(equals + 1)).root();
    String[] names = path.split("\\.", -1);
    Map<String, @Nullable Object> inside = tree;
    for (int i = 0; i < names.length - 1; i++) {
      Object next = inside.computeIfAbsent(names[i], n -> new LinkedHashMap<>());
      if (!(next instanceof Map<?, ?>)) {
        throw error(
            place
                + ": "
                + String.join(".", List.of(names).subList(0, i + 1))
                + " is not a mapping");
      }
      inside = cast(next);
    }
    inside.put(names[names.length - 1], value);
    places.keySet().removeIf(p -> p.startsWith(path + "."));
    places.put(path, place);
    return path;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, @Nullable Object> cast(Object map) {
    return (Map<String, @Nullable Object>) map;
  }

  private void check() {
    if (tree.get("autotuning") != null) {
      tree.values().removeIf("auto"::equals); // the autotuner sets these
    }
    List<String> unknown = new ArrayList<>();
    flatten("", tree, unknown);
    if (!unknown.isEmpty()) {
      throw error(String.join("; ", unknown));
    }
    for (NeoxKeys.Key key : NeoxKeys.all()) {
      Object value = values.get(key.name());
      if (value != null
          && key.rule() instanceof NeoxKeys.Rule.Same(String other)
          && !same(value, value(other))) {
        throw wrong(
            key.name(),
            "is "
                + found(value)
                + " but "
                + other
                + " is "
                + found(value(other))
                + ": set only "
                + other);
      }
    }
  }

  private void flatten(String prefix, Map<String, @Nullable Object> map, List<String> unknown) {
    map.forEach(
        (name, value) -> {
          String path = prefix + name;
          if (NeoxKeys.isMapping(path)) {
            if (value != null && !(value instanceof Map)) {
              throw wrong(path, "expected a mapping, found " + found(value));
            }
            flatten(path + ".", value == null ? Map.of() : cast(value), unknown);
            return;
          }
          Optional<NeoxKeys.Key> key = name.contains(".") ? Optional.empty() : NeoxKeys.find(path);
          if (key.isEmpty()) {
            String meant =
                name.contains(".")
                    ? ": write it inside its mapping"
                    : NeoxKeys.nearest(path).map(n -> ": did you mean '" + n + "'?").orElse("");
            unknown.add(place(path) + ": unknown key '" + path + "'" + meant);
          } else if (value != null) {
            KeyType type = key.get().type();
            Object fitted = type.fit(value);
            if (fitted == null) {
              throw wrong(path, "expected " + type.expected() + ", found " + found(value));
            }
            values.put(path, fitted);
          }
        });
  }

  private static boolean same(Object a, @Nullable Object b) {
    if (a instanceof Number x && b instanceof Number y) {
      return x.doubleValue() == y.doubleValue();
    }
    return b != null && a.toString().equalsIgnoreCase(b.toString());
  }

  private static String found(@Nullable Object value) {
    String text =
        switch (value) {
          case null -> "nothing";
          case String s -> "the text '" + s + "'";
          case List<?> list -> "the list " + list;
          case Map<?, ?> map -> "the mapping " + map;
          default -> value.toString();
        };
    return text.length() <= SHOWN ? text : text.substring(0, SHOWN) + "...";
  }

  /** Returns where a key was set, {@code 20B.yml: line 12}; else the names of the files. */
  String place(String key) {
    String place = places.get(key);
    int dot = key.lastIndexOf('.');
    return place != null
        ? place
        : dot > 0 ? place(key.substring(0, dot)) : String.join(" + ", texts.keySet());
  }

  /** Makes an error about a key: {@code 20B.yml: line 12: hidden_size: what is wrong}. */
  InputException wrong(String key, String what) {
    return new InputException(message(key, what));
  }

  /** Returns the message of {@link #wrong}. */
  String message(String key, String what) {
    return YamlTree.oneLine(place(key) + ": " + key + ": " + what);
  }

  private static InputException error(String message) {
    return new InputException(YamlTree.oneLine(message));
  }

  /** Returns whether a key was set, and not to null. */
  boolean given(String key) {
    return values.containsKey(key);
  }

  /** Returns the value that was set, else the default; null where there is neither. */
  private @Nullable Object value(String key) {
    Object value = values.get(key);
    return value != null ? value : NeoxKeys.find(key).orElseThrow().byDefault();
  }

  private Object required(String key) {
    Object value = value(key);
    if (value == null) {
      throw wrong(key, "is required and not set");
    }
    return value;
  }

  int integer(String key) {
    return (Integer) required(key);
  }

  double real(String key) {
    return (Double) required(key);
  }

  boolean flag(String key) {
    return (Boolean) required(key);
  }

  String text(String key) {
    return (String) required(key);
  }

  OptionalInt maybeInteger(String key) {
    return value(key) == null ? OptionalInt.empty() : OptionalInt.of(integer(key));
  }

  /** Returns a value inside a mapping whose keys are not checked; empty where there is none. */
  Optional<Object> inside(String key, String name) {
    return value(key) instanceof Map<?, ?> map
        ? Optional.ofNullable((Object) map.get(name))
        : Optional.empty();
  }

  /** Returns a line {@code key: value} for each setting, but for keys that are a process's own. */
  String fingerprint() {
    Map<String, Object> sorted = new TreeMap<>(values);
    sorted.keySet().removeAll(List.of("rank", "local_rank"));
    StringBuilder lines = new StringBuilder();
    sorted.forEach(
        (key, value) ->
            lines.append(key).append(": ").append(YamlTree.oneLine("" + value)).append('\n'));
    return lines.toString();
  }

  Optional<Path> path(String key) {
    return Optional.ofNullable((String) value(key)).map(text -> path(key, text));
  }

  /** Converts a text under a key to a path. */
  Path path(String key, String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw wrong(key, "expected a path, found " + found(text));
    }
  }

  /** Returns a list, whose items are of the key's type; empty when not set. */
  @SuppressWarnings("unchecked")
  <T> List<T> list(String key) {
    Object value = value(key);
    return value == null ? List.of() : (List<T>) value;
  }

  /** Returns a value of a key that takes several types; null when not set. */
  @Nullable Object any(String key) {
    return value(key);
  }

  /** Returns the texts of the files by their names, which a checkpoint keeps. */
  public Map<String, String> texts() {
    return Collections.unmodifiableMap(texts);
  }

  /**
   * Returns a line for every key that asks for something that JNeoX does not do and that would
   * change the results.
   */
  List<String> unsupported() {
    List<String> lines = new ArrayList<>();
    for (NeoxKeys.Key key : NeoxKeys.all()) {
      Object value = value(key.name());
      String wanted =
          switch (key.rule()) {
            case NeoxKeys.Rule.Only(List<String> words) when !words.contains(word(value)) ->
                words.equals(List.of("-"))
                    ? "not done"
                    : "only " + String.join(", ", words) + " is done";
            case NeoxKeys.Rule.Off() when !off(value) -> "not done";
            default -> null;
          };
      if (wanted != null) {
        String whose = given(key.name()) ? "" : " (the default)";
        lines.add(
            place(key.name()) + ": " + key.name() + ": " + found(value) + whose + ": " + wanted);
      }
    }
    return lines;
  }

  /**
   * Returns the keys that were set and ask for something that JNeoX does not do and that does not
   * change the results, in the order of the table.
   */
  List<String> ignored() {
    List<String> names = new ArrayList<>();
    for (NeoxKeys.Key key : NeoxKeys.all()) {
      Object value = values.get(key.name());
      if (key.rule() instanceof NeoxKeys.Rule.Ignored(List<String> read)
          && value != null
          && !same(value, key.byDefault())
          && !read.contains(word(value))
          && isWanted(value)) {
        names.add(key.name());
      }
    }
    return names;
  }

  private static boolean isWanted(Object value) {
    return switch (value) {
      case Boolean flag -> flag;
      case Map<?, ?> map -> !off(map);
      case List<?> list -> !list.isEmpty();
      default -> true;
    };
  }

  /** Returns the value as a rule writes it: 0.0 is 0, text is in lower case. */
  private static String word(@Nullable Object value) {
    return switch (value) {
      case null -> "-";
      case Double d when d == d.intValue() -> String.valueOf(d.intValue());
      default -> value.toString().toLowerCase(Locale.ROOT);
    };
  }

  private static boolean off(@Nullable Object value) {
    return !(value instanceof Map<?, ?> map)
        || map.isEmpty()
        || Boolean.FALSE.equals(map.get("enabled"));
  }
}
