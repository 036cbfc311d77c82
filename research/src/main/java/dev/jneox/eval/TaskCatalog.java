package dev.jneox.eval;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.Spelling;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Finds tasks, groups and tags by name: our own, and those of folders of lm-evaluation-harness's
 * files, which come before ours.
 */
public final class TaskCatalog {
  /** Says what a file describes. The source is what errors begin with. */
  private record Entry(String source, boolean group, Map<String, @Nullable Object> settings) {}

  private final Map<String, TaskFunction> functions;
  private final Map<String, Entry> entries = new TreeMap<>();
  private final Map<String, Set<String>> tags = new TreeMap<>();
  private final Map<Path, String> broken = new LinkedHashMap<>(); // and why

  /**
   * Lists our own tasks and those of folders.
   *
   * @param folders with YAML files in them and below; later ones come before earlier ones
   * @throws InputException if a folder cannot be read
   */
  public TaskCatalog(List<Path> folders) {
    this(folders, Map.of());
  }

  /**
   * Does the same, with functions of a program's own for {@code !function}.
   *
   * @param functions by the folder of the task file, the Python file and the function in it: {@code
   *     hellaswag/utils.process_docs}
   */
  public TaskCatalog(List<Path> folders, Map<String, TaskFunction> functions) {
    this.functions = new TreeMap<>(TaskFunctions.ALL);
    this.functions.putAll(functions);
    addOwn();
    folders.forEach(folder -> add(folder, false));
  }

  private void addOwn() {
    URL folder = TaskCatalog.class.getResource("tasks");
    if (folder == null) {
      throw new IllegalStateException("the task files are not beside the classes");
    }
    try {
      URI uri = folder.toURI();
      if (uri.getScheme().equals("jar")) {
        try (FileSystem jar = FileSystems.newFileSystem(uri, Map.of())) {
          add(jar.provider().getPath(uri), true);
        }
      } else {
        add(Path.of(uri), true);
      }
    } catch (URISyntaxException | IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private void add(Path folder, boolean own) {
    List<Path> files;
    try (Stream<Path> all = Files.walk(folder)) {
      files =
          all.filter(file -> file.toString().endsWith(".yaml"))
              .sorted((a, b) -> a.toString().compareTo(b.toString()))
              .toList();
    } catch (IOException e) {
      throw new InputException(folder + ": cannot be read: " + AtomicFile.reason(e), e);
    }
    Set<String> here = new TreeSet<>(); // of two files of a folder the first has a name
    for (Path file : files) {
      try {
        Map<String, @Nullable Object> settings = TaskFile.read(file);
        for (Map<String, @Nullable Object> each :
            TaskFamily.is(settings) ? TaskFamily.tasks(file, settings) : List.of(settings)) {
          add(file, each, here, own);
        }
      } catch (InputException e) { // told when its name is asked for
        broken.put(file, String.valueOf(e.getMessage()));
      }
    }
  }

  private void add(
      Path file, Map<String, @Nullable Object> settings, Set<String> here, boolean own) {
    boolean group = settings.containsKey("group") && settings.get("task") instanceof List<?>;
    Object name = settings.get(group ? "group" : "task");
    if (name != null && !(name instanceof String)) {
      broken.put(
          file,
          file + ": " + (group ? "group" : "task") + ": expected a name as text, found " + name);
    } else if (name instanceof String text && here.add(text)) {
      String source = own ? (group ? "group " : "task ") + text + " (built in)" : file.toString();
      entries.put(text, new Entry(source, group, settings));
      Object tag = settings.get("tag");
      for (Object each :
          tag instanceof List<?> list ? list : tag == null ? List.of() : List.of(tag)) {
        tags.computeIfAbsent(String.valueOf(each), _ -> new TreeSet<>()).add(text);
      }
    }
  }

  /** Returns the names of all tasks and groups. */
  public Set<String> names() {
    return Set.copyOf(entries.keySet());
  }

  /**
   * Describes tasks and groups, in ascending order of their names.
   *
   * @param patterns names of tasks, groups and tags, in which {@code *} stands for any characters;
   *     all where there is none
   * @throws InputException for a pattern that is of none
   */
  public List<TaskSummary> summaries(List<String> patterns) {
    Set<String> chosen = new TreeSet<>(patterns.isEmpty() ? entries.keySet() : Set.of());
    for (String pattern : patterns) {
      Pattern regex =
          Pattern.compile(
              Arrays.stream(pattern.split("\\*", -1))
                  .map(Pattern::quote)
                  .collect(Collectors.joining(".*")));
      Set<String> of = new TreeSet<>();
      entries.keySet().stream().filter(name -> regex.matcher(name).matches()).forEach(of::add);
      tags.forEach(
          (tag, names) -> {
            if (regex.matcher(tag).matches()) {
              of.addAll(names);
            }
          });
      if (of.isEmpty()) {
        throw unknown(pattern);
      }
      chosen.addAll(of);
    }
    return chosen.stream().map(this::summary).toList();
  }

  private TaskSummary summary(String name) {
    try {
      Selection selection = select(List.of(name));
      for (Group group : selection.groups()) {
        if (group.name().equals(name)) {
          return TaskSummary.group(name, group.members());
        }
      }
      return TaskSummary.of(selection.tasks().getFirst());
    } catch (InputException e) {
      return TaskSummary.notSupported(name, String.valueOf(e.getMessage()));
    }
  }

  /** Returns the tasks of each tag. */
  public Map<String, Set<String>> tags() {
    return Map.copyOf(tags);
  }

  /** Returns the names of the groups. */
  public Set<String> groups() {
    return entries.entrySet().stream()
        .filter(entry -> entry.getValue().group)
        .map(Map.Entry::getKey)
        .collect(Collectors.toSet());
  }

  /** Holds what was selected so far, and the groups around the place, the outermost first. */
  private record Found(
      Map<String, TaskSpec> tasks, Map<String, Group> groups, List<String> around) {}

  /**
   * Finds tasks.
   *
   * @param names of tasks, groups and tags
   * @throws InputException if there is none of a name, or its file is not one that we can run
   */
  public Selection select(List<String> names) {
    Found found = new Found(new LinkedHashMap<>(), new LinkedHashMap<>(), new ArrayList<>());
    for (String name : names) {
      select(name, Map.of(), found);
    }
    return new Selection(List.copyOf(found.tasks.values()), List.copyOf(found.groups.values()));
  }

  /** Returns the names of what was added, which a group has as its members. */
  private List<String> select(
      String name, Map<String, ? extends @Nullable Object> changes, Found found) {
    Entry entry = entries.get(name);
    if (entry == null) {
      Set<String> tagged = tags.get(name);
      if (tagged == null) {
        throw unknown(name);
      }
      tagged.forEach(each -> select(each, changes, found));
      return List.copyOf(tagged);
    }
    if (entry.group) {
      group(name, entry.source, entry.settings, changes, found);
    } else {
      Map<String, @Nullable Object> settings = new LinkedHashMap<>(entry.settings);
      settings.putAll(changes);
      settings.put("task", name);
      found.tasks.putIfAbsent(name, spec(entry.source, settings));
    }
    return List.of(name);
  }

  private TaskSpec spec(String source, Map<String, @Nullable Object> settings) {
    return new TaskSpec(new TaskSettings(source, settings, functions));
  }

  private void group(
      String name,
      String source,
      Map<String, ? extends @Nullable Object> settings,
      Map<String, ? extends @Nullable Object> changes,
      Found found) {
    if (found.groups.containsKey(name)) {
      return;
    }
    if (found.around.contains(name)) {
      throw new InputException(
          source
              + ": group "
              + name
              + ": expected a group that does not contain itself, found "
              + String.join(" in ", found.around.reversed())
              + " around it");
    }
    // What a group says beside its own settings holds for its tasks.
    Map<String, @Nullable Object> all = new LinkedHashMap<>();
    Map<String, @Nullable Object> own = new LinkedHashMap<>();
    settings.forEach((key, value) -> (Group.isOwn(key) ? own : all).put(key, value));
    all.putAll(changes);
    List<String> members = new ArrayList<>();
    Object listed = settings.get("task");
    found.around.add(name);
    for (Object member : listed instanceof List<?> list ? list : List.of()) {
      members.addAll(member(name, source, member, all, found));
    }
    found.around.removeLast();
    if (members.isEmpty()) {
      throw new InputException(source + ": group " + name + ": task: expected tasks, found none");
    }
    found.groups.put(name, Group.of(name, new TaskSettings(source, own, functions), members));
  }

  private List<String> member(
      String group,
      String source,
      @Nullable Object member,
      Map<String, @Nullable Object> changes,
      Found found) {
    if (member instanceof String name) {
      return select(name, changes, found);
    }
    if (!(member instanceof Map<?, ?> map)) {
      throw new InputException(
          source + ": task: expected names, or settings with a name, found " + member);
    }
    Map<String, @Nullable Object> more = new LinkedHashMap<>();
    map.forEach((key, value) -> more.put(String.valueOf(key), value));
    if (more.get("group") instanceof String name) {
      if (entries.containsKey(name)) {
        Map<String, @Nullable Object> both = new LinkedHashMap<>(changes);
        more.remove("group");
        both.putAll(more);
        return select(name, both, found);
      }
      String inner = group + "::" + name;
      group(inner, source, more, changes, found);
      return List.of(inner);
    }
    if (!(more.get("task") instanceof String name)) {
      throw new InputException(source + ": task: expected settings with a name, found " + member);
    }
    Map<String, @Nullable Object> both = new LinkedHashMap<>(changes);
    both.putAll(more);
    if (entries.containsKey(name) || tags.containsKey(name)) {
      both.remove("task");
      return select(name, both, found);
    }
    String inner = group + "::" + name;
    both.put("task", inner);
    found.tasks.putIfAbsent(inner, spec(source, both));
    return List.of(inner);
  }

  private InputException unknown(String name) {
    for (Map.Entry<Path, String> each : broken.entrySet()) {
      if (String.valueOf(each.getKey().getFileName()).equals(name + ".yaml")) {
        return new InputException(each.getValue());
      }
    }
    Set<String> all = new TreeSet<>(entries.keySet());
    all.addAll(tags.keySet());
    List<String> near =
        all.stream()
            .filter(
                each ->
                    each.contains(name) || Spelling.edits(name, each) <= Spelling.tolerance(name))
            .limit(5)
            .toList();
    Optional<String> nearest = Spelling.nearest(name, all);
    return new InputException(
        "no task '"
            + name
            + "'"
            + (near.isEmpty()
                ? nearest.map(each -> "; did you mean " + each + "?").orElse("")
                : "; did you mean " + String.join(", ", near) + "?")
            + " --tasks list has all names");
  }
}
