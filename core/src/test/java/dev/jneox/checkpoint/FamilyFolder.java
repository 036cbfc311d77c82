package dev.jneox.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.checkpoint.SafetensorsWriter.Declared;
import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A tiny folder of any family, to be changed in its configuration and its tensors before it is
 * written, zeros for weights.
 */
final class FamilyFolder {
  static final ObjectMapper JSON = new ObjectMapper();
  static final List<String> TYPES = List.of("gpt_neox", "gptj", "gpt2", "gpt_neo", "jneox");

  final ModelConfig model;
  final ObjectNode config;
  final Map<String, Declared> tensors = new LinkedHashMap<>();
  private final Path dir;

  FamilyFolder(Path dir, String type) {
    this.dir = dir;
    model = tiny(type);
    Family family = Family.of(model);
    config = JSON.valueToTree(family.json(model, "float32"));
    for (ModelConfig.TensorSpec spec : model.tensors()) {
      Family.Stored stored = family.stored(spec.name());
      List<long[]> shapes = stored.layout().shapes(spec.shape());
      for (int i = 0; i < shapes.size(); i++) {
        put(family.prefixed(stored.names().get(i)), Dtype.F32, shapes.get(i));
      }
    }
  }

  /** Two layers of width 16 in two heads. */
  static ModelConfig tiny(String type) {
    boolean rotary = type.startsWith("gpt_neox") || type.equals("gptj");
    boolean j = type.equals("gptj");
    boolean neo = type.equals("gpt_neo");
    Position position = rotary ? new Position.Rotary(4, 10000, j) : new Position.Learned();
    Residual residual =
        j ? Residual.PARALLEL_ONE_NORM : rotary ? Residual.PARALLEL : Residual.SERIAL;
    List<Integer> windows = neo || type.equals("jneox") ? List.of(0, 3) : List.of(0, 0);
    return new ModelConfig(
        12,
        12,
        16,
        2,
        2,
        24,
        8,
        position,
        residual,
        Activation.GELU_TANH,
        1e-5,
        windows,
        !neo,
        !j && !neo,
        !j,
        j,
        !rotary,
        0);
  }

  FamilyFolder put(String name, Dtype dtype, long... shape) {
    tensors.put(name, new Declared(name, dtype, Arrays.stream(shape).boxed().toList()));
    return this;
  }

  /** Changes the configuration by JSON with single quotes; a null stays a null. */
  FamilyFolder with(String changes) throws IOException {
    JsonNode extra = JSON.readTree(changes.replace('\'', '"'));
    extra.properties().forEach(e -> config.set(e.getKey(), e.getValue()));
    return this;
  }

  FamilyFolder without(String... keys) {
    config.remove(List.of(keys));
    return this;
  }

  /** The other spelling of some keys. */
  FamilyFolder renamed(Map<String, String> keys) {
    keys.forEach((from, to) -> config.set(to, config.remove(from)));
    return this;
  }

  Path write() {
    writeConfig();
    return writeWeights();
  }

  Path writeConfig() {
    try {
      Files.write(dir.resolve("config.json"), JSON.writeValueAsBytes(config));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return dir;
  }

  Path writeWeights() {
    // Wider types first, so that each tensor is aligned.
    List<Declared> declared = new ArrayList<>(tensors.values());
    declared.sort((a, b) -> b.dtype().bits() - a.dtype().bits());
    try (SafetensorsWriter writer =
        new SafetensorsWriter(
            dir.resolve("model.safetensors"), declared, SafetensorsWriter.PYTORCH)) {
      declared.forEach(
          d -> writer.write(d.name(), MemorySegment.ofArray(new byte[(int) d.bytes()])));
      writer.commit();
    }
    return dir;
  }
}
