package dev.jneox.format.hf;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.format.safetensors.SafetensorsWriter;
import dev.jneox.format.safetensors.SafetensorsWriter.Declared;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.TensorExpression;
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
public final class FamilyFolder {
  static final ObjectMapper JSON = new ObjectMapper();
  static final List<String> TYPES =
      List.of("gpt_neox", "gptj", "gpt2", "gpt_neo", "llama", "jneox");

  final ModelSpec model;
  final ObjectNode config;
  final Map<String, Declared> tensors = new LinkedHashMap<>();
  private final Path dir;

  FamilyFolder(Path dir, String type) {
    this.dir = dir;
    model = tiny(type);
    Family family = Family.of(model);
    config = JSON.valueToTree(family.json(model, "float32"));
    for (TensorExpression tensor : family.tensors(model)) {
      put(family.prefixed(tensor.name()), Dtype.F32, tensor.shape());
    }
  }

  /** Two layers of width 16 in two heads; of Llama four heads of 6 that share two keys. */
  public static ModelSpec tiny(String type) {
    if (type.equals("llama")) {
      Norm rms = new Norm.Rms(1e-5);
      return ModelSpec.of(
          Vocabulary.of(12, 0),
          16,
          new Embedding(false),
          2,
          new BlockSpec(
              new Residual.Serial(rms, rms),
              Attention.of(4, 6, new Position.Rotary(6, 10000, false))
                  .withKvHeads(2)
                  .withBiases(false, false),
              new FeedForward.Gated(24, Activation.SILU, false)),
          new Head(false, false),
          8);
    }
    boolean rotary = type.startsWith("gpt_neox") || type.equals("gptj");
    boolean j = type.equals("gptj");
    boolean neo = type.equals("gpt_neo");
    Norm norm = new Norm.Layer(1e-5);
    Position position = rotary ? new Position.Rotary(4, 10000, j) : new Position.None();
    Residual residual =
        j
            ? new Residual.ParallelOneNorm(norm)
            : rotary ? new Residual.Parallel(norm, norm) : new Residual.Serial(norm, norm);
    Attention attention = Attention.of(2, 8, position).withBiases(!j && !neo, !j);
    return ModelSpec.of(
            Vocabulary.of(12, 0),
            16,
            new Embedding(!rotary),
            2,
            new BlockSpec(
                residual,
                neo ? attention.withScale(1) : attention,
                new FeedForward.Plain(24, Activation.GELU_TANH, true)),
            new Head(!rotary, j),
            8)
        .withWindows(neo || type.equals("jneox") ? List.of(0, 3) : List.of(0, 0));
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
