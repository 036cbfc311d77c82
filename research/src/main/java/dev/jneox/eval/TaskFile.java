package dev.jneox.eval;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.AbstractConstruct;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.Tag;

/**
 * Reads a YAML file of tasks: a map, with the files that it includes below its own keys, and with
 * functions as {@link FunctionName}.
 */
final class TaskFile {
  /** Bytes of a task file; the largest known one has 60 KB. */
  private static final long MAX_BYTES = 4 << 20;

  private static final String INCLUDE = "include";

  private TaskFile() {}

  /** Reads a file, and those that it includes. */
  static Map<String, @Nullable Object> read(Path file) {
    return read(file, new ArrayList<>());
  }

  private static Map<String, @Nullable Object> read(Path file, List<Path> includedBy) {
    Path path = file.toAbsolutePath().normalize();
    if (includedBy.contains(path)) {
      throw InputException.in(
          includedBy.getLast(), INCLUDE, "a file that does not include this one", file + "");
    }
    Map<String, @Nullable Object> own = parsed(path);
    Object include = own.remove(INCLUDE);
    if (include == null) {
      return own;
    }
    includedBy.add(path);
    Map<String, @Nullable Object> all = new LinkedHashMap<>();
    for (Object each : include instanceof List<?> several ? several : List.of(include)) {
      if (!(each instanceof String name)) {
        throw InputException.in(path, INCLUDE, "names of files", String.valueOf(each));
      }
      all.putAll(
          read(path.resolveSibling(InputFile.path(path, INCLUDE, name).toString()), includedBy));
    }
    includedBy.removeLast();
    all.remove("task_list"); // of the included file itself, as are those of a family
    TaskFamily.remove(all);
    all.putAll(own);
    return all;
  }

  private static Map<String, @Nullable Object> parsed(Path file) {
    String text;
    try {
      text =
          file.getFileSystem().provider().getScheme().equals("file")
              ? InputFile.text(file, MAX_BYTES)
              : Files.readString(file); // of our own jar
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read: " + AtomicFile.reason(e), e);
    }
    try {
      Object root = new Yaml(new Constructor(folder(file))).load(text);
      if (root instanceof Map<?, ?> map) {
        Map<String, @Nullable Object> settings = new LinkedHashMap<>();
        map.forEach((key, value) -> settings.put(String.valueOf(key), value));
        return settings;
      }
      throw InputException.in(file, "content", "keys with values", String.valueOf(root));
    } catch (MarkedYAMLException e) {
      int line = e.getProblemMark() == null ? 1 : e.getProblemMark().getLine() + 1;
      throw new InputException(file + ": line " + line + ": not YAML: " + e.getProblem(), e);
    } catch (YAMLException e) {
      throw new InputException(file + ": not YAML: " + e.getMessage(), e);
    }
  }

  /**
   * Returns the folder of a task file as functions are named by it: its path below the innermost
   * folder {@code tasks}, as the harness has one; elsewhere its name.
   */
  private static String folder(Path file) {
    Path folder = file.getParent();
    if (folder == null) {
      return "";
    }
    for (int i = folder.getNameCount() - 1; i >= 0; i--) {
      if (folder.getName(i).toString().equals("tasks")) {
        return i + 1 == folder.getNameCount()
            ? ""
            : folder.subpath(i + 1, folder.getNameCount()).toString().replace('\\', '/');
      }
    }
    return String.valueOf(folder.getFileName());
  }

  private static final class Constructor extends SafeConstructor {
    /** Of a key that is there twice the last one counts, as for the harness. */
    private static LoaderOptions options() {
      LoaderOptions options = new LoaderOptions();
      options.setWarnOnDuplicateKeys(false);
      return options;
    }

    Constructor(String folder) {
      super(options());
      yamlConstructors.put(
          new Tag("!function"),
          new AbstractConstruct() {
            @Override
            public Object construct(Node node) {
              String name = ((ScalarNode) node).getValue();
              return new FunctionName(
                  folder.isEmpty() || name.indexOf('/') >= 0 ? name : folder + "/" + name);
            }
          });
    }
  }
}
