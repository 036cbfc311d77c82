package dev.jneox.checkpoint;

import dev.jneox.checkpoint.NeoxNames.Place;
import dev.jneox.checkpoint.TorchFileWriter.Declared;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.LongConsumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * Writes a model as a checkpoint of GPT-NeoX that {@link NeoxCheckpoint} and GPT-NeoX itself load:
 * in {@code global_stepN} a file for each layer and tensor-parallel rank, what its loader reads of
 * {@code mp_rank_XX_model_states.pt}, and the configuration in {@code configs/}; beside it the
 * tokenizer and, last, {@code latest}. One tensor at a time is in memory. A checkpoint of the same
 * step is replaced once the new one is whole; the others stay.
 *
 * <p>Optimizer and random states are not part of it: the configuration asks GPT-NeoX not to load
 * them.
 *
 * <pre>{@code
 * new NeoxCheckpointWriter(dir, model.config(), Dtype.F16).tensorParallel(2).tokenizer(json).write(model::tensor);
 * }</pre>
 */
public final class NeoxCheckpointWriter {
  private final Path dir;
  private final ModelConfig config;
  private final Dtype dtype;
  private boolean newMlpNames;
  private int ranks = 1;
  private int iteration = 1;
  private String tokenizer;
  private LongConsumer progress = bytes -> {};

  /**
   * A checkpoint to be written.
   *
   * @param dtype what the weights are stored as: F32, BF16, F16 or F64
   * @throws InputException when GPT-NeoX has no such model
   */
  public NeoxCheckpointWriter(Path dir, ModelConfig config, Dtype dtype) {
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException("weights are not written as " + dtype);
    }
    String foreign =
        config.position() instanceof Position.Rotary rotary && rotary.interleaved()
            ? "rotary pairs side by side"
            : config.windows().stream().anyMatch(w -> w != 0)
                ? "attention windows"
                : !config.scaledAttention()
                    ? "unscaled attention scores"
                    : config.qkvBias() != config.denseBias()
                        ? "biases in only a part of the attention"
                        : config.headBias() ? "a bias in the head" : null;
    if (foreign != null) {
      throw new InputException(
          dir + ": cannot be written: GPT-NeoX has no such model, with " + foreign);
    }
    this.dir = dir;
    this.config = config;
    this.dtype = dtype;
  }

  /**
   * Divides the model among so many ranks; 1 unless told. Heads, MLP and rows of the vocabulary
   * must be divisible by it.
   */
  public NeoxCheckpointWriter tensorParallel(int degree) {
    NeoxNames names = new NeoxNames(config, newMlpNames);
    for (TensorSpec spec : config.tensors()) {
      TensorSplit split = names.place(spec.name()).split();
      if (degree < 1
          || config.heads() % degree != 0
          || split.partShape(spec.shape(), degree) == null) {
        throw new InputException(
            "a NeoX checkpoint of this model: expected tensor-parallel ranks that divide "
                + config.heads()
                + " heads, MLP width "
                + config.intermediateSize()
                + " and "
                + config.vocabSize()
                + " rows of the vocabulary, found "
                + degree);
      }
    }
    ranks = degree;
    return this;
  }

  /**
   * Names the MLP's tensors {@code linear1} and {@code linear2}, as GPT-NeoX's main branch has done
   * since September 2024 and alone reads. Without this they are {@code dense_h_to_4h} and {@code
   * dense_4h_to_h}, with the rotary buffer beside them: as GPT-NeoX v1.0 and v2.0 read them, and as
   * the published checkpoints of GPT-NeoX-20B and Pythia are. A file cannot have both, its loader
   * is strict.
   */
  public NeoxCheckpointWriter newMlpNames() {
    newMlpNames = true;
    return this;
  }

  /** The step the model was trained to, from 1: names the folder, and is where GPT-NeoX goes on. */
  public NeoxCheckpointWriter iteration(int step) {
    if (step < 1) {
      throw new IllegalArgumentException("GPT-NeoX resumes from step 1 on, not " + step);
    }
    iteration = step;
    return this;
  }

  /** The text of the {@code tokenizer.json} that goes along. */
  public NeoxCheckpointWriter tokenizer(String json) {
    tokenizer = json;
    return this;
  }

  /** Is told the bytes of each tensor that was written; their sum will be {@link #bytes}. */
  public NeoxCheckpointWriter progress(LongConsumer written) {
    progress = written;
    return this;
  }

  /** Bytes of all weights, those that every rank has counted once. */
  public long bytes() {
    return config.parameters() * (dtype.bits() / 8);
  }

  /**
   * Writes tensors as they come.
   *
   * @param tensors the tensor of a canonical name, of its shape and any float type; called once for
   *     each, layer by layer, and what it returns is closed
   */
  public void write(Function<String, Tensor> tensors) {
    String tag = "global_step" + iteration;
    try (AtomicFolder step = new AtomicFolder(dir.resolve(tag))) {
      writeLayers(step.path(), tensors);
      for (int rank = 0; rank < ranks; rank++) {
        String name = String.format("mp_rank_%02d_model_states.pt", rank);
        try (TorchFileWriter file = new TorchFileWriter(step.path().resolve(name), states())) {
          file.commit();
        }
      }
      String yaml = new NeoxYaml(config, dtype, ranks).text(newMlpNames);
      AtomicFile.write(
          step.path().resolve("configs").resolve("neox.yml"),
          yaml.getBytes(StandardCharsets.UTF_8));
      if (tokenizer != null) {
        AtomicFile.write(
            dir.resolve(HfFolder.TOKENIZER), tokenizer.getBytes(StandardCharsets.UTF_8));
      }
      step.commit();
    }
    AtomicFile.write(dir.resolve(RunFolder.LATEST), tag.getBytes(StandardCharsets.UTF_8));
  }

  private void writeLayers(Path step, Function<String, Tensor> tensors) {
    NeoxNames names = new NeoxNames(config, newMlpNames);
    SortedMap<Integer, List<TensorSpec>> layers = new TreeMap<>();
    for (TensorSpec spec : config.tensors()) {
      layers.computeIfAbsent(names.place(spec.name()).layer(), l -> new ArrayList<>()).add(spec);
    }
    layers.forEach(
        (layer, specs) -> {
          Map<String, Declared> declared = declared(layer, specs, names);
          List<TorchFileWriter> files = new ArrayList<>();
          try {
            for (int rank = 0; rank < ranks; rank++) {
              files.add(new TorchFileWriter(step.resolve(NeoxNames.file(layer, rank)), declared));
            }
            specs.forEach(spec -> write(spec, names.place(spec.name()), tensors, files));
            if (declared.containsKey(NeoxNames.ROTARY_BUFFER)) {
              writeRotaryBuffer(files);
            }
            files.forEach(TorchFileWriter::commit);
          } finally {
            files.forEach(TorchFileWriter::close);
          }
        });
  }

  /** What each rank's file of a layer will hold, in the order in which it is written. */
  private Map<String, Declared> declared(int layer, List<TensorSpec> specs, NeoxNames names) {
    Map<String, Declared> all = new LinkedHashMap<>();
    for (TensorSpec spec : specs) {
      Place place = names.place(spec.name());
      Declared part = new Declared(dtype, boxed(place.split().partShape(spec.shape(), ranks)));
      all.put(place.name(), part);
      if (isTwofold(place.name())) {
        all.put(place.name().replace("input_", "post_attention_"), part);
      }
    }
    boolean block = layer > 0 && layer < config.layers() + 2;
    if (block && !newMlpNames && config.position() instanceof Position.Rotary rotary) {
      all.put(NeoxNames.ROTARY_BUFFER, new Declared(dtype, List.of(rotary.dims() / 2L)));
    }
    return all;
  }

  /** GPT-NeoX has the second norm even where both branches share the first, and does not use it. */
  private boolean isTwofold(String name) {
    return config.residual() == Residual.PARALLEL_ONE_NORM && name.startsWith("input_layernorm.");
  }

  private void write(
      TensorSpec spec, Place place, Function<String, Tensor> tensors, List<TorchFileWriter> files) {
    try (PointerScope _ = new PointerScope();
        Tensor tensor = tensors.apply(spec.name())) {
      if (!Arrays.equals(Tensors.shape(tensor), spec.shape())) {
        throw new IllegalArgumentException(
            spec.name()
                + " has shape "
                + Arrays.toString(Tensors.shape(tensor))
                + ", the model's is "
                + Arrays.toString(spec.shape()));
      }
      // Only what is summed must be in the type it is stored in before it is divided: biases, which
      // are small.
      Tensor whole =
          place.split() == TensorSplit.SUM
              ? tensor.detach().to(dtype.scalarType())
              : tensor.detach();
      for (int rank = 0; rank < ranks; rank++) {
        TorchFileWriter file = files.get(rank);
        for (int copy = 0; copy < (isTwofold(place.name()) ? 2 : 1); copy++) {
          RowSlices.forEach(
              place.split().part(whole, rank, ranks),
              slice -> file.write(Tensors.segment(slice.to(dtype.scalarType()).contiguous())));
        }
      }
      progress.accept(spec.elements() * (dtype.bits() / 8));
    }
  }

  /** The frequencies {@code base^(-2i/dims)}, in the type of the model as GPT-NeoX has them. */
  private void writeRotaryBuffer(List<TorchFileWriter> files) {
    Position.Rotary rotary = (Position.Rotary) config.position();
    float[] frequencies = new float[rotary.dims() / 2];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = rotary.angle(1, i);
    }
    try (PointerScope _ = new PointerScope()) {
      Tensor stored = Tensors.of(frequencies, frequencies.length).to(dtype.scalarType());
      files.forEach(file -> file.write(Tensors.segment(stored)));
    }
  }

  private static List<Long> boxed(long[] shape) {
    return Arrays.stream(shape).boxed().toList();
  }

  /**
   * What DeepSpeed's and GPT-NeoX's loaders read of a rank's states where the weights are in layer
   * files.
   */
  private Map<String, Object> states() {
    Map<String, Object> args = new LinkedHashMap<>();
    args.put("num_layers", config.layers());
    args.put("hidden_size", config.hiddenSize());
    args.put("num_attention_heads", config.heads());
    args.put("max_position_embeddings", config.maxPositions());
    args.put("make_vocab_size_divisible_by", NeoxYaml.vocabMultiple(config, ranks));
    args.put("padded_vocab_size", config.vocabSize());
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
