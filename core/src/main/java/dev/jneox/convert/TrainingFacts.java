package dev.jneox.convert;

import dev.jneox.format.neox.RunFolder;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Holds a training run's own record, for the model card: {@code training.json} and {@code configs/}
 * of a checkpoint, and {@code metrics.csv} of the run. A card is public, so that settings with
 * paths are left out.
 *
 * @param iterations optimizer steps
 * @param tokens read in training
 * @param loss of the last step, in nats per token
 * @param validationLoss the last one up to this checkpoint, in nats per token
 * @param settings of the recipe, by GPT-NeoX's keys
 * @param data names of the parts of the corpus, without their folders
 */
public record TrainingFacts(
    OptionalLong iterations,
    OptionalLong tokens,
    OptionalDouble loss,
    OptionalDouble validationLoss,
    Map<String, String> settings,
    List<String> data) {
  private static final String STATE = "training.json";
  private static final long MAX_STATE = 1 << 20;
  private static final long MAX_RECIPE = 1 << 20;

  /**
   * Matches a key and its value on a line of YAML, or of the JSON that GPT-NeoX's files mix with
   * it.
   */
  private static final Pattern LINE =
      Pattern.compile("\\s*+[\"']?([A-Za-z0-9_-]++)[\"']?\\s*+:(.*+)");

  /** Matches a comment behind a value; {@code #} within a word begins none. */
  private static final Pattern COMMENT = Pattern.compile("\\s#");

  private static final Set<String> SETTINGS =
      Set.of(
          "type",
          "lr",
          "betas",
          "eps",
          "min_lr",
          "lr_decay_style",
          "warmup",
          "weight_decay",
          "gradient_clipping",
          "train_batch_size",
          "train_micro_batch_size_per_gpu",
          "gradient_accumulation_steps",
          "seq_length",
          "precision",
          "seed",
          "init_method",
          "output_layer_init_method",
          "hidden_dropout",
          "attention_dropout");

  private static final Set<String> DATA = Set.of("data_path", "train_data_paths");

  /** Copies the collections. */
  public TrainingFacts {
    settings = java.util.Collections.unmodifiableMap(new LinkedHashMap<>(settings));
    data = List.copyOf(data);
  }

  /**
   * Reads the record of a run.
   *
   * @param folder a checkpoint, or the folder of a run, whose {@code latest} names one
   * @return empty when the folder has none
   */
  public static Optional<TrainingFacts> read(Path folder) {
    Path checkpoint = RunFolder.is(folder) ? RunFolder.of(folder).newest() : folder;
    Path state = checkpoint.resolve(STATE);
    if (!Files.isRegularFile(state)) {
      return Optional.empty();
    }
    JsonObject json = JsonObject.read(state, MAX_STATE);
    int iterations = json.integer("iteration", 0, 0, Integer.MAX_VALUE);
    Map<String, String> settings = new LinkedHashMap<>();
    Set<String> data = new TreeSet<>();
    for (Path recipe : recipes(checkpoint.resolve("configs"))) {
      recipe(recipe, settings, data);
    }
    OptionalLong tokens =
        json.has("tokens")
            ? OptionalLong.of((long) json.positive("tokens", 1))
            : OptionalLong.empty();
    RunFolder.Losses losses =
        RunFolder.of(Objects.requireNonNull(checkpoint.toAbsolutePath().getParent()))
            .losses(iterations);
    return Optional.of(
        new TrainingFacts(
            OptionalLong.of(iterations),
            tokens,
            losses.training(),
            losses.validation(),
            settings,
            List.copyOf(data)));
  }

  private static List<Path> recipes(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.toString().matches(".+\\.ya?ml") && Files.isRegularFile(file))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw StorageException.of(folder, "cannot be read", e);
    }
  }

  private static void recipe(Path file, Map<String, String> settings, Set<String> data) {
    for (String line : RunFolder.lines(file, MAX_RECIPE)) {
      Matcher entry = LINE.matcher(line);
      if (!entry.matches()) {
        continue;
      }
      String key = entry.group(1).replace('-', '_');
      String value = COMMENT.split(entry.group(2), 2)[0].strip();
      value = value.endsWith(",") ? value.substring(0, value.length() - 1).stripTrailing() : value;
      if (DATA.contains(key)) {
        parts(value).forEach(data::add);
      } else if (SETTINGS.contains(key) && value.matches("[\"'\\[]?[A-Za-z0-9.+_, -]+[\"'\\]]?")) {
        settings.put(
            key.equals("type") ? "optimizer" : key, value.replaceAll("[\"'\\[\\]]", "").strip());
      }
    }
  }

  /** Returns the last name of each path in a value or list. */
  private static List<String> parts(String value) {
    List<String> names = new ArrayList<>();
    for (String path : value.replaceAll("[\\[\\]\"']", "").split(",")) {
      String name = path.strip().replaceFirst(".*[/\\\\]", "");
      if (!name.isEmpty()) {
        names.add(name);
      }
    }
    return names;
  }
}
