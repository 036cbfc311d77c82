package dev.jneox.checkpoint;

import static dev.jneox.checkpoint.JsonObject.quoted;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;

/**
 * A model in the folder layout of HF transformers: {@code config.json}, weights in {@code model.safetensors} or in shards listed
 * by {@code model.safetensors.index.json}, and mostly a {@code tokenizer.json}. The weights are mapped, not read; every tensor
 * the configuration asks for is there with its shape, and no other, once {@link #open} returns.
 *
 * <p>This object holds the mapping: let go of every tensor before {@link #close}, a later touch ends the process. The mapping is
 * read-only: copy what is to be trained.
 */
public final class HfFolder implements StoredModel {
  static final String CONFIG = "config.json";
  static final String WEIGHTS = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  static final String TOKENIZER = "tokenizer.json";

  /** More than any configuration or index has. */
  private static final long MAX_JSON = 16 << 20;

  /** Where a canonical tensor lies. */
  private record Place(Safetensors file, String name) {}

  private final Path dir;
  private final ModelConfig config;
  private final NeoxFamily family = new NeoxFamily();
  private final Map<String, Safetensors> files = new LinkedHashMap<>();
  private final Map<String, Place> places = new LinkedHashMap<>();

  private HfFolder(Path dir) {
    this.dir = dir;
    this.config = config(dir);
    boolean opened = false;
    try {
      if (Files.exists(dir.resolve(WEIGHTS))) {
        files.put(WEIGHTS, Safetensors.open(dir.resolve(WEIGHTS)));
      } else if (Files.exists(dir.resolve(INDEX))) {
        openShards(dir.resolve(INDEX));
      } else {
        throw new InputException(dir + ": no weights: expected " + WEIGHTS + " or " + INDEX + ", found neither");
      }
      findTensors();
      opened = true;
    } finally {
      if (!opened) {
        close();
      }
    }
  }

  /** Reads the configuration, maps the weights and checks one against the other. */
  public static HfFolder open(Path dir) {
    return new HfFolder(dir);
  }

  /**
   * Writes a model so that {@link #open} and HF transformers load it: {@code config.json}, {@code generation_config.json}, the
   * weights (in shards of 5 GB when larger) and the tokenizer's files. The folder may exist; a model in it is replaced once the
   * new one is written in full.
   *
   * @param tensors every tensor of {@link ModelConfig#tensors} by its canonical name, in any float type
   * @param dtype what the weights are stored as
   * @param tokenizer a {@code tokenizer.json} to copy, or null
   * @throws IllegalArgumentException when the tensors are not those of {@code config} or it is not a GPT-NeoX
   */
  public static void write(Path dir, ModelConfig config, Map<String, Tensor> tensors, Dtype dtype, Path tokenizer) {
    new HfFolderWriter(dir, config, dtype).write(tensors, tokenizer, HfFolderWriter.SHARD_BYTES);
  }

  /** The shape of the model in {@code dir}; does not look at the weights. */
  public static ModelConfig config(Path dir) {
    Path file = dir.resolve(CONFIG);
    if (!Files.isRegularFile(file)) {
      throw new InputException(dir + ": not a model folder: it has no " + CONFIG);
    }
    JsonObject json = JsonObject.read(file, MAX_JSON);
    if (!NeoxFamily.MODEL_TYPE.equals(json.text("model_type"))) {
      throw json.unsupported("model_type", NeoxFamily.MODEL_TYPE);
    }
    NeoxFamily family = new NeoxFamily();
    try {
      return family.config(json, usedVocab(dir, family.vocabSize(json)));
    } catch (IllegalArgumentException e) {
      throw new InputException(file + ": " + e.getMessage(), e);
    }
  }

  /** The ids of the tokenizer beside the model; without one every row of the embedding counts as used. */
  private static int usedVocab(Path dir, int vocabSize) {
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

  private void openShards(Path index) {
    JsonObject map = JsonObject.read(index, MAX_JSON).object("weight_map");
    if (map == null) {
      throw InputException.in(index, "weight_map", "an object of tensor name to file", "nothing");
    }
    Map<String, String> shardOf = new LinkedHashMap<>();
    for (String name : map.keys()) {
      String shard = map.text(name);
      if (!shard.matches("[A-Za-z0-9_][A-Za-z0-9._-]*\\.safetensors")) {
        throw map.unsupported(name, "a plain file name ending in .safetensors");
      }
      shardOf.put(name, shard);
      files.computeIfAbsent(shard, s -> Safetensors.open(dir.resolve(s)));
    }
    files.forEach(
        (shard, file) -> {
          for (Safetensors.Entry entry : file.entries()) {
            String listed = shardOf.get(entry.name());
            if (!shard.equals(listed)) {
              throw InputException.in(
                  index, "weight_map, " + quoted(entry.name()), shard + ", where it is", listed == null ? "nothing" : listed);
            }
          }
        });
    shardOf.forEach(
        (name, shard) -> {
          if (!files.get(shard).contains(name)) {
            throw InputException.in(dir.resolve(shard), "tensor " + quoted(name), "as the index says", "no such tensor");
          }
        });
  }

  private void findTensors() {
    Map<String, Safetensors> surplus = new LinkedHashMap<>();
    for (Safetensors file : files.values()) {
      for (Safetensors.Entry entry : file.entries()) {
        if (!family.isBuffer(entry.name())) {
          surplus.put(entry.name(), file);
        }
      }
    }
    for (TensorSpec spec : config.tensors()) {
      String name = family.hfName(spec.name());
      Safetensors file = surplus.remove(name);
      if (file == null) {
        Path where = files.size() == 1 ? files.values().iterator().next().file() : dir.resolve(INDEX);
        throw InputException.in(
            where, "tensor " + quoted(name), "shape " + Arrays.toString(spec.shape()) + " by " + CONFIG, "no such tensor");
      }
      check(file, name, spec);
      places.put(spec.name(), new Place(file, name));
    }
    surplus.forEach(
        (name, file) -> {
          if (!isTiedCopy(name, file)) {
            throw InputException.in(
                file.file(), "tensor " + quoted(name), "none of this name by " + CONFIG, "shape " + file.entry(name).shape());
          }
        });
  }

  private static void check(Safetensors file, String name, TensorSpec spec) {
    Safetensors.Entry entry = file.entry(name);
    if (!Arrays.equals(entry.axes(), spec.shape())) {
      String expected = "shape " + Arrays.toString(spec.shape()) + " by " + CONFIG;
      throw InputException.in(file.file(), "tensor " + quoted(name), expected, "shape " + entry.shape());
    }
    if (!entry.dtype().isWeight()) {
      throw InputException.in(file.file(), "tensor " + quoted(name), "F32, BF16, F16 or F64", entry.dtype().name());
    }
  }

  /** A tied head that was saved all the same. */
  private boolean isTiedCopy(String name, Safetensors file) {
    Place embedding = places.get("embed_in.weight");
    return config.tiedHead()
        && name.equals(family.hfName("embed_out.weight"))
        && file.data(name).mismatch(embedding.file().data(embedding.name())) < 0;
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
  public Collection<Safetensors> files() {
    return files.values();
  }

  @Override
  public Optional<String> tokenizerJson() {
    return tokenizer().map(HfFolder::text);
  }

  static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read as UTF-8: " + AtomicFile.reason(e), e);
    }
  }

  @Override
  public String storedAs(String canonical) {
    Place place = place(canonical);
    return place.file().dtype(place.name()).name();
  }

  @Override
  public Tensor tensor(String canonical) {
    Place place = place(canonical);
    return place.file().tensor(place.name());
  }

  @Override
  public Optional<MappedTensor> mapped(String canonical) {
    Place place = place(canonical);
    return Optional.of(new MappedTensor(place.file().dtype(place.name()), place.file().data(place.name())));
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
    files.values().forEach(Safetensors::release);
  }

  /** Unmaps the weights. */
  @Override
  public void close() {
    files.values().forEach(Safetensors::close);
  }
}
