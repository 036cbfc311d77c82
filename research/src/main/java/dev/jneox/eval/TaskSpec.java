package dev.jneox.eval;

import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Describes a task: what its file says, checked. What it says that we do not have is refused by
 * name.
 */
public final class TaskSpec {
  private static final Set<String> SETTINGS =
      Set.of(
          "task",
          "task_alias",
          "tag",
          "group",
          "custom_dataset",
          "dataset_path",
          "dataset_name",
          "dataset_kwargs",
          "training_split",
          "validation_split",
          "test_split",
          "fewshot_split",
          "process_docs",
          "doc_to_text",
          "doc_to_target",
          "doc_to_choice",
          "doc_to_image",
          "doc_to_audio",
          "unsafe_code",
          "process_results",
          "use_prompt",
          "description",
          "target_delimiter",
          "fewshot_delimiter",
          "fewshot_config",
          "num_fewshot",
          "metric_list",
          "output_type",
          "generation_kwargs",
          "repeats",
          "filter_list",
          "should_decontaminate",
          "doc_to_decontamination_query",
          "gen_prefix",
          "metadata");

  private static final Set<String> FEWSHOT_SETTINGS =
      Set.of(
          "sampler",
          "split",
          "process_docs",
          "samples",
          "doc_to_text",
          "doc_to_choice",
          "doc_to_target",
          "gen_prefix",
          "fewshot_delimiter",
          "target_delimiter");

  /** Says where the examples of a prompt come from, and how they are written. */
  record Examples(
      boolean firstOnes,
      @Nullable String split,
      List<Document> samples,
      TaskFunction.@Nullable OfDocuments process,
      @Nullable TextSource text,
      @Nullable TextSource choice,
      @Nullable TextSource target,
      @Nullable TextSource prefix,
      String delimiter,
      String targetDelimiter) {}

  /** Is a chain of filters of responses, by the name that its metrics have behind the comma. */
  record FilterChain(String name, List<ResponseFilter> filters) {}

  final String name;
  final String alias;
  final String version;
  final Map<String, @Nullable Object> settings;
  final @Nullable String datasetPath;
  final @Nullable String datasetName;
  final @Nullable String datasetRevision;
  final Map<String, @Nullable Object> dataFiles;
  final @Nullable String trainingSplit;
  final @Nullable String validationSplit;
  final @Nullable String testSplit;
  final TaskFunction.@Nullable OfDocuments process;
  final @Nullable TextSource text;
  final @Nullable TextSource target;
  final @Nullable TextSource choice;
  final @Nullable TextSource description;
  final @Nullable TextSource prefix;
  final String targetDelimiter;
  final Examples examples;
  final OptionalInt fewshot;
  final OutputType output;
  final List<Metric> metrics;
  final TaskFunction.@Nullable OfResponses measures;
  final Request.@Nullable Sampling sampling;
  final int repeats;
  final List<FilterChain> filters;

  /**
   * Checks the settings of a task.
   *
   * @throws InputException that names the setting which is wrong or not supported
   */
  TaskSpec(TaskSettings settings) {
    settings.only(SETTINGS);
    settings.none("custom_dataset", "doc_to_image", "doc_to_audio", "unsafe_code", "use_prompt");
    String name = settings.text("task");
    if (name == null) {
      throw settings.expected("task", "the name of the task");
    }
    this.name = name;
    this.settings = settings.values();
    alias = settings.text("task_alias", name);
    version = version(settings);
    datasetPath = settings.text("dataset_path");
    datasetName = settings.text("dataset_name");
    TaskSettings kwargs = settings.below("dataset_kwargs");
    dataFiles = dataFiles(kwargs);
    datasetRevision = kwargs.text("revision");
    trainingSplit = settings.text("training_split");
    validationSplit = settings.text("validation_split");
    testSplit = settings.text("test_split");
    if (testSplit == null && validationSplit == null) {
      throw new InputException(
          settings.place("test_split") + ": expected it or validation_split, found neither");
    }
    process = process(settings);
    text = TextSource.of(settings, "doc_to_text");
    target = TextSource.of(settings, "doc_to_target");
    choice = TextSource.of(settings, "doc_to_choice");
    description =
        settings.text("description", "").isEmpty() ? null : TextSource.of(settings, "description");
    prefix = TextSource.of(settings, "gen_prefix");
    targetDelimiter = settings.text("target_delimiter", " ");
    output = output(settings);
    examples = examples(settings);
    fewshot =
        settings.has("num_fewshot")
            ? OptionalInt.of(settings.integer("num_fewshot", 0, 0))
            : OptionalInt.empty();
    measures =
        settings.has("process_results")
            ? settings.function("process_results", TaskFunction.OfResponses.class)
            : null;
    metrics = metrics(settings);
    repeats = settings.integer("repeats", 1, 1);
    sampling = output == OutputType.GENERATE_UNTIL ? sampling(settings) : null;
    filters = filters(settings);
    requireSources(settings);
  }

  private void requireSources(TaskSettings settings) {
    boolean choices = output == OutputType.MULTIPLE_CHOICE;
    if (text == null && output != OutputType.LOGLIKELIHOOD_ROLLING) {
      throw settings.expected("doc_to_text", "a template, a field or a !function");
    }
    if (target == null) {
      throw settings.expected("doc_to_target", "a template, a field or a !function");
    }
    if (choices && choice == null) {
      throw settings.expected("doc_to_choice", "the choices that " + output + " scores");
    }
  }

  private static String version(TaskSettings settings) {
    Object metadata = settings.value("metadata");
    Object version = metadata instanceof Map<?, ?> map ? map.get("version") : null;
    return version == null ? "Yaml" : String.valueOf(version);
  }

  /** Returns the files of each split, where the data set is files on this machine. */
  private static Map<String, @Nullable Object> dataFiles(TaskSettings kwargs) {
    kwargs.only(
        Set.of(
            "data_files", "cache_dir", "trust_remote_code", "revision", "streaming", "data_dir"));
    Object files = kwargs.value("data_files");
    Map<String, @Nullable Object> named = new LinkedHashMap<>();
    if (files instanceof Map<?, ?> map) {
      map.forEach((split, file) -> named.put(String.valueOf(split), file));
    } else if (files != null) {
      named.put("train", files); // as datasets names the only split
    }
    return named;
  }

  private static TaskFunction.@Nullable OfDocuments process(TaskSettings settings) {
    return settings.has("process_docs")
        ? settings.function("process_docs", TaskFunction.OfDocuments.class)
        : null;
  }

  private static OutputType output(TaskSettings settings) {
    String name = settings.text("output_type", OutputType.GENERATE_UNTIL.toString());
    for (OutputType type : OutputType.values()) {
      if (type.toString().equals(name)) {
        return type;
      }
    }
    throw settings.expected("output_type", "one of " + List.of(OutputType.values()));
  }

  private Examples examples(TaskSettings settings) {
    TaskSettings below = settings.below("fewshot_config");
    below.only(FEWSHOT_SETTINGS);
    String sampler = below.text("sampler", "default");
    if (!sampler.equals("default") && !sampler.equals("first_n")) {
      throw below.expected("sampler", "default or first_n");
    }
    List<Document> samples = new ArrayList<>();
    if (below.value("samples") instanceof FunctionName) {
      throw below.expected("samples", "a list of documents, no !function");
    }
    for (TaskSettings sample : below.several("samples")) {
      samples.add(
          Document.of(
              JsonValues.map(sample.values()), below.place("samples " + (samples.size() + 1))));
    }
    String split = below.text("split");
    return new Examples(
        sampler.equals("first_n"),
        split == null ? settings.text("fewshot_split") : split,
        samples,
        below.has("process_docs") ? process(below) : process,
        below.has("doc_to_text") ? TextSource.of(below, "doc_to_text") : text,
        below.has("doc_to_choice") ? TextSource.of(below, "doc_to_choice") : choice,
        below.has("doc_to_target") ? TextSource.of(below, "doc_to_target") : target,
        below.has("gen_prefix") ? TextSource.of(below, "gen_prefix") : prefix,
        below.text("fewshot_delimiter", settings.text("fewshot_delimiter", "\n\n")),
        below.text("target_delimiter", targetDelimiter));
  }

  private List<Metric> metrics(TaskSettings settings) {
    if (!settings.has("metric_list")) {
      return output.metrics().stream().map(Metric::of).toList();
    }
    List<Metric> metrics = new ArrayList<>();
    for (TaskSettings each : settings.several("metric_list")) {
      metrics.add(Metric.of(each, output, measures != null));
    }
    return metrics;
  }

  private Request.Sampling sampling(TaskSettings settings) {
    TaskSettings kwargs = settings.below("generation_kwargs");
    kwargs.only(Set.of("until", "do_sample", "temperature", "max_gen_toks", "top_p", "top_k"));
    List<String> until =
        kwargs.has("until")
            ? kwargs.texts("until")
            : List.of(settings.text("fewshot_delimiter", "\n\n"));
    double temperature = kwargs.number("temperature", 0);
    boolean draws = kwargs.flag("do_sample", temperature > 0);
    return new Request.Sampling(
        until,
        kwargs.integer("max_gen_toks", 256, 1),
        draws ? temperature : 0,
        draws ? kwargs.number("top_p", 1) : 1,
        draws ? kwargs.integer("top_k", 0, 0) : 0);
  }

  private static List<FilterChain> filters(TaskSettings settings) {
    if (!settings.has("filter_list")) {
      return List.of(new FilterChain("none", List.of(ResponseFilter.TAKE_FIRST)));
    }
    List<FilterChain> chains = new ArrayList<>();
    for (TaskSettings each : settings.several("filter_list")) {
      String name = each.text("name");
      if (name == null) {
        throw each.expected("name", "the name of the filter");
      }
      chains.add(
          new FilterChain(name, each.several("filter").stream().map(ResponseFilter::of).toList()));
    }
    return chains;
  }

  /** Returns the name of the task. */
  public String name() {
    return name;
  }

  /** Returns the split whose documents are evaluated. */
  String split() {
    String split = testSplit == null ? validationSplit : testSplit;
    if (split == null) {
      throw new IllegalStateException("a task without a split");
    }
    return split;
  }
}
