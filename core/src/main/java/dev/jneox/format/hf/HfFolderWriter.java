package dev.jneox.format.hf;

import dev.jneox.format.safetensors.SafetensorsWriter;
import dev.jneox.format.safetensors.SafetensorsWriter.Declared;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Part;
import dev.jneox.model.SamplingDefaults;
import dev.jneox.template.ChatTemplates;
import dev.jneox.tokenizer.TokenizerJson;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model as a folder that {@link HfFolder} and HF transformers load: {@code config.json},
 * {@code generation_config.json}, the weights in safetensors, and the files of the tokenizer. It
 * chooses the family that computes exactly the same as the model ({@link HfFolder#modelType}). One
 * tensor at a time is in memory.
 *
 * <p>The folder may exist; a model in it is replaced. All files are first written to a folder
 * {@code .partial} inside it. Then the old {@code config.json} is deleted, the files move to their
 * names, and the new {@code config.json} comes last. A failed write therefore leaves the old model
 * unchanged, and a folder with a {@code config.json} is complete.
 *
 * <pre>{@code
 * new HfFolderWriter(dir, model.spec(), Dtype.BF16).tokenizer(json, source).shards(5_000_000_000L).write(model);
 * }</pre>
 */
public final class HfFolderWriter {
  /** The text of a {@code tokenizer.json} and the file that error messages name for it. */
  private record Source(String json, Path file) {}

  /** transformers' own limit for one file. */
  private static final long SHARD_BYTES = 5_000_000_000L;

  private static final String WEIGHT_FILES =
      "(model(-\\d{5}-of-\\d{5})?\\.safetensors|pytorch_model(-\\d{5}-of-\\d{5})?\\.bin)(\\.index\\.json)?";

  private final Path dir;
  private final Path partial;
  private final ModelSpec spec;
  private final Dtype dtype;
  private final Family family;
  private final Map<String, byte[]> extra = new LinkedHashMap<>();
  private long shardBytes = SHARD_BYTES;
  private LongConsumer progress = bytes -> {};
  private @Nullable Source tokenizer;
  private @Nullable ChatTemplates chatTemplates;
  private SamplingDefaults sampling = SamplingDefaults.NONE;
  private List<Integer> ends;

  /**
   * Prepares a folder.
   *
   * @param dir the folder to write; it may exist
   * @param spec the model
   * @param dtype of the stored weights: F32, BF16, F16 or F64
   */
  public HfFolderWriter(Path dir, ModelSpec spec, Dtype dtype) {
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException("weights are not written as " + dtype);
    }
    this.dir = dir;
    this.partial = dir.resolve(".partial");
    this.spec = spec;
    this.dtype = dtype;
    this.family = Family.of(spec);
    this.ends = spec.vocabulary().ends();
  }

  /**
   * Adds a tokenizer.
   *
   * @param json the text of a {@code tokenizer.json}
   * @param source its origin, for messages
   */
  public HfFolderWriter tokenizer(String json, Path source) {
    tokenizer = new Source(json, source);
    return this;
  }

  /** Adds a tokenizer from a {@code tokenizer.json}. */
  public HfFolderWriter tokenizer(Path json) {
    return tokenizer(TokenizerJson.read(json), json);
  }

  /** Adds how tokens are to be drawn; nothing by default. */
  public HfFolderWriter sampling(SamplingDefaults defaults) {
    sampling = defaults;
    return this;
  }

  /** Replaces the ids that end a generated text; by default those of the model's vocabulary. */
  public HfFolderWriter ends(List<Integer> ids) {
    ends = List.copyOf(ids);
    return this;
  }

  /** Adds chat templates, and the special tokens that they name; none by default. */
  public HfFolderWriter chatTemplates(ChatTemplates templates) {
    chatTemplates = templates;
    return this;
  }

  /**
   * Limits the size of a weight file; a larger tensor gets a file of its own. The default is 5 GB.
   */
  public HfFolderWriter shards(long bytes) {
    shardBytes = bytes;
    return this;
  }

  /**
   * Adds a file, such as {@code README.md}. It replaces a file of that name which would be written.
   */
  public HfFolderWriter file(String name, byte[] content) {
    boolean own =
        name.matches(WEIGHT_FILES)
            || name.equals(HfFolder.CONFIG)
            || name.equals(HfFolder.TOKENIZER);
    if (own || !name.matches("[A-Za-z0-9_][A-Za-z0-9._-]*")) {
      throw new IllegalArgumentException("not the name of an extra file: " + name);
    }
    extra.put(name, content);
    return this;
  }

  /**
   * Sets a receiver for the bytes of each piece of weights written; they add up to {@link #bytes}.
   */
  public HfFolderWriter progress(LongConsumer written) {
    progress = written;
    return this;
  }

  /** Returns the bytes of all weights. */
  public long bytes() {
    return spec.parameterCount() * (dtype.bits() / 8);
  }

  /**
   * Writes the weights of a model, one tensor after another.
   *
   * @param weights of the given shape
   */
  public void write(ModelWeights weights) {
    if (!weights.spec().equals(spec)) {
      throw new IllegalArgumentException("the weights are those of another model");
    }
    try (TargetLock _ = TargetLock.take(dir)) {
      writeLocked(weights);
    }
  }

  private void writeLocked(ModelWeights weights) {
    try {
      clear();
      Files.createDirectories(partial);
      writeWeights(weights);
      Map<String, Object> settings = new LinkedHashMap<>();
      if (tokenizer != null) {
        writeTokenizer(tokenizer, settings);
      }
      if (chatTemplates != null) {
        settings.putAll(chatTemplates.config());
      }
      if (!settings.isEmpty()) {
        writeJson(ChatTemplates.CONFIG, settings);
      }
      writeJson(GenerationConfig.FILE, generation());
      extra.forEach((name, content) -> AtomicFile.write(partial.resolve(name), content));
      writeJson(HfFolder.CONFIG, family.json(spec, torchName()));
      publish();
    } catch (IOException e) {
      throw StorageException.of(dir, "cannot be written", e);
    } finally {
      clear();
    }
  }

  private String torchName() {
    return switch (dtype) {
      case F32 -> "float32";
      case BF16 -> "bfloat16";
      case F16 -> "float16";
      default -> "float64";
    };
  }

  private void writeWeights(ModelWeights weights) {
    List<List<TensorExpression>> shards = shards();
    Map<String, String> weightMap = new TreeMap<>();
    for (int i = 0; i < shards.size(); i++) {
      String file =
          shards.size() == 1
              ? HfFolder.WEIGHTS
              : String.format("model-%05d-of-%05d.safetensors", i + 1, shards.size());
      writeShard(partial.resolve(file), shards.get(i), weights);
      shards.get(i).forEach(tensor -> weightMap.put(family.prefixed(tensor.name()), file));
    }
    if (shards.size() > 1) {
      Map<String, Object> index = new LinkedHashMap<>();
      index.put("metadata", Map.of("total_size", bytes()));
      index.put("weight_map", weightMap);
      writeJson(HfFolder.INDEX, index);
    }
  }

  /** Divides the tensors among files, in order. */
  private List<List<TensorExpression>> shards() {
    List<List<TensorExpression>> shards = new ArrayList<>();
    long free = -1;
    for (List<TensorExpression> unit : units()) {
      long bytes = unit.stream().mapToLong(TensorExpression::elements).sum() * (dtype.bits() / 8);
      if (bytes > free) {
        shards.add(new ArrayList<>());
        free = shardBytes;
      }
      shards.getLast().addAll(unit);
      free -= bytes;
    }
    return shards;
  }

  /** Lists the groups of tensors that stay in one file: queries, keys and values of a block. */
  private List<List<TensorExpression>> units() {
    List<List<TensorExpression>> units = new ArrayList<>();
    for (TensorExpression tensor : family.tensors(spec)) {
      Part part = tensor.first().part();
      if (part == Part.KEY || part == Part.VALUE) {
        units.getLast().add(tensor);
      } else {
        units.add(new ArrayList<>(List.of(tensor)));
      }
    }
    return units;
  }

  private void writeShard(Path file, List<TensorExpression> tensors, ModelWeights weights) {
    List<Declared> declared =
        tensors.stream()
            .map(
                tensor ->
                    new Declared(
                        family.prefixed(tensor.name()),
                        dtype,
                        Arrays.stream(tensor.shape()).boxed().toList()))
            .toList();
    try (SafetensorsWriter writer =
        new SafetensorsWriter(file, declared, SafetensorsWriter.PYTORCH)) {
      for (TensorExpression tensor : tensors) {
        // One tensor at a time is converted; the arena frees the converted copy.
        try (Arena arena = Arena.ofShared()) {
          weights
              .read(tensor, arena)
              .convert(
                  dtype,
                  piece -> {
                    writer.write(family.prefixed(tensor.name()), piece);
                    progress.accept(piece.byteSize());
                  });
        }
        weights.release();
      }
      writer.commit();
    }
  }

  private void writeTokenizer(Source tokenizer, Map<String, Object> json) {
    AtomicFile.write(
        partial.resolve(HfFolder.TOKENIZER), tokenizer.json.getBytes(StandardCharsets.UTF_8));
    json.put("tokenizer_class", "PreTrainedTokenizerFast");
    json.put("model_max_length", spec.maxPositions());
    json.put("clean_up_tokenization_spaces", false);
    if (chatTemplates != null) {
      return; // they have special tokens of their own
    }
    TokenizerIds.token(tokenizer.json, tokenizer.file, spec.vocabulary().endOfText())
        .ifPresent(
            text -> {
              json.put("bos_token", text);
              json.put("eos_token", text);
              json.put("unk_token", text);
            });
  }

  private Map<String, Object> generation() {
    Map<String, Object> json = new LinkedHashMap<>();
    if (sampling.equals(SamplingDefaults.NONE)) {
      json.put("_from_model_config", true);
    }
    if (spec.vocabulary().endOfText() >= 0) {
      json.put("bos_token_id", spec.vocabulary().endOfText());
    }
    json.putAll(GenerationConfig.json(ends, sampling));
    return json;
  }

  private void writeJson(String name, Map<String, ?> content) {
    AtomicFile.write(partial.resolve(name), JsonObject.write(content));
  }

  private void publish() throws IOException {
    Files.deleteIfExists(dir.resolve(HfFolder.CONFIG));
    for (Path file : list(dir)) {
      String name = file.getFileName().toString();
      // A template of the old model would replace that of the new one.
      if (name.matches(WEIGHT_FILES) || name.equals(ChatTemplates.FILE)) {
        Files.delete(file);
      }
    }
    for (Path file : list(partial)) {
      if (!file.endsWith(HfFolder.CONFIG)) {
        move(file);
      }
    }
    move(partial.resolve(HfFolder.CONFIG));
  }

  private void move(Path file) throws IOException {
    Files.move(file, dir.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
  }

  private void clear() {
    try {
      if (Files.isDirectory(partial)) {
        for (Path file : list(partial)) {
          Files.delete(file);
        }
        Files.delete(partial);
      }
    } catch (IOException e) {
      throw StorageException.of(partial, "cannot be cleared", e);
    }
  }

  private static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
