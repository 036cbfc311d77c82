package dev.jneox.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.SerializationFeature;
import dev.jneox.io.AtomicFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Writes results into files, in the schema of lm-evaluation-harness. */
public final class ResultFiles {
  private static final ObjectWriter LINE = new ObjectMapper().writer();
  private static final ObjectWriter LINES = LINE.with(SerializationFeature.INDENT_OUTPUT);

  private ResultFiles() {}

  /**
   * Returns the numbers of tasks and groups, by the names that the harness has for them. Those that
   * are not numbers are {@code "N/A"}.
   */
  public static Map<String, Map<String, Object>> scores(EvaluationResults results) {
    Map<String, Map<String, Object>> all = new LinkedHashMap<>();
    results
        .groups()
        .forEach(
            (name, group) ->
                all.put(name, scores(group.alias(), group.documents(), group.scores())));
    results
        .tasks()
        .forEach(
            (name, task) -> all.put(name, scores(task.alias(), task.documents(), task.scores())));
    return all;
  }

  private static Map<String, Object> scores(String alias, int documents, List<Score> scores) {
    Map<String, Object> numbers = new LinkedHashMap<>();
    numbers.put("alias", alias);
    numbers.put("sample_len", documents);
    for (Score score : scores) {
      numbers.put(score.key(), number(score.value()));
      numbers.put(
          score.errorKey(),
          score.standardError().isPresent() ? number(score.standardError().getAsDouble()) : "N/A");
    }
    return numbers;
  }

  /** JSON has no NaN and no infinity. */
  static Object number(double value) {
    return Double.isFinite(value) ? (Object) value : String.valueOf(value);
  }

  /**
   * Writes {@code results_DATE.json} and a {@code samples_TASK_DATE.jsonl} for each task.
   *
   * @param folder is made where it is missing
   * @param model that they are of
   * @param config of the run: the model and how it was run
   * @return the file of the results
   * @throws dev.jneox.io.StorageException when they cannot be written
   */
  public static Path write(
      Path folder,
      ModelName model,
      EvaluationResults results,
      Map<String, ? extends @Nullable Object> config) {
    String date =
        LocalDateTime.now()
            .format(DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH-mm-ss.SSSSSS", Locale.ROOT));
    Map<String, String> hashes = new LinkedHashMap<>();
    for (TaskResult task : results.tasks().values()) {
      StringBuilder lines = new StringBuilder();
      StringBuilder all = new StringBuilder();
      for (Sample sample : task.samples()) {
        Map<String, Object> line = line(sample);
        all.append(line.get("doc_hash")).append(line.get("prompt_hash"));
        all.append(line.get("target_hash"));
        lines.append(json(LINE, line)).append('\n');
      }
      hashes.put(task.name(), TextHash.of(all.toString()));
      AtomicFile.write(
          folder.resolve(samplesName(task.name(), date)),
          lines.toString().getBytes(StandardCharsets.UTF_8));
    }
    Path file = folder.resolve("results_" + date + ".json");
    String text = json(LINES, report(model, results, config, hashes));
    AtomicFile.write(file, text.getBytes(StandardCharsets.UTF_8));
    return file;
  }

  /** Returns the name of the file of what was asked and answered in a task. */
  static String samplesName(String task, String date) {
    return "samples_" + task.replace(':', '_') + "_" + date + ".jsonl";
  }

  private static Map<String, Object> report(
      ModelName model,
      EvaluationResults results,
      Map<String, ? extends @Nullable Object> config,
      Map<String, String> hashes) {
    Map<String, Map<String, Object>> scores = scores(results);
    Map<String, Object> groups = new LinkedHashMap<>();
    Map<String, Object> members = new LinkedHashMap<>();
    Map<String, Object> versions = new TreeMap<>();
    results
        .groups()
        .forEach(
            (name, group) -> {
              members.put(name, group.members());
              versions.put(name, group.version());
              if (!group.scores().isEmpty()) {
                groups.put(name, scores.getOrDefault(name, Map.of()));
              }
            });
    Map<String, Object> configs = new TreeMap<>();
    Map<String, Object> fewshot = new TreeMap<>();
    Map<String, Object> better = new TreeMap<>();
    Map<String, Object> documents = new LinkedHashMap<>();
    Map<String, Object> files = new LinkedHashMap<>();
    Map<String, Object> chances = new LinkedHashMap<>();
    results
        .tasks()
        .forEach(
            (name, task) -> {
              versions.put(name, task.version());
              configs.put(name, plain(task.settings()));
              fewshot.put(name, task.fewshot());
              Map<String, Boolean> of = new LinkedHashMap<>();
              task.scores().forEach(score -> of.put(score.metric(), score.higherIsBetter()));
              better.put(name, of);
              documents.put(name, Map.of("original", task.all(), "effective", task.documents()));
              files.put(name, task.files());
              ModelScores.chance(task).ifPresent(chance -> chances.put(name, chance));
            });
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("results", scores);
    if (!groups.isEmpty()) {
      report.put("groups", groups);
    }
    report.put("group_subtasks", members);
    report.put("configs", configs);
    report.put("versions", versions);
    report.put("n-shot", fewshot);
    report.put("higher_is_better", better);
    report.put("n-samples", documents);
    report.put("config", config);
    report.put("model_name", model.name());
    report.put("chance", chances);
    report.put("data_sha256", files);
    report.put("task_hashes", hashes);
    return report;
  }

  /** Writes functions as their names. */
  private static @Nullable Object plain(@Nullable Object value) {
    return switch (value) {
      case FunctionName(String name) -> "!function " + name;
      case List<?> list -> {
        List<@Nullable Object> values = new ArrayList<>();
        list.forEach(each -> values.add(plain(each)));
        yield values;
      }
      case Map<?, ?> map -> {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        map.forEach((key, each) -> values.put(String.valueOf(key), plain(each)));
        yield values;
      }
      case null, default -> value;
    };
  }

  private static Map<String, Object> line(Sample sample) {
    String target = PythonText.of(sample.target());
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("doc_id", sample.number());
    line.put("doc", sample.document().fields());
    line.put("target", target);
    Map<String, Object> arguments = new LinkedHashMap<>();
    for (Request request : sample.requests()) {
      arguments.put("gen_args_" + arguments.size(), arguments(request));
    }
    line.put("arguments", arguments);
    line.put("resps", sample.responses().stream().map(ResultFiles::all).toList());
    line.put(
        "filtered_resps",
        sample.filtered().stream()
            .map(each -> each.size() == 1 ? shown(each.getFirst()) : all(each))
            .toList());
    line.put("filter", sample.filter());
    line.put("metrics", List.copyOf(sample.measures().keySet()));
    line.put("doc_hash", TextHash.of(PythonJson.indented(sample.document().fields())));
    line.put("prompt_hash", TextHash.of(before(sample.requests().getFirst())));
    line.put("target_hash", TextHash.of(target));
    sample.measures().forEach((metric, measured) -> line.put(metric, shown(measured)));
    return line;
  }

  private static String before(Request request) {
    return switch (request) {
      case Request.Loglikelihood asked -> asked.context();
      case Request.Rolling asked -> asked.text();
      case Request.Generate asked -> asked.context();
    };
  }

  private static Map<String, Object> arguments(Request request) {
    Map<String, Object> arguments = new LinkedHashMap<>();
    arguments.put("arg_0", before(request));
    switch (request) {
      case Request.Loglikelihood asked -> arguments.put("arg_1", asked.continuation());
      case Request.Rolling _ -> {}
      case Request.Generate asked -> {
        Map<String, Object> sampling = new LinkedHashMap<>();
        sampling.put("until", asked.sampling().until());
        sampling.put("do_sample", asked.sampling().temperature() > 0);
        sampling.put("temperature", asked.sampling().temperature());
        sampling.put("max_gen_toks", asked.sampling().maxTokens());
        arguments.put("arg_1", sampling);
      }
    }
    return arguments;
  }

  private static List<Object> all(List<Response> responses) {
    return responses.stream().map(ResultFiles::shown).toList();
  }

  private static Object shown(Response response) {
    return switch (response) {
      case Response.Score score ->
          List.of(PythonText.of(score.logLikelihood()), PythonText.of(score.greedy()));
      case Response.Written written -> written.text();
    };
  }

  private static Object shown(Measured measured) {
    return switch (measured) {
      case Measured.Value value -> number(value.value());
      case Measured.Ratio ratio -> List.of(number(ratio.value()), number(ratio.weight()));
      case Measured.Label label -> List.of(label.gold(), label.predicted());
      case Measured.Distribution of -> List.of(of.gold(), of.probabilities());
      case Measured.Numbers of -> of.values().stream().map(ResultFiles::number).toList();
    };
  }

  private static String json(ObjectWriter writer, Object value) {
    try {
      return writer.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
