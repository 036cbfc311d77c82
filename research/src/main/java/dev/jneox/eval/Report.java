package dev.jneox.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.HtmlPage;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Writes results as a page that needs no other file and no network: tables, learning curves of runs
 * with several checkpoints, a comparison of two models, and what was asked and answered.
 */
public final class Report {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Documents of a task that the page has, and of all tasks together. */
  private static final int MOST_EXAMPLES = 500;

  private static final int MOST_OF_ALL = 10_000;
  private static final int FEWEST_EXAMPLES = 20;

  /** Characters of a text that the page has. */
  private static final int LONGEST_TEXT = 3000;

  private Report() {}

  /**
   * Writes the page of models.
   *
   * @param models by run and step
   * @param shown one or two of them, whose answers the page has; two are compared
   * @throws dev.jneox.io.InputException if what was answered cannot be read
   * @throws dev.jneox.io.StorageException if the page cannot be written
   */
  public static void write(Path file, List<SavedResults> models, List<SavedResults> shown) {
    HtmlPage page = new HtmlPage("Evaluation", resource("report.css"));
    List<ModelScores> scores = models.stream().map(SavedResults::scores).toList();
    scores(page, scores);
    curves(page, scores);
    if (shown.size() == 2) {
      try {
        comparison(page, Comparison.of(shown.getFirst(), shown.getLast()));
      } catch (InputException e) { // results that an older run left in the folders
        page.heading("Comparison");
        page.paragraph(String.valueOf(e.getMessage()));
      }
    }
    examples(page, shown);
    AtomicFile.write(file, page.end().getBytes(StandardCharsets.UTF_8));
  }

  private static String resource(String name) {
    try (InputStream in = Report.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException(name + " is not beside the classes");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Groups the numbers of models by task, metric and filter. */
  private static Map<List<String>, Map<ModelName, ModelScores.Entry>> byNumber(
      List<ModelScores> models) {
    Map<List<String>, Map<ModelName, ModelScores.Entry>> numbers = new LinkedHashMap<>();
    for (ModelScores model : models) {
      for (ModelScores.Entry entry : model.entries()) {
        Score score = entry.score();
        numbers
            .computeIfAbsent(
                List.of(entry.alias(), score.metric(), score.filter()), _ -> new LinkedHashMap<>())
            .put(model.model(), entry);
      }
    }
    return numbers;
  }

  private static void scores(HtmlPage page, List<ModelScores> models) {
    page.heading("Scores");
    page.paragraph("↑: higher is better, ↓: lower is better; ±: the standard error.");
    List<List<String>> rows = new ArrayList<>();
    byNumber(models)
        .forEach(
            (key, numbers) ->
                numbers.forEach(
                    (model, entry) ->
                        rows.add(
                            List.of(
                                key.getFirst(),
                                metric(entry.score()),
                                model.name(),
                                number(entry.chance()),
                                ResultTable.number(entry.score().value()),
                                number(entry.score().standardError())))));
    page.table(List.of("task", "metric", "model", "chance", "value", "±"), rows, 3, 6);
  }

  /** Names a metric with its filter, if it has one, and says which end of it is better. */
  private static String metric(Score score) {
    return score.metric()
        + (score.filter().equals("none") ? "" : "," + score.filter())
        + (score.higherIsBetter() ? " ↑" : " ↓");
  }

  private static String number(OptionalDouble value) {
    return value.isPresent() ? ResultTable.number(value.getAsDouble()) : "";
  }

  private static void curves(HtmlPage page, List<ModelScores> models) {
    Map<String, Integer> steps = new TreeMap<>();
    models.stream()
        .filter(model -> model.model().step().isPresent())
        .forEach(model -> steps.merge(model.model().run(), 1, Integer::sum));
    List<String> runs =
        steps.entrySet().stream().filter(e -> e.getValue() > 1).map(Map.Entry::getKey).toList();
    if (runs.isEmpty()) {
      return;
    }
    page.heading("Learning curves");
    StringBuilder keys = new StringBuilder("<p>");
    for (int i = 0; i < runs.size(); i++) {
      keys.append("<svg class=\"key\" aria-hidden=\"true\"><rect class=\"s")
          .append(i % CurveChart.COLOURS)
          .append("\" width=\"100%\" height=\"100%\"/></svg>")
          .append(HtmlPage.escaped(runs.get(i)));
    }
    page.html(keys + "</p>\n");
    page.paragraph("Bars are one standard error; a dashed line is the level of chance.");
    page.html("<div class=\"charts\">\n");
    byNumber(models)
        .forEach(
            (key, numbers) -> {
              List<CurveChart.Series> series = new ArrayList<>();
              OptionalDouble chance = OptionalDouble.empty();
              for (String run : runs) {
                TreeMap<Long, CurveChart.Point> points = new TreeMap<>();
                for (Map.Entry<ModelName, ModelScores.Entry> each : numbers.entrySet()) {
                  Score score = each.getValue().score();
                  if (each.getKey().run().equals(run)
                      && each.getKey().step().isPresent()
                      && Double.isFinite(score.value())) {
                    long step = each.getKey().step().getAsLong();
                    points.put(
                        step, new CurveChart.Point(step, score.value(), score.standardError()));
                    chance = each.getValue().chance();
                  }
                }
                series.add(new CurveChart.Series(run, List.copyOf(points.values())));
              }
              if (series.stream().anyMatch(each -> each.points().size() > 1)) {
                String filter = key.getLast().equals("none") ? "" : "," + key.getLast();
                String title = key.getFirst() + " " + key.get(1) + filter;
                page.html("<figure><figcaption>" + HtmlPage.escaped(title) + "</figcaption>\n");
                page.html(new CurveChart(series, chance).svg(title + " over steps"));
                page.html("</figure>\n");
              }
            });
    page.html("</div>\n");
  }

  private static void comparison(HtmlPage page, Comparison comparison) {
    page.heading("Comparison");
    page.paragraph("A: " + comparison.a().name() + "; B: " + comparison.b().name() + ".");
    page.paragraph(
        comparison.method().replaceAll("\\R", " ")
            + " Only A, only B: documents that this model alone has right.");
    List<List<String>> rows = new ArrayList<>();
    for (Comparison.Row row : comparison.rows()) {
      boolean counted = row.test() == Comparison.Test.MCNEMAR;
      rows.add(
          List.of(
              row.alias(),
              row.metric()
                  + (row.filter().equals("none") ? "" : "," + row.filter())
                  + (row.higherIsBetter() ? " ↑" : " ↓"),
              String.valueOf(row.documents()),
              ResultTable.number(row.a()),
              ResultTable.number(row.b()),
              String.format(Locale.ROOT, "%+.4f", row.difference()),
              number(row.standardError()),
              counted ? String.valueOf(row.onlyA()) : "",
              counted ? String.valueOf(row.onlyB()) : "",
              Comparison.probability(row.p())));
    }
    page.table(
        List.of("task", "metric", "n", "A", "B", "B-A", "±", "only A", "only B", "p"), rows, 2, 10);
  }

  private static void examples(HtmlPage page, List<SavedResults> shown) {
    ObjectNode all = JSON.createObjectNode();
    ArrayNode names = all.putArray("models");
    shown.forEach(each -> names.add(each.model().name()));
    ArrayNode tasks = all.putArray("tasks");
    Map<String, Path> files = new LinkedHashMap<>();
    shown.forEach(each -> each.samples().forEach(files::putIfAbsent));
    if (files.isEmpty()) {
      return;
    }
    int most = Math.clamp(MOST_OF_ALL / files.size(), FEWEST_EXAMPLES, MOST_EXAMPLES);
    files.keySet().forEach(task -> tasks.add(task(task, shown, most)));
    page.heading("Documents");
    page.html(
        """
        <noscript><p>This part needs JavaScript.</p></noscript>
        <div class="controls">
        <label>Task <select id="task"></select></label>
        <label>Show <select id="filter"></select></label>
        </div>
        <p id="count" aria-live="polite"></p>
        <div id="list"></div>
        <script type="application/json" id="examples">
        """);
    try { // an end tag in a text would end the script
      page.html(JSON.writeValueAsString(all).replace("<", "\\u003c"));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
    page.html("</script>\n<script>\n" + resource("report.js") + "</script>\n");
  }

  /** Holds the documents of a task while they are read. */
  private static final class Reading {
    final Map<Long, ObjectNode> documents = new TreeMap<>();
    @Nullable String metric;
    @Nullable String filter;
    int all;
  }

  private static ObjectNode task(String name, List<SavedResults> shown, int most) {
    Reading reading = new Reading();
    for (int i = 0; i < shown.size(); i++) {
      Path file = shown.get(i).samples().get(name);
      if (file == null) {
        continue;
      }
      int place = i;
      int[] read = {0};
      SavedResults.samples(
          file,
          line -> {
            if (reading.metric == null) {
              reading.metric = metric(line);
              reading.filter = line.path("filter").asText("");
            }
            if (!line.path("filter").asText("").equals(reading.filter)) {
              return; // the same answers, read in another way
            }
            long number = line.path("doc_id").asLong();
            if (reading.documents.containsKey(number) || read[0] < most) {
              reading
                  .documents
                  .computeIfAbsent(number, _ -> document(line, shown))
                  .withArray("answers")
                  .set(place, answer(line, reading.metric));
            }
            read[0]++;
          });
      reading.all = Math.max(reading.all, read[0]);
    }
    ObjectNode task = JSON.createObjectNode().put("task", name).put("metric", reading.metric);
    task.put("all", reading.all);
    ArrayNode examples = task.putArray("examples");
    reading.documents.values().forEach(examples::add);
    return task;
  }

  /** Returns the first metric that is 1 or 0 for a document, else the first one. */
  private static String metric(JsonNode line) {
    String first = "";
    for (JsonNode each : line.path("metrics")) {
      String name = each.asText("");
      double value = line.path(name).asDouble(-1);
      if (line.path(name).isNumber() && (value == 0 || value == 1)) {
        return name;
      }
      first = first.isEmpty() ? name : first;
    }
    return first;
  }

  private static ObjectNode document(JsonNode line, List<SavedResults> shown) {
    ObjectNode document = JSON.createObjectNode();
    document.put("number", line.path("doc_id").asLong());
    List<String> contexts = new ArrayList<>();
    List<String> endings = new ArrayList<>();
    for (Map.Entry<String, JsonNode> each : line.path("arguments").properties()) {
      contexts.add(each.getValue().path("arg_0").asText(""));
      JsonNode second = each.getValue().path("arg_1");
      endings.add(second.isTextual() ? second.textValue() : "");
    }
    // The choices are endings of one context, or contexts of one ending.
    boolean several = contexts.stream().distinct().count() > 1;
    document.put("prompt", several ? "" : shortened(contexts.isEmpty() ? "" : contexts.getFirst()));
    ArrayNode choices = document.putArray("choices");
    if (endings.stream().anyMatch(text -> !text.isEmpty())) {
      for (int i = 0; i < endings.size(); i++) {
        choices.add(shortened(several ? contexts.get(i) + " |" + endings.get(i) : endings.get(i)));
      }
    }
    document.put("target", shortened(line.path("target").asText("")));
    ArrayNode answers = document.putArray("answers");
    shown.forEach(_ -> answers.addNull());
    return document;
  }

  private static ObjectNode answer(JsonNode line, String metric) {
    ObjectNode answer = JSON.createObjectNode();
    answer.set("value", line.path(metric));
    ArrayNode responses = answer.putArray("responses");
    List<Double> scores = new ArrayList<>();
    for (JsonNode each : line.path("filtered_resps")) {
      JsonNode value = each.isArray() && each.path(0).isArray() ? each.get(0) : each;
      if (value.isArray() && value.size() == 2) {
        String text = value.get(0).asText("").replace("inf", "Infinity").replace("nan", "NaN");
        double score = Double.parseDouble(text);
        scores.add(score);
        responses.add(String.format(Locale.ROOT, "%.4f", score));
      } else {
        responses.add(shortened(value.isArray() ? value.path(0).asText("") : value.asText("")));
      }
    }
    if (!scores.isEmpty() && scores.stream().allMatch(Double::isFinite)) {
      ArrayNode numbers = answer.putArray("scores");
      scores.forEach(numbers::add);
    }
    return answer;
  }

  /** Keeps the end of a long text, which has the question behind the examples. */
  private static String shortened(String text) {
    return text.length() <= LONGEST_TEXT
        ? text
        : "..." + text.substring(text.length() - LONGEST_TEXT);
  }
}
