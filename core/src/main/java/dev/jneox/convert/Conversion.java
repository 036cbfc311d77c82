package dev.jneox.convert;

import dev.jneox.convert.ModelCard.Facts;
import dev.jneox.format.gguf.GgufExport;
import dev.jneox.format.gguf.GgufValue;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.format.neox.NeoxCheckpointWriter;
import dev.jneox.format.packed.PackedFolder;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.ByteSize;
import dev.jneox.io.FreeDisk;
import dev.jneox.io.InputException;
import dev.jneox.io.Overwrite;
import dev.jneox.io.StorageException;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongConsumer;
import java.util.stream.Stream;

/**
 * Writes a model in another format, one tensor at a time, so that the memory needed is that of the
 * largest tensor. Any format that can be opened converts to any that can be written. The result
 * appears under its name whole or not at all, and only then replaces an older model.
 *
 * @param model remains open
 * @param target a folder; for GGUF a file
 * @param format the format to write
 * @param type of the weights to write
 * @param ranks degree of tensor parallelism of a NeoX checkpoint; else 1
 * @param shardBytes largest weight file of an HF folder
 */
public record Conversion(
    StoredModel model, Path target, Format format, WeightType type, int ranks, long shardBytes) {
  /** transformers' own limit for one file. */
  public static final long SHARD_BYTES = 5_000_000_000L;

  private static final String CARD = "README.md";

  /** Bytes reserved for headers, configuration and tokenizer. */
  private static final long BESIDE_THE_WEIGHTS = 32 << 20;

  /**
   * Names of the files and folders of models, and of partial ones. A folder that holds only such
   * may be replaced.
   */
  private static final String PARTS =
      "(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\\.json|merges\\.txt"
          + "|chat_template\\.jinja|additional_chat_templates"
          + "|README\\.md|LICENSE|NOTICE|\\.gitattributes|SHA256SUMS"
          + "|(model|pytorch_model)(-\\d{5}-of-\\d{5})?\\.(safetensors|bin)(\\.index\\.json)?"
          + "|latest|configs|global_step\\d+|[.].+[.]lock|.*[.]partial";

  /** Lists the formats that models are written in. */
  public enum Format {
    /** A folder of HF transformers; with quantised weights, a {@link PackedFolder}. */
    HF,
    /** A checkpoint of GPT-NeoX: a file for each layer and tensor-parallel rank. */
    NEOX,
    /** One file for llama.cpp. */
    GGUF
  }

  /**
   * Checks that the format has the type and that the name fits the format.
   *
   * @throws InputException when not
   */
  public Conversion {
    if (format == Format.NEOX && type.isQuantised()) {
      throw new InputException(
          target
              + ": expected f32, bf16 or f16 in a model of format "
              + lower(format)
              + ", found "
              + lower(type)
              + ", which gguf and hf have");
    }
    if (format == Format.GGUF && !target.toString().endsWith(".gguf")) {
      throw new InputException(
          target + ": expected a name that ends in .gguf: this format is one file");
    }
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  /**
   * Returns the bytes of the weights to be written.
   *
   * @throws InputException when the format has no such model
   */
  public long bytes() {
    return switch (format) {
      case HF -> type.isQuantised() ? packed().bytes() : hf(target).bytes();
      case NEOX -> neox(target).bytes();
      case GGUF -> gguf().bytes();
    };
  }

  /**
   * Finds a type that a part of the model is stored in and that is not the one written: such a part
   * is converted.
   */
  public Optional<String> otherType() {
    return model.tensors().stream()
        .map(StoredTensor::type)
        .filter(name -> !name.equals(type.name()))
        .findFirst();
  }

  /** Lists what a user of the result should know, one line each; usually empty. */
  public List<String> warnings() {
    return switch (format) {
      case HF ->
          type.isQuantised() || HfFolder.modelType(model.spec()).equals(HfFolder.OWN_TYPE)
              ? List.of("HF transformers has no such model: only JNeoX will read the folder")
              : List.of();
      case NEOX -> List.of();
      case GGUF -> gguf().warnings();
    };
  }

  /**
   * Checks everything that can be checked before writing.
   *
   * @param replace whether an existing model may be replaced
   * @throws InputException when the format has no such model, or the target exists and may not be
   *     replaced
   * @throws StorageException when the disk has too little room
   */
  public void check(boolean replace) {
    check(target, format != Format.GGUF, bytes(), replace);
  }

  /** Does the same for {@code bytes} of weights in a folder, or in a file. */
  static void check(Path target, boolean isFolder, long bytes, boolean replace) {
    Overwrite.check(target, replace);
    if (Files.exists(target)) {
      checkReplaceable(target, isFolder);
    }
    long needed = bytes + BESIDE_THE_WEIGHTS;
    long free = FreeDisk.bytes(target);
    if (free < needed) {
      throw new StorageException(
          target,
          ByteSize.lack(needed, free) + " on its disk",
          "free some, or write elsewhere",
          null);
    }
  }

  /**
   * Rejects a target that holds anything but parts of a model, because a mistyped name must not
   * delete a user's files.
   */
  private static void checkReplaceable(Path target, boolean isFolder) {
    boolean folder = Files.isDirectory(target);
    if (folder != isFolder) {
      throw new InputException(
          target + ": is a " + (folder ? "folder" : "file") + ": choose another name");
    }
    if (!folder) {
      return;
    }
    try (Stream<Path> inside = Files.list(target)) {
      inside
          .map(path -> path.getFileName().toString())
          .filter(name -> !name.matches(PARTS))
          .findFirst()
          .ifPresent(
              name -> {
                throw new InputException(
                    target
                        + ": holds "
                        + name
                        + ", which is no part of a model: choose another name");
              });
    } catch (IOException e) {
      throw StorageException.of(target, "cannot be read", e);
    }
  }

  /**
   * Writes the model.
   *
   * @param progress receives the bytes written; they add up to {@link #bytes}
   */
  public void write(LongConsumer progress) {
    if (format == Format.GGUF) {
      gguf().write(model, progress);
    } else if (type.isQuantised()) {
      packed().write(target, progress);
    } else {
      try (AtomicFolder folder = new AtomicFolder(target)) {
        if (format == Format.HF) {
          hf(folder.path()).progress(progress).write(model);
        } else {
          neox(folder.path()).progress(progress).write(model);
        }
        folder.commit();
      }
    }
    model.release();
  }

  private HfFolderWriter hf(Path folder) {
    HfFolderWriter writer =
        new HfFolderWriter(folder, model.spec(), type.dtype())
            .shards(shardBytes)
            .sampling(model.sampling());
    model.tokenizerJson().ifPresent(json -> writer.tokenizer(json, model.path()));
    model.chatTemplates().ifPresent(writer::chatTemplates);
    return writer.file(CARD, card().getBytes(StandardCharsets.UTF_8));
  }

  /** Returns the card that the model came with, else one of the known facts. */
  private String card() {
    Path own = model.path().resolve(CARD);
    if (Files.isRegularFile(own)) {
      return HfFolder.text(own);
    }
    Facts facts = Facts.of(target.toAbsolutePath().normalize().getFileName().toString());
    return ModelCard.text(
        model.spec(),
        model instanceof SyntheticModel
            ? facts.withData("None: the weights are random numbers.")
            : facts);
  }

  private Quantisation packed() {
    return Quantisation.to(GgmlType.valueOf(type.name()), model);
  }

  private NeoxCheckpointWriter neox(Path folder) {
    NeoxCheckpointWriter writer =
        new NeoxCheckpointWriter(folder, model.spec(), type.dtype())
            .tensorParallel(ranks)
            .sampling(model.sampling());
    model.tokenizerJson().ifPresent(writer::tokenizer);
    model.chatTemplates().ifPresent(writer::chatTemplates);
    return writer;
  }

  private GgufExport gguf() {
    String name = target.getFileName().toString().replaceFirst("[.]gguf$", "");
    GgufExport export =
        new GgufExport(
            target,
            model.spec(),
            GgmlType.valueOf(type.name()),
            model.tokenizerJson().orElse(null),
            Map.of("general.name", GgufValue.text(name)));
    model.chatTemplates().ifPresent(export::chatTemplates);
    return export;
  }
}
