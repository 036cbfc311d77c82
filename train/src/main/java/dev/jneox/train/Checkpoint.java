package dev.jneox.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.HfFolder;
import dev.jneox.checkpoint.RunFolder;
import dev.jneox.checkpoint.Safetensors;
import dev.jneox.checkpoint.SafetensorsWriter;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;

/**
 * A run on disk, in GPT-NeoX's layout of folders: {@code SAVE/global_stepN/} and the text file {@code SAVE/latest} that names the
 * newest whole one. A checkpoint is an HF folder of the fp32 weights, which every command that takes a model can read, with
 * {@code optimizer.safetensors} (both moments by parameter), {@code training.json} (the state below) and {@code configs/} (the
 * recipe, verbatim) beside it. The folder is written under another name and renamed when it is whole, then {@code latest} is replaced: a kill
 * at any moment leaves the checkpoint before.
 */
final class Checkpoint {
  private static final String MOMENTS = "optimizer.safetensors";
  private static final String STATE = "training.json";
  private static final ObjectMapper JSON = new ObjectMapper()
      .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
      .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES);

  /**
   * What besides weights and moments decides how the run goes on.
   *
   * @param iteration optimizer steps asked for so far, skipped ones included: also the place in the data
   * @param updates optimizer steps made
   * @param scaler the loss scale's rules
   * @param tokens read so far
   */
  record State(int iteration, long updates, LossScaler.State scaler, long tokens) {}

  private Checkpoint() {}

  /** Saves and returns the folder. */
  static Path save(
      Path save, State state, ModelConfig model, Parameters parameters, Path tokenizer, Map<String, String> configs, OptionalInt keep) {
    Path folder = save.resolve(RunFolder.name(state.iteration));
    Path partial = save.resolve(RunFolder.name(state.iteration) + ".partial");
    try {
      delete(partial);
      Files.createDirectories(partial);
      HfFolder.write(partial, model, parameters.weightViews(), Dtype.F32, tokenizer);
      writeMoments(partial.resolve(MOMENTS), parameters);
      for (Map.Entry<String, String> config : configs.entrySet()) {
        AtomicFile.write(partial.resolve("configs").resolve(config.getKey()), config.getValue().getBytes(StandardCharsets.UTF_8));
      }
      AtomicFile.write(partial.resolve(STATE), JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(state));
      replace(folder, partial);
      AtomicFile.write(save.resolve(RunFolder.LATEST), folder.getFileName().toString().getBytes(StandardCharsets.UTF_8));
      if (keep.isPresent()) {
        prune(save, Math.max(1, keep.getAsInt()));
      }
    } catch (IOException e) {
      throw new InputException(folder + ": cannot be written: " + AtomicFile.reason(e), e);
    } finally {
      try {
        delete(partial);
      } catch (IOException e) {
        // What is left of it is in no one's way: the next save removes it.
      }
    }
    return folder;
  }

  /** Moves {@code whole} to {@code folder}; what was there keeps a name that {@link #latest} finds until then. */
  private static void replace(Path folder, Path whole) throws IOException {
    Path replaced = replaced(folder);
    if (Files.exists(folder)) {
      delete(replaced);
      Files.move(folder, replaced, StandardCopyOption.ATOMIC_MOVE);
    }
    Files.move(whole, folder, StandardCopyOption.ATOMIC_MOVE);
    delete(replaced);
  }

  private static Path replaced(Path folder) {
    return folder.resolveSibling(folder.getFileName() + AtomicFolder.REPLACED);
  }

  private static void writeMoments(Path file, Parameters parameters) {
    List<SafetensorsWriter.Declared> declared = new ArrayList<>();
    for (String moment : List.of("exp_avg.", "exp_avg_sq.")) {
      for (Parameters.Slot slot : parameters.slots()) {
        declared.add(new SafetensorsWriter.Declared(moment + slot.name(), Dtype.F32, java.util.Arrays.stream(slot.shape()).boxed().toList()));
      }
    }
    try (SafetensorsWriter writer = new SafetensorsWriter(file, declared, SafetensorsWriter.PYTORCH)) {
      for (MemorySegment flat : List.of(parameters.firstMoments(), parameters.secondMoments())) {
        for (Parameters.Slot slot : parameters.slots()) {
          String moment = flat == parameters.firstMoments() ? "exp_avg." : "exp_avg_sq.";
          writer.write(moment + slot.name(), flat.asSlice(slot.offset() * 4, slot.size() * 4));
        }
      }
      writer.commit();
    }
  }

  /** Removes all but the newest {@code keep} checkpoints. */
  private static void prune(Path save, int keep) throws IOException {
    List<Path> found = RunFolder.of(save).checkpoints();
    for (Path old : found.subList(0, Math.max(0, found.size() - keep))) {
      delete(old);
    }
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> walk = Files.walk(folder)) {
      for (Path p : walk.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(p);
      }
    }
  }

  /** The newest whole checkpoint of {@code load}, or null when there is none yet. */
  static Path latest(Path load) {
    return Files.exists(load.resolve(RunFolder.LATEST)) ? RunFolder.of(load).newest() : null;
  }

  /** Reads the weights into {@code parameters}; the model in {@code folder} must have the shape of {@code model}. */
  static void loadWeights(Path folder, ModelConfig model, Parameters parameters) {
    try (HfFolder hf = HfFolder.open(folder)) {
      ModelConfig found = hf.config();
      requireSame(folder, "vocab_size", model.vocabSize(), found.vocabSize());
      requireSame(folder, "hidden_size", model.hiddenSize(), found.hiddenSize());
      requireSame(folder, "num_layers", model.layers(), found.layers());
      requireSame(folder, "num_attention_heads", model.heads(), found.heads());
      requireSame(folder, "intermediate_size", model.intermediateSize(), found.intermediateSize());
      requireSame(folder, "position", model.position(), found.position());
      if (model.position() instanceof Position.Learned) {
        requireSame(folder, "max_position_embeddings", model.maxPositions(), found.maxPositions());
      }
      requireSame(folder, "residual", model.residual(), found.residual());
      requireSame(folder, "activation", model.activation(), found.activation());
      requireSame(folder, "attention windows", model.windows(), found.windows());
      requireSame(folder, "scaled attention", model.scaledAttention(), found.scaledAttention());
      requireSame(folder, "biases of query, key and value", model.qkvBias(), found.qkvBias());
      requireSame(folder, "bias of the attention's output", model.denseBias(), found.denseBias());
      requireSame(folder, "bias of the head", model.headBias(), found.headBias());
      requireSame(folder, "tied head", model.tiedHead(), found.tiedHead());
      for (Parameters.Slot slot : parameters.slots()) {
        try (Tensor target = parameters.weight(slot.name());
            Tensor stored = hf.tensor(slot.name())) {
          target.copy_(stored);
        }
      }
    }
    parameters.refresh();
  }

  private static void requireSame(Path folder, String what, Object configured, Object found) {
    if (!configured.equals(found)) {
      throw InputException.in(folder, what, configured + " as the configuration says", "" + found);
    }
  }

  /** Reads the moments into {@code parameters} and returns the state. */
  static State loadTraining(Path folder, Parameters parameters) {
    Map<String, MemorySegment> flats = new HashMap<>();
    flats.put("exp_avg.", parameters.firstMoments());
    flats.put("exp_avg_sq.", parameters.secondMoments());
    Path file = folder.resolve(MOMENTS);
    try (Safetensors moments = Safetensors.open(file)) {
      flats.forEach((prefix, flat) -> {
        for (Parameters.Slot slot : parameters.slots()) {
          String name = prefix + slot.name();
          if (!moments.contains(name)) {
            throw InputException.in(file, name, "a tensor", "none");
          }
          MemorySegment data = moments.data(name);
          if (data.byteSize() != slot.size() * 4) {
            throw InputException.in(file, name, slot.size() * 4 + " bytes", data.byteSize() + "");
          }
          MemorySegment.copy(data, 0, flat, slot.offset() * 4, slot.size() * 4);
        }
      });
    }
    Path state = folder.resolve(STATE);
    try {
      return JSON.readValue(Files.readAllBytes(state), State.class);
    } catch (JsonProcessingException e) {
      throw new InputException(state + ": not the state of a run: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new InputException(state + ": cannot be read: " + AtomicFile.reason(e), e);
    }
  }
}
