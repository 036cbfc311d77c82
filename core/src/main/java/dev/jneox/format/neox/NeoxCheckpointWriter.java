package dev.jneox.format.neox;

import dev.jneox.format.hf.Family;
import dev.jneox.format.hf.GenerationConfig;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.neox.NeoxNames.Place;
import dev.jneox.format.torch.TorchFileWriter;
import dev.jneox.format.torch.TorchFileWriter.Declared;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Position;
import dev.jneox.model.SamplingDefaults;
import dev.jneox.model.Split;
import dev.jneox.model.Vocabulary;
import dev.jneox.template.ChatTemplates;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model as a checkpoint that {@link NeoxCheckpoint} and GPT-NeoX load. {@code
 * global_stepN} gets a file for each layer and tensor-parallel rank, the part of {@code
 * mp_rank_XX_model_states.pt} that the loader reads, and the configuration in {@code configs/};
 * beside it come the tokenizer and, last, {@code latest}. One tensor at a time is in memory. A
 * checkpoint of the same step is replaced once the new one is complete; others stay.
 *
 * <p>Optimizer and random states are not included: the configuration tells GPT-NeoX not to load
 * them.
 *
 * <pre>{@code
 * new NeoxCheckpointWriter(dir, model.spec(), Dtype.F16).tensorParallel(2).tokenizer(json).write(model);
 * }</pre>
 */
public final class NeoxCheckpointWriter {
  private final Path dir;
  private final ModelSpec spec;
  private final Dtype dtype;
  private boolean newMlpNames;
  private int ranks = 1;
  private int iteration = 1;
  private @Nullable String tokenizer;
  private @Nullable ChatTemplates chatTemplates;
  private SamplingDefaults sampling = SamplingDefaults.NONE;
  private LongConsumer progress = bytes -> {};

  /**
   * Prepares a checkpoint.
   *
   * @param dir the folder of the run
   * @param spec the model
   * @param dtype of the stored weights: F32, BF16, F16 or F64
   * @throws InputException when GPT-NeoX has no such model
   */
  public NeoxCheckpointWriter(Path dir, ModelSpec spec, Dtype dtype) {
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException("weights are not written as " + dtype);
    }
    String foreign = foreign(spec);
    if (foreign != null) {
      throw new InputException(
          dir + ": cannot be written: GPT-NeoX has no such model, with " + foreign);
    }
    this.dir = dir;
    this.spec = spec;
    this.dtype = dtype;
  }

  /** Names a property of the model that GPT-NeoX does not have; null when there is none. */
  private static @Nullable String foreign(ModelSpec spec) {
    Attention attention = spec.first().attention();
    FeedForward feedForward = spec.first().feedForward();
    if (!spec.isUniform() || !Family.hasOneNorm(spec)) {
      return "layers that differ";
    }
    if (attention.position() instanceof Position.Rotary rotary && rotary.interleaved()) {
      return "rotary pairs side by side";
    }
    if (attention.position() instanceof Position.Rotary == spec.embedding().learnedPositions()) {
      return "learned positions beside rotary ones, or neither";
    }
    if (spec.hasWindows()) {
      return "attention windows";
    }
    if (!attention.isScaled()) {
      return "unscaled attention scores";
    }
    if (attention.queryWidth() != spec.width()) {
      return "heads that do not share the width evenly";
    }
    if (attention.qkvBias() != attention.outBias()) {
      return "biases in only a part of the attention";
    }
    if (!feedForward.isGated()
        && (feedForward.activation() == Activation.SILU || !feedForward.bias())) {
      return "an MLP of two matrices with SiLU or without biases";
    }
    if (feedForward.isGated() && feedForward.activation() == Activation.GELU_TANH) {
      return "a gate with the tanh form of GELU";
    }
    return spec.head().bias() ? "a bias in the head" : null;
  }

  /**
   * Divides the model among a number of ranks, 1 by default. Heads, MLP width and rows of the
   * vocabulary must be divisible by it.
   */
  public NeoxCheckpointWriter tensorParallel(int degree) {
    Attention attention = spec.first().attention();
    boolean divides =
        degree > 0
            && names().places().stream().allMatch(p -> Shards.shape(p.tensor(), degree) != null);
    if (!divides) {
      throw new InputException(
          "a NeoX checkpoint of this model: expected tensor-parallel ranks that divide "
              + attention.kvHeads()
              + " heads, MLP width "
              + spec.first().feedForward().width()
              + " and "
              + spec.vocabulary().rows()
              + " rows of the vocabulary, found "
              + degree);
    }
    ranks = degree;
    return this;
  }

  /**
   * Names the tensors of the MLP {@code linear1} and {@code linear2}, the only names that the main
   * branch of GPT-NeoX reads since September 2024. The default is {@code dense_h_to_4h} and {@code
   * dense_4h_to_h}, with the rotary buffer beside them, as GPT-NeoX v1.0 and v2.0 read them and as
   * the published checkpoints of GPT-NeoX-20B and Pythia are. A file cannot have both, because the
   * loader is strict.
   */
  public NeoxCheckpointWriter newMlpNames() {
    newMlpNames = true;
    return this;
  }

  /**
   * Sets the step that the model was trained to, from 1. It names the folder, and GPT-NeoX resumes
   * from it.
   */
  public NeoxCheckpointWriter iteration(int step) {
    if (step < 1) {
      throw new IllegalArgumentException("GPT-NeoX resumes from step 1 on, not " + step);
    }
    iteration = step;
    return this;
  }

  /**
   * Adds a tokenizer.
   *
   * @param json the text of a {@code tokenizer.json}
   */
  public NeoxCheckpointWriter tokenizer(String json) {
    tokenizer = json;
    return this;
  }

  /**
   * Adds chat templates, in a {@code tokenizer_config.json} beside the tokenizer; none by default.
   */
  public NeoxCheckpointWriter chatTemplates(ChatTemplates templates) {
    chatTemplates = templates;
    return this;
  }

  /**
   * Adds how tokens are to be drawn, in a {@code generation_config.json} beside the tokenizer;
   * nothing by default.
   */
  public NeoxCheckpointWriter sampling(SamplingDefaults defaults) {
    sampling = defaults;
    return this;
  }

  /** Sets a receiver for the bytes of each tensor written; they add up to {@link #bytes}. */
  public NeoxCheckpointWriter progress(LongConsumer written) {
    progress = written;
    return this;
  }

  /** Returns the tensor names. A gated MLP exists under the names of the main branch only. */
  private NeoxNames names() {
    return new NeoxNames(spec, newMlpNames || spec.first().feedForward().isGated());
  }

  /** Returns the bytes of all weights; tensors that every rank has count once. */
  public long bytes() {
    return spec.parameterCount() * (dtype.bits() / 8);
  }

  /**
   * Writes the weights of a model, layer by layer.
   *
   * @param weights of the given shape
   */
  public void write(ModelWeights weights) {
    if (!weights.spec().equals(spec)) {
      throw new IllegalArgumentException("the weights are those of another model");
    }
    String tag = "global_step" + iteration;
    try (AtomicFolder step = new AtomicFolder(dir.resolve(tag))) {
      writeLayers(step.path(), weights);
      for (int rank = 0; rank < ranks; rank++) {
        String name = String.format("mp_rank_%02d_model_states.pt", rank);
        try (TorchFileWriter file = new TorchFileWriter(step.path().resolve(name), states())) {
          file.commit();
        }
      }
      String yaml = new NeoxYaml(spec, dtype, ranks).text(names().newMlpNames());
      AtomicFile.write(
          step.path().resolve("configs").resolve("neox.yml"),
          yaml.getBytes(StandardCharsets.UTF_8));
      if (tokenizer != null) {
        AtomicFile.write(
            dir.resolve(HfFolder.TOKENIZER), tokenizer.getBytes(StandardCharsets.UTF_8));
      }
      if (chatTemplates != null) {
        AtomicFile.write(
            dir.resolve(ChatTemplates.CONFIG), JsonObject.write(chatTemplates.config()));
      }
      Vocabulary vocabulary = spec.vocabulary();
      boolean usual =
          vocabulary
              .ends()
              .equals(vocabulary.endOfText() < 0 ? List.of() : List.of(vocabulary.endOfText()));
      if (!usual || !sampling.equals(SamplingDefaults.NONE)) {
        AtomicFile.write(
            dir.resolve(GenerationConfig.FILE),
            JsonObject.write(GenerationConfig.json(vocabulary.ends(), sampling)));
      }
      step.commit();
    }
    AtomicFile.write(dir.resolve(RunFolder.LATEST), tag.getBytes(StandardCharsets.UTF_8));
  }

  private void writeLayers(Path step, ModelWeights weights) {
    SortedMap<Integer, List<TensorExpression>> layers = new TreeMap<>();
    for (Place place : names().places()) {
      layers.computeIfAbsent(place.layer(), l -> new ArrayList<>()).add(place.tensor());
    }
    layers.forEach(
        (layer, tensors) -> {
          Map<String, Declared> declared = declared(layer, tensors);
          List<TorchFileWriter> files = new ArrayList<>();
          try {
            for (int rank = 0; rank < ranks; rank++) {
              files.add(new TorchFileWriter(step.resolve(NeoxNames.file(layer, rank)), declared));
            }
            tensors.forEach(tensor -> write(tensor, weights, files));
            if (declared.containsKey(NeoxNames.ROTARY_BUFFER)) {
              writeRotaryBuffer(files);
            }
            files.forEach(TorchFileWriter::commit);
          } finally {
            files.forEach(TorchFileWriter::close);
          }
        });
  }

  /** Lists the content of each rank's file of a layer, in the order in which it is written. */
  private Map<String, Declared> declared(int layer, List<TensorExpression> tensors) {
    Map<String, Declared> all = new LinkedHashMap<>();
    for (TensorExpression tensor : tensors) {
      Declared part =
          new Declared(dtype, boxed(Objects.requireNonNull(Shards.shape(tensor, ranks))));
      all.put(tensor.name(), part);
      if (isTwofold(tensor.name())) {
        all.put(tensor.name().replace("input_", "post_attention_"), part);
      }
    }
    boolean block = layer > 0 && layer < spec.layers() + 2;
    Position.Rotary rotary = spec.first().attention().rotary().orElse(null);
    if (block && !names().newMlpNames() && rotary != null) {
      all.put(NeoxNames.ROTARY_BUFFER, new Declared(dtype, List.of(rotary.dims() / 2L)));
    }
    return all;
  }

  /**
   * Returns whether a norm is written twice. GPT-NeoX has the second norm even where both branches
   * share the first, and ignores it.
   */
  private boolean isTwofold(String name) {
    return spec.first().residual().sharesNorm() && name.startsWith("input_layernorm.");
  }

  private void write(TensorExpression tensor, ModelWeights weights, List<TorchFileWriter> files) {
    try (Arena arena = Arena.ofShared()) {
      MappedTensor read = weights.read(tensor, arena);
      // A bias that ranks sum is rounded to the stored type first, so that its parts add up to it.
      // The other tensors are large; their parts are rounded as they are written.
      boolean summed = tensor.params().getFirst().split().axis() == Split.Axis.SUM;
      MappedTensor whole = summed ? converted(read, arena) : read;
      for (int rank = 0; rank < ranks; rank++) {
        TorchFileWriter file = files.get(rank);
        MappedTensor part = Shards.part(tensor, whole, rank, ranks, arena);
        for (int copy = 0; copy < (isTwofold(tensor.name()) ? 2 : 1); copy++) {
          part.convert(dtype, file::write);
        }
      }
      progress.accept(tensor.elements() * (dtype.bits() / 8));
    }
    weights.release();
  }

  private MappedTensor converted(MappedTensor vector, Arena arena) {
    MappedTensor converted =
        new MappedTensor(dtype, arena.allocate(vector.size() * dtype.bits() / 8, 64));
    for (long i = 0; i < vector.size(); i++) {
      converted.set(i, vector.value(i));
    }
    return converted;
  }

  /**
   * Writes the frequencies {@code base^(-2i/dims)} in the type of the model, as GPT-NeoX has them.
   */
  private void writeRotaryBuffer(List<TorchFileWriter> files) {
    Position.Rotary rotary = spec.first().attention().rotary().orElseThrow();
    try (Arena arena = Arena.ofShared()) {
      int pairs = rotary.dims() / 2;
      MappedTensor stored =
          new MappedTensor(dtype, arena.allocate((long) pairs * dtype.bits() / 8, 64));
      for (int i = 0; i < pairs; i++) {
        stored.set(i, rotary.angle(1, i));
      }
      files.forEach(file -> file.write(stored.data()));
    }
  }

  private static List<Long> boxed(long[] shape) {
    return Arrays.stream(shape).boxed().toList();
  }

  /**
   * Builds what the loaders of DeepSpeed and GPT-NeoX read of a rank's states where the weights are
   * in layer files.
   */
  private Map<String, Object> states() {
    Map<String, Object> args = new LinkedHashMap<>();
    args.put("num_layers", spec.layers());
    args.put("hidden_size", spec.width());
    args.put("num_attention_heads", spec.first().attention().heads());
    args.put("max_position_embeddings", spec.maxPositions());
    args.put("make_vocab_size_divisible_by", NeoxYaml.vocabMultiple(spec, ranks));
    args.put("padded_vocab_size", spec.vocabulary().rows());
    args.put("tokenizer_type", "HFTokenizer");
    args.put("model_parallel_size", ranks);
    Map<String, Object> states = new LinkedHashMap<>();
    states.put("module", null);
    states.put("optimizer", null);
    states.put("lr_scheduler", null);
    states.put("csr_tensor_module_names", List.of());
    states.put("sparse_tensor_module_names", List.of());
    states.put("skipped_steps", 0);
    states.put("global_steps", iteration);
    states.put("dp_world_size", 1);
    states.put("mp_world_size", ranks);
    states.put("iteration", iteration);
    states.put("args", args);
    return states;
  }
}
