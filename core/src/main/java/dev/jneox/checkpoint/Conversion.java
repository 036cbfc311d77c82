package dev.jneox.checkpoint;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.model.ModelConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * A model to be written in some format: any that can be opened into any that can be written, one tensor at a time, so that a model
 * of any size passes through the memory of its largest tensor. It appears under its name whole or not at all, and what it replaces
 * goes only then.
 *
 * @param target a folder; for GGUF a file
 * @param ranks degree of tensor parallelism of a NeoX checkpoint; else 1
 * @param shardBytes largest weight file of an HF folder
 */
public record Conversion(Path target, Format format, WeightType type, int ranks, long shardBytes) {
  /** transformers' own bound on one file. */
  public static final long SHARD_BYTES = 5_000_000_000L;

  /** Headers, configuration, tokenizer. */
  private static final long BESIDE_THE_WEIGHTS = 32 << 20;

  /** Files and folders that models are made of: a folder that holds only such may be replaced. */
  private static final String PARTS =
      "(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\\.json|merges\\.txt|README\\.md"
          + "|LICENSE|NOTICE|\\.gitattributes|SHA256SUMS"
          + "|(model|pytorch_model)(-\\d{5}-of-\\d{5})?\\.(safetensors|bin)(\\.index\\.json)?"
          + "|latest|configs|global_step\\d+";

  /** The layouts on disk that models are written in. */
  public enum Format {
    /** A folder of HF transformers. */
    HF,
    /** A checkpoint of GPT-NeoX: a file for each layer and tensor-parallel rank. */
    NEOX,
    /** One file for llama.cpp. */
    GGUF
  }

  /** @throws InputException when the format does not know the type */
  public Conversion {
    if (format != Format.GGUF && type.isQuantised()) {
      throw new InputException(
          target + ": expected f32, bf16 or f16 in a folder of format " + lower(format) + ", found " + lower(type)
              + ", which only gguf has");
    }
    if (format == Format.GGUF && !target.toString().endsWith(".gguf")) {
      throw new InputException(target + ": expected a name that ends in .gguf: this format is one file");
    }
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  /** Bytes that the weights will take. */
  public long bytes(ModelConfig config) {
    return Math.round(config.parameters() * type.bytes());
  }

  /**
   * Says what stands in the way before anything is written.
   *
   * @param replace whether a model of that name may be replaced
   * @throws InputException when there is something of that name that may not be replaced, or too little room on the disk
   */
  public void check(ModelConfig config, boolean replace) {
    check(target, format != Format.GGUF, bytes(config), replace);
  }

  /** The same for {@code bytes} of weights in a folder, or in a file. */
  static void check(Path target, boolean isFolder, long bytes, boolean replace) {
    if (Files.exists(target)) {
      if (!replace) {
        throw new InputException(target + ": exists already: choose another name, or replace it with --force");
      }
      checkReplaceable(target, isFolder);
    }
    long needed = bytes + BESIDE_THE_WEIGHTS;
    Path folder = target.toAbsolutePath().normalize();
    while (!Files.isDirectory(folder)) {
      folder = folder.getParent();
    }
    try {
      long free = Files.getFileStore(folder).getUsableSpace();
      if (free < needed) {
        throw new InputException(
            String.format(
                Locale.ROOT, "%s: needs %.1f GB of disk, %.1f GB are free in %s: free some, or write elsewhere",
                target, needed / 1e9, free / 1e9, folder));
      }
    } catch (IOException e) {
      throw new InputException(folder + ": free space is unknown: " + AtomicFile.reason(e), e);
    }
  }

  /** Only what a model is made of may be replaced: a wrong name must not cost anybody his files. */
  private static void checkReplaceable(Path target, boolean isFolder) {
    if (!isFolder || !Files.isDirectory(target)) {
      if (Files.isDirectory(target) == !isFolder) {
        throw new InputException(target + ": is a " + (isFolder ? "file" : "folder") + ": choose another name");
      }
      return;
    }
    try (Stream<Path> inside = Files.list(target)) {
      inside
          .filter(path -> !path.getFileName().toString().matches(PARTS))
          .findFirst()
          .ifPresent(
              other -> {
                throw new InputException(target + ": holds " + other.getFileName() + ", which is no part of a model: choose another name");
              });
    } catch (IOException e) {
      throw new InputException(target + ": cannot be read: " + AtomicFile.reason(e), e);
    }
  }

  /**
   * Writes {@code model}; it stays open.
   *
   * @param progress is told the bytes of weights that are written, {@link #bytes} in all
   */
  public void write(StoredModel model, Progress progress) {
    try (StreamedModel streamed = new StreamedModel(model, progress, type.bytes())) {
      switch (format) {
        case HF -> writeHf(streamed);
        case NEOX, GGUF -> throw new InputException(target + ": format " + lower(format) + " is not written yet");
      }
    }
  }

  private void writeHf(StoredModel model) {
    try (AtomicFolder folder = new AtomicFolder(target)) {
      HfFolderWriter writer = new HfFolderWriter(folder.path(), model.config(), type.dtype()).shards(shardBytes);
      model.tokenizerJson().ifPresent(json -> writer.tokenizer(json, model.path()));
      writer.write(model::tensor);
      folder.commit();
    }
  }
}
