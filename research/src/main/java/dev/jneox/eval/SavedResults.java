package dev.jneox.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Reads the results of a model from its folder: of each task the newest. What lm-evaluation-harness
 * wrote is read too.
 */
public final class SavedResults {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int LARGEST = 256 << 20;
  private static final String RESULTS = "results_";
  private static final String ENDING = ".json";

  private final Path folder;
  private final ModelName model;
  private final Map<String, List<ModelScores.Entry>> entries = new LinkedHashMap<>();
  private final Map<String, Path> samples = new LinkedHashMap<>();

  private SavedResults(Path folder, ModelName model) {
    this.folder = folder;
    this.model = model;
  }

  /**
   * Reads the results of a model.
   *
   * @param folder with {@code results_DATE.json}, or with one folder of that kind
   * @throws InputException if there are none, or of several models, or they cannot be read
   */
  public static SavedResults read(Path folder) {
    List<Path> files = files(folder);
    if (!files.isEmpty()) {
      return read(folder, files);
    }
    List<SavedResults> below = Files.isDirectory(folder) ? below(folder) : List.of();
    if (below.size() == 1) {
      return below.getFirst();
    }
    throw new InputException(
        folder
            + ": expected a folder with the results of a model, results_DATE.json, found "
            + (below.isEmpty()
                ? Files.isDirectory(folder) ? "none" : "no such folder"
                : below.size()
                    + " models: give the folder of one, such as "
                    + below.getFirst().folder));
  }

  /** Reads the results of all models in the folders of a folder, by run and step. */
  public static List<SavedResults> below(Path folder) {
    List<SavedResults> all = new ArrayList<>();
    for (Path each : list(folder)) {
      List<Path> files = Files.isDirectory(each) ? files(each) : List.of();
      if (!files.isEmpty()) {
        all.add(read(each, files));
      }
    }
    all.sort(
        java.util.Comparator.comparing((SavedResults each) -> each.model.run())
            .thenComparingLong(each -> each.model.step().orElse(Long.MAX_VALUE))
            .thenComparing(each -> each.model.name()));
    return all;
  }

  private static List<Path> files(Path folder) {
    return Files.isDirectory(folder)
        ? list(folder).stream()
            .filter(file -> file.getFileName().toString().startsWith(RESULTS))
            .filter(file -> file.getFileName().toString().endsWith(ENDING))
            .toList()
        : List.of();
  }

  private static List<Path> list(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    } catch (IOException e) {
      throw new InputException(folder + ": cannot be read: " + AtomicFile.reason(e), e);
    }
  }

  private static SavedResults read(Path folder, List<Path> files) {
    List<JsonNode> reports = files.stream().map(SavedResults::report).toList(); // by date
    String own = String.valueOf(folder.getFileName());
    String name = reports.getLast().path("model_name").asText(own);
    SavedResults results = new SavedResults(folder, ModelName.of(name));
    for (int i = 0; i < files.size(); i++) {
      results.add(files.get(i), reports.get(i));
    }
    return results;
  }

  private static JsonNode report(Path file) {
    try {
      JsonNode report = JSON.readTree(InputFile.text(file, LARGEST));
      if (!report.path("results").isObject()) {
        throw InputException.in(file, "results", "the numbers of tasks", "none");
      }
      return report;
    } catch (JsonProcessingException e) {
      throw new InputException(
          file + ": expected the results of an evaluation: " + JsonObject.problem(e), e);
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read: " + AtomicFile.reason(e), e);
    }
  }

  private void add(Path file, JsonNode report) {
    String name = file.getFileName().toString();
    String date = name.substring(RESULTS.length(), name.length() - ENDING.length());
    for (Map.Entry<String, JsonNode> each : report.get("results").properties()) {
      String task = each.getKey();
      JsonNode chance = report.path("chance").path(task);
      List<ModelScores.Entry> scores = new ArrayList<>();
      for (Map.Entry<String, JsonNode> number : each.getValue().properties()) {
        String[] key = number.getKey().split(",", 2);
        if (key.length == 2 && !key[0].endsWith("_stderr")) {
          JsonNode error = each.getValue().path(key[0] + "_stderr," + key[1]);
          Score score =
              new Score(
                  key[0],
                  key[1],
                  value(number.getValue()),
                  error.isNumber()
                      ? OptionalDouble.of(error.doubleValue())
                      : OptionalDouble.empty(),
                  report.path("higher_is_better").path(task).path(key[0]).asBoolean(true));
          scores.add(
              new ModelScores.Entry(
                  task,
                  each.getValue().path("alias").asText(task).strip().replaceFirst("^- ", ""),
                  score,
                  chance.isNumber() && ModelScores.isChoice(score)
                      ? OptionalDouble.of(chance.doubleValue())
                      : OptionalDouble.empty()));
        }
      }
      entries.put(task, scores);
      Path of = folder.resolve(ResultFiles.samplesName(task, date));
      if (Files.isRegularFile(of)) {
        samples.put(task, of);
      }
    }
  }

  private static double value(JsonNode number) {
    if (number.isNumber()) {
      return number.doubleValue();
    }
    return switch (number.asText("")) {
      case "Infinity" -> Double.POSITIVE_INFINITY;
      case "-Infinity" -> Double.NEGATIVE_INFINITY;
      default -> Double.NaN;
    };
  }

  /** Returns the folder that they were read from. */
  public Path folder() {
    return folder;
  }

  /** Returns the model that they are of. */
  public ModelName model() {
    return model;
  }

  /** Returns the numbers. */
  public ModelScores scores() {
    return new ModelScores(model, entries.values().stream().flatMap(List::stream).toList());
  }

  /** Returns the files of what was asked and answered, by task. */
  Map<String, Path> samples() {
    return samples;
  }

  /**
   * Reads what was asked and answered in a task, a document after the other.
   *
   * @throws InputException if the file is damaged
   */
  static void samples(Path file, Consumer<JsonNode> into) {
    int number = 0;
    try (BufferedReader reader = Files.newBufferedReader(file)) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        number++;
        if (!line.isBlank()) {
          into.accept(JSON.readTree(line));
        }
      }
    } catch (JsonProcessingException e) {
      throw new InputException(
          file + ": line " + number + ": expected an object of JSON: " + JsonObject.problem(e), e);
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read: " + AtomicFile.reason(e), e);
    }
  }
}
