package dev.jneox.format.hf;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.JsonObject;
import dev.jneox.model.SamplingDefaults;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * Reads and builds the {@code generation_config.json} of a folder: the ids that end a generated
 * text, and how the authors want tokens drawn. As in HF transformers, its {@code eos_token_id}
 * stands for that of {@code config.json}.
 */
public final class GenerationConfig {
  /** The name of the file. */
  public static final String FILE = "generation_config.json";

  private static final long MAX_JSON = 16 << 20;

  private GenerationConfig() {}

  private static Optional<JsonObject> json(Path dir) {
    return Optional.of(dir.resolve(FILE))
        .filter(Files::exists)
        .map(file -> JsonObject.read(file, MAX_JSON));
  }

  /** Returns the ids that end a text; empty where the file is missing or names none. */
  public static List<Integer> ends(Path dir) {
    return json(dir).map(Family::ends).orElse(List.of());
  }

  /**
   * Reads how tokens are to be drawn. Without {@code do_sample} the likeliest one is taken, and
   * only the penalty of repetitions counts.
   */
  public static SamplingDefaults sampling(Path dir) {
    JsonObject json = json(dir).orElse(null);
    if (json == null) {
      return SamplingDefaults.NONE;
    }
    OptionalDouble penalty = number(json, "repetition_penalty", Double.MAX_VALUE);
    if (!json.has("do_sample") || !json.flag("do_sample", false)) {
      return new SamplingDefaults(
          OptionalDouble.empty(), OptionalInt.empty(), OptionalDouble.empty(), penalty);
    }
    return new SamplingDefaults(
        json.has("temperature")
            ? number(json, "temperature", Double.MAX_VALUE)
            : OptionalDouble.of(1),
        json.has("top_k")
            ? OptionalInt.of(Math.max(0, json.integer("top_k", 0, -1, Integer.MAX_VALUE)))
            : OptionalInt.empty(),
        number(json, "top_p", 1),
        penalty);
  }

  private static OptionalDouble number(JsonObject json, String key, double most) {
    if (!json.has(key)) {
      return OptionalDouble.empty();
    }
    JsonNode value = json.node(key).orElseThrow();
    double number = value.doubleValue();
    if (!value.isNumber() || !(number >= 0) || number > most) {
      throw json.unsupported(key, most == 1 ? "a number from 0 to 1" : "a number from 0");
    }
    return OptionalDouble.of(number);
  }

  /** Builds the keys of the ids that end a text, and of the defaults. */
  public static Map<String, Object> json(List<Integer> ends, SamplingDefaults sampling) {
    Map<String, Object> json = new LinkedHashMap<>();
    if (!ends.isEmpty()) {
      json.put("eos_token_id", ends.size() > 1 ? ends : ends.getFirst());
    }
    json.putAll(json(sampling));
    return json;
  }

  /** Builds the keys of the defaults; none where nothing is said. */
  public static Map<String, Object> json(SamplingDefaults sampling) {
    Map<String, Object> json = new LinkedHashMap<>();
    sampling.temperature().ifPresent(t -> json.put("do_sample", true));
    sampling.temperature().ifPresent(t -> json.put("temperature", t));
    sampling.topK().ifPresent(k -> json.put("top_k", k));
    sampling.topP().ifPresent(p -> json.put("top_p", p));
    sampling.repetitionPenalty().ifPresent(p -> json.put("repetition_penalty", p));
    return json;
  }
}
