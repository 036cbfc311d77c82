package dev.jneox.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Describes a task or a group to those who have to bring its data.
 *
 * @param name of the task or group
 * @param kind the task's output type; {@code group}; {@code not supported}
 * @param dataset the data set on the hub, and which part of it; empty where the file names none
 * @param split whose documents are evaluated; empty for a group
 * @param exampleSplit whose documents are examples of prompts; empty for a group
 * @param metrics names of the metrics; empty for a group
 * @param settings the templates and functions, by the names of their settings
 * @param fields of a record that the templates take, behind {@code process_docs} where there is one
 * @param members of a group
 * @param problem why it cannot be evaluated; empty where it can
 */
public record TaskSummary(
    String name,
    String kind,
    String dataset,
    String split,
    String exampleSplit,
    List<String> metrics,
    Map<String, String> settings,
    SortedSet<String> fields,
    List<String> members,
    String problem) {
  private static final List<String> SOURCES =
      List.of(
          "process_docs",
          "description",
          "doc_to_text",
          "doc_to_choice",
          "doc_to_target",
          "process_results");

  static TaskSummary of(TaskSpec spec) {
    Object part = spec.settings.get("dataset_name");
    String dataset =
        (spec.datasetPath == null ? "" : spec.datasetPath) + (part == null ? "" : ", " + part);
    String examples = spec.examples.split();
    if (examples == null) {
      examples = spec.trainingSplit != null ? spec.trainingSplit : spec.validationSplit;
    }
    Map<String, String> settings = new LinkedHashMap<>();
    for (String key : SOURCES) {
      Object value = spec.settings.get(key);
      if (value != null && !value.equals("")) {
        settings.put(
            key,
            value instanceof FunctionName(String name)
                ? "!function " + name
                : String.valueOf(value));
      }
    }
    SortedSet<String> fields = new TreeSet<>();
    for (TextSource source : sources(spec)) {
      if (source instanceof TextSource.Template template) {
        fields.addAll(template.fields());
      }
    }
    return new TaskSummary(
        spec.name,
        spec.output.toString(),
        dataset,
        spec.split(),
        examples == null ? spec.split() : examples,
        spec.metrics.stream().map(Metric::name).toList(),
        settings,
        fields,
        List.of(),
        "");
  }

  private static List<@Nullable TextSource> sources(TaskSpec spec) {
    List<@Nullable TextSource> sources = new ArrayList<>();
    sources.add(spec.description);
    sources.add(spec.text);
    sources.add(spec.choice);
    sources.add(spec.target);
    sources.add(spec.prefix);
    return sources;
  }

  static TaskSummary group(String name, List<String> members) {
    return without(name, "group", members, "");
  }

  static TaskSummary notSupported(String name, String problem) {
    return without(name, "not supported", List.of(), problem);
  }

  private static TaskSummary without(
      String name, String kind, List<String> members, String problem) {
    return new TaskSummary(
        name, kind, "", "", "", List.of(), Map.of(), new TreeSet<>(), members, problem);
  }

  /** Returns it as values of JSON. */
  public Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", name);
    json.put("kind", kind);
    if (!problem.isEmpty()) {
      json.put("problem", problem);
    } else if (!members.isEmpty()) {
      json.put("members", members);
    } else {
      json.put("dataset", dataset);
      json.put("split", split);
      json.put("example_split", exampleSplit);
      json.put("metrics", metrics);
      json.put("settings", settings);
      json.put("fields", List.copyOf(fields));
    }
    return json;
  }
}
