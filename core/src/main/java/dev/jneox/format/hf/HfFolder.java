package dev.jneox.format.hf;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.format.torch.TorchFile;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JneoxException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.SamplingDefaults;
import dev.jneox.template.ChatTemplates;
import dev.jneox.tokenizer.TokenizerJson;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.FileTensor;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import dev.jneox.weights.TensorFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Opens a model in the folder layout of HF transformers: {@code config.json}, weights in one file
 * or in shards with an index, and usually a {@code tokenizer.json}. It reads GPT-NeoX, GPT-J,
 * GPT-Neo, GPT-2 and Llama, and JNeoX's own type for models that none of these can express. The
 * weights are mapped. {@link #open} checks that the folder has every tensor of the configuration,
 * with its shape, and no other.
 *
 * <p>This object owns the mapping, which is read-only: values in place must not be used after
 * {@link #close}.
 */
public final class HfFolder implements StoredModel {
  /** The {@code model_type} of a folder that only JNeoX reads. */
  public static final String OWN_TYPE = "jneox";

  /** The file of the configuration. */
  public static final String CONFIG = "config.json";

  /** The file of the weights, where there is only one. */
  public static final String WEIGHTS = "model.safetensors";

  static final String INDEX = "model.safetensors.index.json";
  private static final String TORCH_WEIGHTS = "pytorch_model.bin";
  private static final String TORCH_INDEX = "pytorch_model.bin.index.json";

  /** The file of the tokenizer. */
  public static final String TOKENIZER = "tokenizer.json";

  /** The key of {@link #CONFIG} that describes the weights of a quantised folder. */
  public static final String QUANTISATION = "quantization_config";

  /**
   * The key for the number of ids that the tokenizer uses; counting them in {@code tokenizer.json}
   * takes longer than the rest of opening a folder.
   */
  public static final String USED_VOCAB = "used_vocab_size";

  /** The largest configuration or index that is read. */
  private static final long MAX_JSON = 16 << 20;

  private final Path dir;
  private final Family family;
  private final ModelSpec spec;
  private final Map<String, TensorFile> files = new LinkedHashMap<>();
  private final List<StoredTensor> tensors = new ArrayList<>();
  // Receives the error for each tensor that is wrong.
  private final Consumer<InputException> problem;

  private HfFolder(Path dir, Consumer<InputException> problem) {
    this.dir = dir;
    this.problem = problem;
    JsonObject json = json(dir);
    this.family = Family.of(json);
    this.spec = spec(dir, json);
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

  /**
   * Reads the configuration, maps the weights and checks that they agree.
   *
   * @throws InputException when they do not
   */
  public static HfFolder open(Path dir) {
    return new HfFolder(
        dir,
        wrong -> {
          throw wrong;
        });
  }

  /** Lists all reasons for which {@link #open} rejects a folder; empty when it opens. */
  public static List<String> problems(Path dir) {
    List<String> problems = new ArrayList<>();
    try (HfFolder _ = new HfFolder(dir, wrong -> problems.add(wrong.getMessage()))) {
      return problems;
    } catch (JneoxException e) {
      problems.add(e.getMessage());
      return problems;
    }
  }

  /**
   * Returns the {@code model_type} as which a model is written: {@code gpt_neox}, {@code gptj},
   * {@code gpt2}, {@code gpt_neo} or {@code llama} if that family computes exactly the same; else
   * {@link #OWN_TYPE}, which HF transformers rejects.
   */
  public static String modelType(ModelSpec spec) {
    return Family.of(spec).modelType();
  }

  /** Reads the shape of the model in {@code dir} without reading the weights. */
  public static ModelSpec spec(Path dir) {
    return spec(dir, json(dir));
  }

  private static JsonObject json(Path dir) {
    Path file = dir.resolve(CONFIG);
    if (!Files.isRegularFile(file)) {
      throw new InputException(dir + ": not a model folder: it has no " + CONFIG);
    }
    return JsonObject.read(file, MAX_JSON);
  }

  private static ModelSpec spec(Path dir, JsonObject json) {
    Family family = Family.of(json);
    try {
      ModelSpec spec = family.spec(json, usedVocab(dir, json, family.vocabSize(json)));
      List<Integer> generated = GenerationConfig.ends(dir);
      List<Integer> ends = generated.isEmpty() ? Family.ends(json) : generated;
      return ends.isEmpty() ? spec : spec.withVocabulary(spec.vocabulary().withEnds(ends));
    } catch (IllegalArgumentException e) {
      throw new InputException(dir.resolve(CONFIG) + ": " + e.getMessage(), e);
    }
  }

  /**
   * Returns how many rows the tokenizer uses, from the configuration or counted; without a
   * tokenizer every row of the embedding counts.
   */
  private static int usedVocab(Path dir, JsonObject json, int vocabSize) {
    JsonObject quantised = json.object(QUANTISATION).orElse(null);
    if (quantised != null && quantised.has(USED_VOCAB)) {
      return quantised.integer(USED_VOCAB, 0, 1, vocabSize);
    }
    // Tokens may have been added without rows for them: only their ids cannot be used.
    return TokenizerJson.in(dir)
        .map(tokenizer -> Math.min(TokenizerIds.size(tokenizer), vocabSize))
        .orElse(vocabSize);
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

  /** Opens one file of weights, by the suffix of its name. */
  private static TensorFile openWeights(Path file) {
    return file.toString().endsWith(".bin") ? TorchFile.open(file) : Safetensors.open(file);
  }

  private void openShards(Path index, String ending) {
    JsonObject map =
        JsonObject.read(index, MAX_JSON)
            .object("weight_map")
            .orElseThrow(
                () ->
                    InputException.in(
                        index, "weight_map", "an object of tensor name to file", "nothing"));
    Map<String, String> shardOf = new LinkedHashMap<>();
    for (String name : map.keys()) {
      String shard = map.text(name).orElse("");
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
            if (!shard.equals(listed) && !isBuffer(name)) {
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
          if (!Objects.requireNonNull(files.get(shard)).names().contains(name) && !isBuffer(name)) {
            throw InputException.in(
                dir.resolve(shard),
                "tensor " + quoted(name),
                "as the index says",
                "no such tensor");
          }
        });
  }

  /** Returns whether a tensor is none of the model's parameters, so that nothing depends on it. */
  private boolean isBuffer(String name) {
    return family.isBuffer(family.bare(name));
  }

  /** Locates a tensor that is not matched with a parameter yet. */
  private record Stored(TensorFile file, String name) {
    Dtype dtype() {
      return file.dtype(name);
    }
  }

  private void findTensors(Path listing) {
    Map<String, Stored> surplus = new LinkedHashMap<>();
    for (TensorFile file : files.values()) {
      for (String name : file.names()) {
        String bare = family.bare(name);
        Stored found = new Stored(file, name);
        Stored other = isBuffer(name) ? null : surplus.put(bare, found);
        if (other != null) {
          throw wrong(found, "one tensor for " + quoted(bare), quoted(other.name) + " as well");
        }
      }
    }
    CanonicalNames.requireTensors(spec, dir.resolve(CONFIG), surplus.size());
    String head = family.head() + ".weight";
    if (spec.head().tied() && surplus.containsKey(head)) {
      // Of two names for one matrix, a program may have kept the head's.
      family.tensors(spec).stream()
          .filter(tensor -> tensor.first().equals(spec.headWeight()))
          .filter(tensor -> !surplus.containsKey(tensor.name()))
          .forEach(
              tensor -> surplus.put(tensor.name(), Objects.requireNonNull(surplus.remove(head))));
    }
    Map<ParamId, FileTensor> queries = new HashMap<>();
    for (TensorExpression expression : family.tensors(spec)) {
      String name = expression.name();
      Stored found = surplus.remove(name);
      String expected = "shape " + Arrays.toString(expression.shape()) + " by " + CONFIG;
      if (found == null) {
        problem.accept(
            InputException.in(
                listing, "tensor " + quoted(family.prefixed(name)), expected, "no such tensor"));
        continue;
      }
      ParamId id = expression.first();
      FileTensor query = id.part().isQueryKeyValue() ? queries.get(id.of(Part.QUERY)) : null;
      if (!Arrays.equals(shape(found), expression.shape())) {
        problem.accept(wrong(found, expected, "shape " + Arrays.toString(shape(found))));
      } else if (!found.dtype().isWeight()) {
        problem.accept(wrong(found, "F32, BF16, F16 or F64", found.dtype().name()));
      } else if (query != null && found.dtype() != query.dtype()) {
        problem.accept(
            wrong(found, query.dtype() + " as " + quoted(query.source()), found.dtype().name()));
      } else {
        FileTensor tensor = new FileTensor(expression, found.file, found.name);
        tensors.add(tensor);
        if (id.part() == Part.QUERY) {
          queries.put(id, tensor);
        }
      }
    }
    surplus.forEach(
        (bare, found) -> {
          if (!isTiedCopy(bare, found)) {
            problem.accept(
                wrong(
                    found,
                    "none of this name by " + CONFIG,
                    "shape " + Arrays.toString(shape(found))));
          }
        });
  }

  private static long[] shape(Stored tensor) {
    return tensor.file.shape(tensor.name);
  }

  private static InputException wrong(Stored tensor, String expected, String found) {
    return InputException.in(tensor.file.file(), "tensor " + quoted(tensor.name), expected, found);
  }

  /** Returns whether a tensor is a copy of a tied head. */
  private boolean isTiedCopy(String bare, Stored head) {
    if (!spec.head().tied() || !bare.equals(family.head() + ".weight") || tensors.isEmpty()) {
      return false;
    }
    FileTensor embedding = (FileTensor) tensors.getFirst();
    if (embedding.expression().first().part() != Part.EMBEDDING
        || head.dtype() != embedding.dtype()) {
      return false;
    }
    try (Arena arena = Arena.ofShared()) {
      MemorySegment a = head.file.read(head.name, arena);
      return a.mismatch(embedding.read(arena).data()) < 0;
    }
  }

  @Override
  public Path path() {
    return dir;
  }

  @Override
  public ModelSpec spec() {
    return spec;
  }

  @Override
  public List<StoredTensor> tensors() {
    return Collections.unmodifiableList(tensors);
  }

  /** Returns the {@code tokenizer.json} of the folder, or its {@code vocab.json}; empty without. */
  public Optional<Path> tokenizer() {
    return TokenizerJson.in(dir);
  }

  /** Returns the mapped files: one, or the shards. */
  public Collection<TensorFile> files() {
    return Collections.unmodifiableCollection(files.values());
  }

  @Override
  public Optional<String> tokenizerJson() {
    return tokenizer().map(TokenizerJson::read);
  }

  @Override
  public SamplingDefaults sampling() {
    return GenerationConfig.sampling(dir);
  }

  @Override
  public Optional<ChatTemplates> chatTemplates() {
    return ChatTemplates.of(dir);
  }

  /**
   * Reads a text file in UTF-8.
   *
   * @throws InputException when it is missing or not UTF-8
   */
  public static String text(Path file) {
    try {
      return InputFile.text(file, InputFile.MAX_TOKENIZER);
    } catch (IOException e) {
      throw StorageException.ofText(file, e);
    }
  }

  @Override
  public void release() {
    files.values().forEach(TensorFile::release);
  }

  @Override
  public void check() {
    files.values().forEach(TensorFile::check);
  }

  /** Unmaps the weights. */
  @Override
  public void close() {
    files.values().forEach(TensorFile::close);
  }
}
