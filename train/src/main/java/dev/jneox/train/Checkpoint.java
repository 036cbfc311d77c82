package dev.jneox.train;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.dist.Layout;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.format.safetensors.SafetensorsWriter;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Residual;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Writes and reads the state of a run in one folder. It is an HF folder of the fp32 weights, which
 * every command that takes a model can read. It also holds {@code optimizer.safetensors} (both
 * moments by parameter), {@code training.json} (the {@link State}) and {@code configs/} (the
 * configuration files as they are). Tensors have their {@link CanonicalNames}. {@link RunDirectory}
 * chooses the folder and renames it to its name when it is whole.
 */
final class Checkpoint {
  private static final String MOMENTS = "optimizer.safetensors";
  private static final String STATE = "training.json";
  private static final String FIRST = "exp_avg."; // prefixes of the moments' tensors
  private static final String SECOND = "exp_avg_sq.";
  private static final String ORDER = "order";
  private static final String RECENT = "recent";
  private static final long MAX_STATE = 1 << 20;
  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES);

  /**
   * Holds what, besides weights and moments, determines how a run goes on.
   *
   * @param iteration steps so far, skipped ones included
   * @param updates steps so far that updated the weights
   * @param scaler state of the loss scale
   * @param tokens read so far; samples have equal length, so this is the place in the data, too
   * @param order of the data; null in a checkpoint of an earlier version
   * @param recent the last steps, for {@link SpikeRule}; null where it is off
   */
  record State(
      int iteration,
      long updates,
      LossScaler.State scaler,
      long tokens,
      @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable DataOrder order,
      @JsonInclude(JsonInclude.Include.NON_NULL) SpikeRule.@Nullable Recent recent) {}

  private Checkpoint() {}

  /** Provides weights and moments of the whole model, each to a reader while it runs. */
  interface Source {
    /** Has a reader read the weights. */
    void weights(Consumer<ModelWeights> reader);

    /** Has a reader read one of Adam's moments: the first or the second. */
    void moment(boolean first, Consumer<ModelWeights> reader);
  }

  /**
   * Reads what the training has now. Where ranks have parts of the model, all others call {@link
   * #give} at the same time.
   */
  static Source live(Parameters parameters, DataParallel processes) {
    return new Source() {
      @Override
      public void weights(Consumer<ModelWeights> reader) {
        WholeWeights.read(processes.ranks(), parameters, parameters.weights(), reader);
      }

      @Override
      public void moment(boolean first, Consumer<ModelWeights> reader) {
        Parameters.Flat own = first ? parameters.firstMoments() : parameters.secondMoments();
        WholeWeights.read(processes.ranks(), parameters, processes.whole(own), reader);
        if (parameters.copy().sharded()) {
          parameters.clearGradients(); // the moments were gathered there
        }
      }
    };
  }

  /**
   * Writes a checkpoint into an empty folder.
   *
   * @param tokenizer written too; null for none
   * @param generation written too
   * @param configs texts of the configuration files by their names
   */
  static void write(
      Path folder,
      State state,
      ModelSpec model,
      Source source,
      @Nullable TokenizerFile tokenizer,
      GenerationSettings generation,
      Map<String, String> configs) {
    source.weights(weights -> writeModel(folder, model, weights, tokenizer, generation));
    writeMoments(folder.resolve(MOMENTS), model, source);
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

  /**
   * Writes the weights alone, as an HF folder in fp32.
   *
   * @param weights of all of {@code model}
   * @param tokenizer written too; null for none
   * @param generation written too
   */
  static void writeModel(
      Path folder,
      ModelSpec model,
      ModelWeights weights,
      @Nullable TokenizerFile tokenizer,
      GenerationSettings generation) {
    HfFolderWriter writer = new HfFolderWriter(folder, model, Dtype.F32);
    if (tokenizer != null) {
      writer.tokenizer(tokenizer.json(), tokenizer.path());
    }
    generation.into(writer);
    writer.write(weights);
  }

  /** Returns the bytes of the tensors that {@link #write} writes: weights and two moments. */
  static long bytes(ModelSpec model) {
    return 3 * Float.BYTES * model.parameterCount();
  }

  /** Returns the flat array of each moment by the prefix of its tensors' names. */
  private static Map<String, Parameters.Flat> moments(Parameters parameters) {
    Map<String, Parameters.Flat> moments = new LinkedHashMap<>();
    moments.put(FIRST, parameters.firstMoments());
    moments.put(SECOND, parameters.secondMoments());
    return moments;
  }

  /** Gives what this rank has, while the first one reads all of a {@link #live} source. */
  static void give(Parameters parameters, DataParallel processes) {
    Source own = live(parameters, processes);
    own.weights(_ -> {});
    own.moment(true, _ -> {});
    own.moment(false, _ -> {});
  }

  private static void writeMoments(Path file, ModelSpec model, Source source) {
    List<TensorExpression> tensors = CanonicalNames.of(model);
    List<SafetensorsWriter.Declared> declared = new ArrayList<>();
    for (String moment : List.of(FIRST, SECOND)) {
      for (TensorExpression tensor : tensors) {
        declared.add(
            new SafetensorsWriter.Declared(
                moment + tensor.name(), Dtype.F32, Arrays.stream(tensor.shape()).boxed().toList()));
      }
    }
    try (SafetensorsWriter writer =
        new SafetensorsWriter(file, declared, SafetensorsWriter.PYTORCH)) {
      for (String moment : List.of(FIRST, SECOND)) {
        source.moment(
            moment.equals(FIRST),
            whole -> {
              for (TensorExpression tensor : tensors) {
                try (Arena arena = Arena.ofShared()) {
                  writer.write(moment + tensor.name(), whole.read(tensor, arena).data());
                }
              }
            });
      }
      writer.commit();
    }
  }

  /**
   * Refuses a model that has no HF model type, so that no checkpoint can hold it.
   *
   * @throws InputException naming what of the model is the cause
   */
  static void check(Settings settings, ModelSpec model) {
    try {
      HfFolder.modelType(model);
    } catch (IllegalArgumentException e) {
      throw new InputException(settings.message("save", e.getMessage() + ": take save out"), e);
    }
  }

  /**
   * Reads the weights into {@code parameters}; the model in {@code folder} must have the same
   * shape.
   */
  static void loadWeights(Path folder, Parameters parameters) {
    try (HfFolder hf = HfFolder.open(folder)) {
      ModelWeights stored = hf;
      requireSame(folder, parameters.shard().layout(), stored.spec());
      parameters.load(stored);
    }
  }

  private static void requireSame(Path folder, Layout layout, ModelSpec found) {
    ModelSpec model = layout.model();
    int wanted = found.vocabulary().rows();
    int used = model.vocabulary().used();
    if (model.vocabulary().rows() != wanted) {
      // The rows are padded to a multiple of the tensor parts, so that another layout may have
      // more.
      IntStream.rangeClosed(1, wanted / layout.tensor())
          .filter(
              unit -> Math.ceilDiv(used, unit * layout.tensor()) * unit * layout.tensor() == wanted)
          .findFirst()
          .ifPresent(
              unit -> {
                throw InputException.in(
                    folder,
                    "vocab_size",
                    model.vocabulary().rows() + " as the configuration and the tokenizer say",
                    "%d: make_vocab_size_divisible_by %d pads to as many rows here"
                        .formatted(wanted, unit));
              });
    }
    requireSame(folder, "vocab_size", model, found, spec -> spec.vocabulary().rows());
    requireSameBlocks(folder, model, found);
  }

  /** Requires that two models are the same but for their vocabularies. */
  static void requireSameBlocks(Path folder, ModelSpec model, ModelSpec found) {
    requireSame(folder, "hidden_size", model, found, ModelSpec::width);
    requireSame(folder, "num_layers", model, found, ModelSpec::layers);
    requireSame(folder, "num_attention_heads", model, found, each(b -> b.attention().heads()));
    requireSame(folder, "num_kv_heads", model, found, each(b -> b.attention().kvHeads()));
    requireSame(folder, "width of a head", model, found, each(b -> b.attention().headDim()));
    requireSame(folder, "intermediate_size", model, found, each(b -> b.feedForward().width()));
    requireSame(folder, "position", model, found, each(b -> b.attention().position()));
    boolean learned = model.embedding().learnedPositions();
    requireSame(
        folder, "learned positions", model, found, spec -> spec.embedding().learnedPositions());
    if (learned) {
      requireSame(folder, "max_position_embeddings", model, found, ModelSpec::maxPositions);
    }
    requireSame(folder, "residual", model, found, each(b -> kind(b.residual())));
    requireSame(folder, "norms", model, found, each(b -> norms(b.residual())));
    requireSame(folder, "activation", model, found, each(b -> b.feedForward().activation()));
    requireSame(folder, "gated MLP", model, found, each(b -> b.feedForward().isGated()));
    requireSame(folder, "attention windows", model, found, each(b -> b.attention().window()));
    requireSame(folder, "scaled attention", model, found, each(b -> b.attention().scale()));
    requireSame(
        folder, "biases of query, key and value", model, found, each(b -> b.attention().qkvBias()));
    requireSame(
        folder, "bias of the attention's output", model, found, each(b -> b.attention().outBias()));
    requireSame(folder, "biases of the MLP", model, found, each(b -> b.feedForward().bias()));
    requireSame(folder, "final norm", model, found, spec -> kind(spec.finalNorm()));
    requireSame(folder, "bias of the head", model, found, spec -> spec.head().bias());
    requireSame(folder, "tied head", model, found, spec -> spec.head().tied());
  }

  /** Returns one value where all blocks have the same, else a list with that of each block. */
  private static Function<ModelSpec, Object> each(Function<BlockSpec, Object> part) {
    return spec -> {
      List<Object> values = spec.blocks().stream().map(part).toList();
      return values.stream().distinct().count() == 1 ? values.getFirst() : values;
    };
  }

  /** Returns the kinds of both norms. Their epsilons are left out: a run may change them. */
  private static String norms(Residual residual) {
    return kind(residual.attention()) + ", " + kind(residual.feedForward());
  }

  private static String kind(Object choice) {
    return choice.getClass().getSimpleName();
  }

  private static void requireSame(
      Path folder,
      String what,
      ModelSpec model,
      ModelSpec found,
      Function<ModelSpec, Object> part) {
    if (!part.apply(model).equals(part.apply(found))) {
      throw InputException.in(
          folder,
          what,
          part.apply(model) + " as the configuration and the tokenizer say",
          part.apply(found)
              + ": set the recipe's keys as that model has them, or save and load to another"
              + " folder");
    }
  }

  /**
   * Reads the moments into {@code parameters} and returns the state.
   *
   * @throws InputException when a file is damaged or does not fit the model
   * @throws StorageException when a file cannot be read
   */
  static State loadTraining(Path folder, Parameters parameters) {
    Path file = folder.resolve(MOMENTS);
    List<TensorExpression> tensors = CanonicalNames.of(parameters.spec());
    try (Safetensors moments = Safetensors.open(file)) {
      moments(parameters)
          .forEach(
              (moment, own) -> {
                boolean sharded = parameters.copy().sharded();
                Parameters.Flat flat = sharded ? parameters.gradients() : own;
                for (TensorExpression tensor : tensors) {
                  String name = moment + tensor.name();
                  if (!moments.contains(name)) {
                    throw InputException.in(file, name, "a tensor", "none");
                  }
                  MemorySegment data = moments.data(name).orElseThrow();
                  long bytes = tensor.elements() * Float.BYTES;
                  if (data.byteSize() != bytes) {
                    throw InputException.in(file, name, bytes + " bytes", data.byteSize() + "");
                  }
                  flat.scatter(tensor, data);
                }
                if (sharded) {
                  parameters.takeOwn(flat, own);
                }
              });
    }
    Path state = folder.resolve(STATE);
    try {
      JsonNode tree = JSON.readTree(InputFile.bytes(state, MAX_STATE));
      if (!(tree instanceof ObjectNode object)) {
        throw InputException.in(state, "content", "the state of a run", "no JSON object");
      }
      for (String later : List.of(ORDER, RECENT)) {
        if (!object.has(later)) {
          object.putNull(later);
        }
      }
      State found = JSON.treeToValue(object, State.class);
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
      throw StorageException.of(state, "cannot be read", e);
    }
  }
}
