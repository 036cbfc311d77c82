package dev.jneox.checkpoint;

import static dev.jneox.checkpoint.JsonObject.quoted;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.tensor.Tensors;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;

/**
 * A model in the folder layout of HF transformers: {@code config.json}, weights in one file or in
 * shards listed by an index, and mostly a {@code tokenizer.json}. GPT-NeoX, GPT-J, GPT-Neo and
 * GPT-2 are read and written, and JNeoX's own type for what none of these can say. The weights are
 * mapped, not read; every tensor the configuration asks for is there with its shape, and no other,
 * once {@link #open} returns.
 *
 * <p>This object holds the mapping: let go of every tensor before {@link #close}, a later touch
 * ends the process. The mapping is read-only: copy what is to be trained.
 */
public final class HfFolder implements StoredModel {
  /** {@code model_type} of a folder that only JNeoX reads. */
  public static final String OWN_TYPE = "jneox";

  static final String CONFIG = "config.json";
  static final String WEIGHTS = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  private static final String TORCH_WEIGHTS = "pytorch_model.bin";
  private static final String TORCH_INDEX = "pytorch_model.bin.index.json";
  static final String TOKENIZER = "tokenizer.json";

  /** More than any configuration or index has. */
  private static final long MAX_JSON = 16 << 20;

  /** A tensor as a file has it. */
  private record Stored(TensorFile file, String name) {
    Tensor tensor() {
      return file.tensor(name);
    }

    Dtype dtype() {
      return file.dtype(name);
    }

    long[] shape() {
      return file.shape(name);
    }

    InputException wrong(String expected, String found) {
      return InputException.in(file.file(), "tensor " + quoted(name), expected, found);
    }
  }

  /** Where a canonical tensor lies, and how. */
  private record Place(Layout layout, List<Stored> parts) {}

  private final Path dir;
  private final Family family;
  private final ModelConfig config;
  private final Map<String, TensorFile> files = new LinkedHashMap<>();
  private final Map<String, Place> places = new LinkedHashMap<>();
  // What is told of a tensor that is not as it should be.
  private final Consumer<InputException> problem;

  private HfFolder(Path dir, Consumer<InputException> problem) {
    this.dir = dir;
    this.problem = problem;
    JsonObject json = json(dir);
    this.family = Family.of(json);
    this.config = config(dir, json);
    boolean opened = false;
    try {
      findTensors(openFiles());
      opened = true;
    } finally {
      if (!opened) {
        close();
      }
    }
  }

  /** Reads the configuration, maps the weights and checks one against the other. */
  public static HfFolder open(Path dir) {
    return new HfFolder(
        dir,
        wrong -> {
          throw wrong;
        });
  }

  /**
   * Everything for which {@link #open} refuses a folder, where it stops at the first; empty when it
   * opens.
   */
  public static List<String> problems(Path dir) {
    List<String> problems = new ArrayList<>();
    try (HfFolder _ = new HfFolder(dir, wrong -> problems.add(wrong.getMessage()))) {
      return problems;
    } catch (InputException e) {
      problems.add(e.getMessage());
      return problems;
    }
  }

  /**
   * Writes a model so that {@link #open} and, where {@link #modelType} is one of its own, HF
   * transformers load it; see {@link HfFolderWriter}, which has more choices.
   *
   * @param tensors every tensor of {@link ModelConfig#tensors} by its canonical name, in any float
   *     type
   * @param dtype what the weights are stored as
   * @param tokenizer a {@code tokenizer.json} to copy, or null
   * @throws IllegalArgumentException when the tensors are not those of {@code config}
   */
  public static void write(
      Path dir, ModelConfig config, Map<String, Tensor> tensors, Dtype dtype, Path tokenizer) {
    HfFolderWriter writer = new HfFolderWriter(dir, config, dtype);
    if (tokenizer != null) {
      writer.tokenizer(tokenizer);
    }
    writer.write(tensors);
  }

  /**
   * The {@code model_type} as which a model is written: {@code gpt_neox}, {@code gptj}, {@code
   * gpt2} or {@code gpt_neo} if that family computes just this; else {@link #OWN_TYPE}, which HF
   * transformers refuses.
   */
  public static String modelType(ModelConfig config) {
    return Family.of(config).modelType();
  }

  /** The shape of the model in {@code dir}; does not look at the weights. */
  public static ModelConfig config(Path dir) {
    return config(dir, json(dir));
  }

  private static JsonObject json(Path dir) {
    Path file = dir.resolve(CONFIG);
    if (!Files.isRegularFile(file)) {
      throw new InputException(dir + ": not a model folder: it has no " + CONFIG);
    }
    return JsonObject.read(file, MAX_JSON);
  }

  private static ModelConfig config(Path dir, JsonObject json) {
    Family family = Family.of(json);
    try {
      return family.config(json, usedVocab(dir, json, family.vocabSize(json)));
    } catch (IllegalArgumentException e) {
      throw new InputException(dir.resolve(CONFIG) + ": " + e.getMessage(), e);
    }
  }

  /**
   * The ids of the tokenizer beside the model, as they were counted or are now; without one every
   * row of the embedding counts as used.
   */
  private static int usedVocab(Path dir, JsonObject json, int vocabSize) {
    JsonObject quantised = json.object(PackedFolder.QUANTISATION);
    if (quantised != null && quantised.has(PackedFolder.USED_VOCAB)) {
      return quantised.integer(PackedFolder.USED_VOCAB, 0, 1, vocabSize);
    }
    Path tokenizer = dir.resolve(TOKENIZER);
    if (!Files.exists(tokenizer)) {
      return vocabSize;
    }
    int used = Vocabulary.size(tokenizer);
    if (used > vocabSize) {
      String expected = "below vocab_size " + vocabSize + " of " + CONFIG;
      throw InputException.in(tokenizer, "largest id", expected, String.valueOf(used - 1));
    }
    return used;
  }

  /** Maps the weights and returns the file that lists them all: the only one, or the index. */
  private Path openFiles() {
    for (String name : new String[] {WEIGHTS, INDEX, TORCH_WEIGHTS, TORCH_INDEX}) {
      Path file = dir.resolve(name);
      if (Files.exists(file)) {
        if (name.endsWith(".json")) {
          openShards(file, name.equals(INDEX) ? ".safetensors" : ".bin");
        } else {
          files.put(name, openWeights(file));
        }
        return file;
      }
    }
    throw new InputException(
        dir
            + ": no weights: expected "
            + WEIGHTS
            + " or "
            + TORCH_WEIGHTS
            + ", or the index of its shards, found neither");
  }

  /** Opens one file of weights by the ending of its name. */
  private static TensorFile openWeights(Path file) {
    return file.toString().endsWith(".bin") ? TorchFile.open(file) : Safetensors.open(file);
  }

  private void openShards(Path index, String ending) {
    JsonObject map = JsonObject.read(index, MAX_JSON).object("weight_map");
    if (map == null) {
      throw InputException.in(index, "weight_map", "an object of tensor name to file", "nothing");
    }
    Map<String, String> shardOf = new LinkedHashMap<>();
    for (String name : map.keys()) {
      String shard = map.text(name);
      if (!shard.matches("[A-Za-z0-9_][A-Za-z0-9._-]*") || !shard.endsWith(ending)) {
        throw map.unsupported(name, "a plain file name ending in " + ending);
      }
      shardOf.put(name, shard);
      files.computeIfAbsent(shard, s -> openWeights(dir.resolve(s)));
    }
    files.forEach(
        (shard, file) -> {
          for (String name : file.names()) {
            String listed = shardOf.get(name);
            if (!shard.equals(listed)) {
              throw InputException.in(
                  index,
                  "weight_map, " + quoted(name),
                  shard + ", where it is",
                  listed == null ? "nothing" : listed);
            }
          }
        });
    shardOf.forEach(
        (name, shard) -> {
          if (!files.get(shard).names().contains(name)) {
            throw InputException.in(
                dir.resolve(shard),
                "tensor " + quoted(name),
                "as the index says",
                "no such tensor");
          }
        });
  }

  private void findTensors(Path listing) {
    Map<String, Stored> surplus = new LinkedHashMap<>();
    for (TensorFile file : files.values()) {
      for (String name : file.names()) {
        String bare = family.bare(name);
        Stored stored = new Stored(file, name);
        if (!family.isBuffer(bare) && surplus.put(bare, stored) != null) {
          throw stored.wrong(
              "one tensor, with " + quoted(family.prefix()) + " before its name or without",
              "both");
        }
      }
    }
    for (TensorSpec spec : config.tensors()) {
      Family.Stored where = family.stored(spec.name());
      List<long[]> shapes = where.layout().shapes(spec.shape());
      List<Stored> parts = new ArrayList<>();
      for (int i = 0; i < shapes.size(); i++) {
        String name = where.names().get(i);
        Stored stored = surplus.remove(name);
        String expected = "shape " + Arrays.toString(shapes.get(i)) + " by " + CONFIG;
        if (stored == null) {
          problem.accept(
              InputException.in(
                  listing, "tensor " + quoted(family.prefixed(name)), expected, "no such tensor"));
        } else if (!Arrays.equals(stored.shape(), shapes.get(i))) {
          problem.accept(stored.wrong(expected, "shape " + Arrays.toString(stored.shape())));
        } else if (!stored.dtype().isWeight()) {
          problem.accept(stored.wrong("F32, BF16, F16 or F64", stored.dtype().name()));
        } else if (!parts.isEmpty() && stored.dtype() != parts.getFirst().dtype()) {
          problem.accept(
              stored.wrong(
                  parts.getFirst().dtype() + " as " + quoted(parts.getFirst().name()),
                  stored.dtype().name()));
        } else {
          parts.add(stored);
        }
      }
      places.put(spec.name(), new Place(where.layout(), parts));
    }
    surplus.forEach(
        (bare, stored) -> {
          if (!isTiedCopy(bare, stored)) {
            problem.accept(
                stored.wrong(
                    "none of this name by " + CONFIG, "shape " + Arrays.toString(stored.shape())));
          }
        });
  }

  /** A tied head that was saved all the same. */
  private boolean isTiedCopy(String bare, Stored head) {
    Place embedded = places.get("embed_in.weight");
    if (!config.tiedHead()
        || !bare.equals(family.head() + ".weight")
        || embedded.parts().isEmpty()) {
      return false;
    }
    Stored embedding = embedded.parts().getFirst();
    if (head.dtype() != embedding.dtype()) {
      return false;
    }
    try (Tensor a = head.tensor();
        Tensor b = embedding.tensor();
        Tensor rowsA = a.contiguous();
        Tensor rowsB = b.contiguous()) {
      return Tensors.segment(rowsA).mismatch(Tensors.segment(rowsB)) < 0;
    }
  }

  @Override
  public Path path() {
    return dir;
  }

  @Override
  public ModelConfig config() {
    return config;
  }

  /** The {@code tokenizer.json} of the folder. */
  public Optional<Path> tokenizer() {
    return Optional.of(dir.resolve(TOKENIZER)).filter(Files::exists);
  }

  /** The mapped files, one or the shards. */
  public Collection<TensorFile> files() {
    return Collections.unmodifiableCollection(files.values());
  }

  @Override
  public Optional<String> tokenizerJson() {
    return tokenizer().map(HfFolder::text);
  }

  public static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read as UTF-8: " + AtomicFile.reason(e), e);
    }
  }

  @Override
  public String storedAs(String canonical) {
    return place(canonical).parts().getFirst().dtype().name();
  }

  @Override
  public Tensor tensor(String canonical) {
    Place place = place(canonical);
    return place.layout() == Layout.SAME
        ? place.parts().getFirst().tensor()
        : Tensors.scoped(
            () ->
                place
                    .layout()
                    .read(place.parts().stream().map(Stored::tensor).toList(), config.heads()));
  }

  @Override
  public Optional<MappedTensor> mapped(String canonical) {
    Place place = place(canonical);
    if (place.layout() != Layout.SAME) {
      return Optional.empty();
    }
    Stored stored = place.parts().getFirst();
    Optional<MemorySegment> data =
        switch (stored.file()) {
          case Safetensors file -> Optional.of(file.data(stored.name()));
          case TorchFile file -> file.data(stored.name());
          default -> Optional.empty();
        };
    return data.map(bytes -> new MappedTensor(stored.dtype(), bytes));
  }

  private Place place(String canonical) {
    Place place = places.get(canonical);
    if (place == null) {
      throw new IllegalArgumentException("no tensor " + canonical);
    }
    return place;
  }

  @Override
  public void release() {
    files.values().forEach(TensorFile::release);
  }

  /** Unmaps the weights. */
  @Override
  public void close() {
    files.values().forEach(TensorFile::close);
  }
}
