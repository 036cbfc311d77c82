package dev.jneox.checkpoint;

import dev.jneox.checkpoint.SafetensorsWriter.Declared;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/**
 * Writes the folder that {@link HfFolder} reads. All files are first written into a folder {@code .partial} inside it; then the
 * old {@code config.json} goes, the files move to their names and the new {@code config.json} comes last. So a model that could
 * not be written leaves the old one as it was, and a folder with a {@code config.json} is whole.
 */
final class HfFolderWriter {
  /** transformers' own bound on one file. */
  static final long SHARD_BYTES = 5_000_000_000L;

  private static final String WEIGHT_FILES = "model(-\\d{5}-of-\\d{5})?\\.safetensors(\\.index\\.json)?";

  private final Path dir;
  private final Path partial;
  private final ModelConfig config;
  private final Dtype dtype;
  private final NeoxFamily family = new NeoxFamily();

  HfFolderWriter(Path dir, ModelConfig config, Dtype dtype) {
    if (!dtype.isWeight()) {
      throw new IllegalArgumentException("weights are not written as " + dtype);
    }
    this.dir = dir;
    this.partial = dir.resolve(".partial");
    this.config = config;
    this.dtype = dtype;
  }

  void write(Map<String, Tensor> tensors, Path tokenizer, long shardBytes) {
    check(tensors);
    Map<String, Object> json = family.json(config, torchName());
    try {
      clear();
      Files.createDirectories(partial);
      writeWeights(tensors, shardBytes);
      if (tokenizer != null) {
        writeTokenizer(tokenizer);
      }
      writeJson("generation_config.json", generation());
      writeJson(HfFolder.CONFIG, json);
      publish();
    } catch (IOException e) {
      throw new InputException(dir + ": cannot be written: " + AtomicFile.reason(e), e);
    } finally {
      clear();
    }
  }

  private void check(Map<String, Tensor> tensors) {
    List<String> names = config.tensors().stream().map(TensorSpec::name).toList();
    if (tensors.size() != names.size() || !tensors.keySet().containsAll(names)) {
      throw new IllegalArgumentException("the model has tensors " + names + ", given were " + tensors.keySet());
    }
    for (TensorSpec spec : config.tensors()) {
      long[] shape = Tensors.shape(tensors.get(spec.name()));
      if (!Arrays.equals(shape, spec.shape())) {
        throw new IllegalArgumentException(
            spec.name() + " has shape " + Arrays.toString(shape) + ", the model's is " + Arrays.toString(spec.shape()));
      }
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

  private void writeWeights(Map<String, Tensor> tensors, long shardBytes) {
    List<List<TensorSpec>> shards = shards(shardBytes);
    Map<String, String> weightMap = new TreeMap<>();
    for (int i = 0; i < shards.size(); i++) {
      String file =
          shards.size() == 1 ? HfFolder.WEIGHTS : String.format("model-%05d-of-%05d.safetensors", i + 1, shards.size());
      writeShard(partial.resolve(file), shards.get(i), tensors);
      shards.get(i).forEach(spec -> weightMap.put(family.hfName(spec.name()), file));
    }
    if (shards.size() > 1) {
      Map<String, Object> index = new LinkedHashMap<>();
      index.put("metadata", Map.of("total_size", config.parameters() * (dtype.bits() / 8)));
      index.put("weight_map", weightMap);
      writeJson(HfFolder.INDEX, index);
    }
  }

  /** Tensors in order, a new shard whenever the next would not fit. */
  private List<List<TensorSpec>> shards(long shardBytes) {
    List<List<TensorSpec>> shards = new ArrayList<>();
    long free = -1;
    for (TensorSpec spec : config.tensors()) {
      long bytes = spec.elements() * (dtype.bits() / 8);
      if (bytes > free) {
        shards.add(new ArrayList<>());
        free = shardBytes;
      }
      shards.getLast().add(spec);
      free -= bytes;
    }
    return shards;
  }

  private void writeShard(Path file, List<TensorSpec> specs, Map<String, Tensor> tensors) {
    List<Declared> declared = new ArrayList<>();
    for (TensorSpec spec : specs) {
      List<Long> shape = Arrays.stream(spec.shape()).boxed().toList();
      declared.add(new Declared(family.hfName(spec.name()), dtype, shape));
    }
    try (SafetensorsWriter writer = new SafetensorsWriter(file, declared, SafetensorsWriter.PYTORCH)) {
      for (TensorSpec spec : specs) {
        // One tensor at a time is converted; what the conversion makes goes with the scope.
        try (PointerScope scope = new PointerScope()) {
          Tensor rows = tensors.get(spec.name()).detach().cpu().to(dtype.scalarType()).contiguous();
          writer.write(family.hfName(spec.name()), Tensors.segment(rows));
        }
      }
      writer.commit();
    }
  }

  private void writeTokenizer(Path tokenizer) throws IOException {
    int used = Vocabulary.size(tokenizer);
    if (used > config.vocabSize()) {
      throw InputException.in(
          tokenizer, "largest id", "below the model's vocab_size " + config.vocabSize(), String.valueOf(used - 1));
    }
    AtomicFile.write(partial.resolve(HfFolder.TOKENIZER), Files.readAllBytes(tokenizer));
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("tokenizer_class", "PreTrainedTokenizerFast");
    json.put("model_max_length", config.maxPositions());
    json.put("clean_up_tokenization_spaces", false);
    Vocabulary.token(tokenizer, config.endOfText())
        .ifPresent(
            text -> {
              json.put("bos_token", text);
              json.put("eos_token", text);
              json.put("unk_token", text);
            });
    writeJson("tokenizer_config.json", json);
  }

  private Map<String, Object> generation() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("_from_model_config", true);
    if (config.endOfText() >= 0) {
      json.put("bos_token_id", config.endOfText());
      json.put("eos_token_id", config.endOfText());
    }
    return json;
  }

  private void writeJson(String name, Map<String, ?> content) {
    AtomicFile.write(partial.resolve(name), JsonObject.write(content));
  }

  private void publish() throws IOException {
    Files.deleteIfExists(dir.resolve(HfFolder.CONFIG));
    for (Path file : list(dir)) {
      if (file.getFileName().toString().matches(WEIGHT_FILES)) {
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
      throw new InputException(partial + ": cannot be cleared: " + AtomicFile.reason(e), e);
    }
  }

  private static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
