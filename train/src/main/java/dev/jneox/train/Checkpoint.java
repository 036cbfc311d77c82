package dev.jneox.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.HfFolder;
import dev.jneox.checkpoint.HfFolderWriter;
import dev.jneox.checkpoint.Safetensors;
import dev.jneox.checkpoint.SafetensorsWriter;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Writes and reads the state of a run in one folder. It is an HF folder of the fp32 weights, which
 * every command that takes a model can read, with {@code optimizer.safetensors} (both moments by
 * parameter), {@code training.json} (the state below) and {@code configs/} (the recipe, verbatim)
 * beside it. {@link RunDirectory} decides where the folder is and sees to it that it appears whole.
 */
final class Checkpoint {
  private static final String MOMENTS = "optimizer.safetensors";
  private static final String STATE = "training.json";
  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES);

  /**
   * What besides weights and moments decides how the run goes on.
   *
   * @param iteration optimizer steps asked for so far, skipped ones included: also the place in the
   *     data
   * @param updates optimizer steps made
   * @param scaler the loss scale's rules
   * @param tokens read so far
   */
  record State(int iteration, long updates, LossScaler.State scaler, long tokens) {}

  private Checkpoint() {}

  /**
   * Fills an empty folder.
   *
   * @param tokenizer goes along, or null
   * @param configs texts of the recipe by the names of their files
   */
  static void write(
      Path folder,
      State state,
      ModelConfig model,
      Parameters parameters,
      TokenizerFile tokenizer,
      Map<String, String> configs) {
    HfFolderWriter weights = new HfFolderWriter(folder, model, Dtype.F32);
    if (tokenizer != null) {
      weights.tokenizer(tokenizer.json(), tokenizer.path());
    }
    weights.write(parameters.weightViews());
    writeMoments(folder.resolve(MOMENTS), parameters);
    configs.forEach(
        (name, text) ->
            AtomicFile.write(
                folder.resolve("configs").resolve(name), text.getBytes(StandardCharsets.UTF_8)));
    try {
      AtomicFile.write(
          folder.resolve(STATE), JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(state));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e); // a record of numbers
    }
  }

  /** Bytes that {@link #write} needs, within a few kilobytes: weights and two moments. */
  static long bytes(ModelConfig model) {
    return 3 * Float.BYTES * model.parameters();
  }

  private static void writeMoments(Path file, Parameters parameters) {
    List<SafetensorsWriter.Declared> declared = new ArrayList<>();
    for (String moment : List.of("exp_avg.", "exp_avg_sq.")) {
      for (Parameters.Slot slot : parameters.slots()) {
        declared.add(
            new SafetensorsWriter.Declared(
                moment + slot.name(), Dtype.F32, Arrays.stream(slot.shape()).boxed().toList()));
      }
    }
    try (SafetensorsWriter writer =
        new SafetensorsWriter(file, declared, SafetensorsWriter.PYTORCH)) {
      for (MemorySegment flat : List.of(parameters.firstMoments(), parameters.secondMoments())) {
        for (Parameters.Slot slot : parameters.slots()) {
          String moment = flat.equals(parameters.firstMoments()) ? "exp_avg." : "exp_avg_sq.";
          writer.write(moment + slot.name(), flat.asSlice(slot.offset() * 4, slot.size() * 4));
        }
      }
      writer.commit();
    }
  }

  /**
   * Reads the weights into {@code parameters}; the model in {@code folder} must have the shape of
   * {@code model}.
   */
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
      throw InputException.in(
          folder,
          what,
          configured + " as the configuration and the tokenizer say",
          found + ": set save and load to another folder to train another model");
    }
  }

  /** Reads the moments into {@code parameters} and returns the state. */
  static State loadTraining(Path folder, Parameters parameters) {
    Map<String, MemorySegment> flats = new HashMap<>();
    flats.put("exp_avg.", parameters.firstMoments());
    flats.put("exp_avg_sq.", parameters.secondMoments());
    Path file = folder.resolve(MOMENTS);
    try (Safetensors moments = Safetensors.open(file)) {
      flats.forEach(
          (prefix, flat) -> {
            for (Parameters.Slot slot : parameters.slots()) {
              String name = prefix + slot.name();
              if (!moments.contains(name)) {
                throw InputException.in(file, name, "a tensor", "none");
              }
              MemorySegment data = moments.data(name);
              if (data.byteSize() != slot.size() * 4) {
                throw InputException.in(
                    file, name, slot.size() * 4 + " bytes", data.byteSize() + "");
              }
              MemorySegment.copy(data, 0, flat, slot.offset() * 4, slot.size() * 4);
            }
          });
    }
    Path state = folder.resolve(STATE);
    try {
      State found = JSON.readValue(Files.readAllBytes(state), State.class);
      if (found.iteration < 0 || found.updates < 0 || found.updates > found.iteration) {
        throw InputException.in(
            state,
            "iteration",
            "updates of 0 up to as many iterations",
            found.updates + " of " + found.iteration);
      }
      return found;
    } catch (JsonProcessingException e) {
      throw new InputException(state + ": not the state of a run: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new InputException(state + ": cannot be read: " + AtomicFile.reason(e), e);
    }
  }
}
