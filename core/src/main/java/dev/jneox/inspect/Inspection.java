package dev.jneox.inspect;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import dev.jneox.io.StorageException;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Describes a model folder, a model file or a bare file of tensors.
 *
 * @param format in a few words
 * @param spec of the model; a bare file has none
 * @param parameters elements of all tensors
 * @param parts parameters of embedding, norms, attention, mlp and head; none for a bare file
 * @param dtypes by name, in the words of the format
 * @param tokenizer of the model, where it has one
 */
public record Inspection(
    Path path,
    String format,
    Optional<ModelSpec> spec,
    long parameters,
    Map<String, Long> parts,
    Map<String, Stored> dtypes,
    List<StoredFile> files,
    Optional<Vocabulary> tokenizer,
    List<StoredTensor> tensors) {

  /** What is stored in one type. */
  public record Stored(long tensors, long parameters, long bytes) {
    private Stored plus(Contents.Entry entry) {
      return new Stored(tensors + 1, parameters + entry.elements(), bytes + entry.bytes());
    }
  }

  /**
   * A file of the model.
   *
   * @param name within the folder
   * @param sha256 empty unless it was asked for
   */
  public record StoredFile(String name, long bytes, Optional<String> sha256) {}

  /**
   * The tokenizer beside the embedding.
   *
   * @param tokens ids the tokenizer knows
   * @param rows of the embedding
   * @param padding rows that no id of the tokenizer leads to
   */
  public record Vocabulary(int tokens, int rows, int padding) {}

  /**
   * A tensor as it lies on disk.
   *
   * @param sha256 of the values in canonical layout, row by row, little-endian; empty unless it was
   *     asked for
   */
  public record StoredTensor(
      String name, String dtype, long[] shape, long bytes, Optional<String> sha256) {}

  /** What checksums are computed of. */
  public enum Checksums {
    /** Nothing: only headers are read. */
    NONE,
    /** Every file. */
    FILES,
    /** Every file and the values of every tensor. */
    FILES_AND_TENSORS
  }

  /** Describes contents from their headers, without checksums. */
  public static Inspection of(Contents contents) {
    return of(contents, Checksums.NONE, Progress.Display.SILENT);
  }

  /**
   * Describes contents.
   *
   * @param display shows the bytes that are hashed
   * @throws InputException when the tokenizer is none
   * @throws StorageException when a file cannot be read
   */
  public static Inspection of(Contents contents, Checksums checksums, Progress.Display display) {
    Map<String, Stored> dtypes = new LinkedHashMap<>();
    Map<String, Long> parts = new LinkedHashMap<>();
    long parameters = 0;
    for (Contents.Entry entry : contents.entries()) {
      dtypes.put(
          entry.dtype(), dtypes.getOrDefault(entry.dtype(), new Stored(0, 0, 0)).plus(entry));
      parameters += entry.elements();
      if (contents.model().isPresent()) {
        parts.merge(part(entry.name()), entry.elements(), Long::sum);
      }
    }
    List<StoredFile> files = new ArrayList<>();
    List<StoredTensor> tensors = new ArrayList<>();
    try (Progress progress = hashing(contents, checksums, display)) {
      for (Path file : contents.files()) {
        files.add(
            new StoredFile(
                file.equals(contents.path())
                    ? file.getFileName().toString()
                    : contents.path().relativize(file).toString(),
                size(file),
                checksums == Checksums.NONE
                    ? Optional.empty()
                    : Optional.of(Sha256.of(file, progress))));
      }
      for (Contents.Entry entry : contents.entries()) {
        tensors.add(
            new StoredTensor(
                entry.name(),
                entry.dtype(),
                entry.shape(),
                entry.bytes(),
                checksums == Checksums.FILES_AND_TENSORS
                    ? Optional.of(hash(contents, entry.name(), progress))
                    : Optional.empty()));
      }
      progress.total(progress.done());
    }
    return new Inspection(
        contents.path(),
        contents.format(),
        contents.model().map(StoredModel::spec),
        parameters,
        parts,
        dtypes,
        files,
        contents.model().flatMap(Inspection::vocabulary),
        tensors);
  }

  private static Progress hashing(
      Contents contents, Checksums checksums, Progress.Display display) {
    long bytes = contents.entries().stream().mapToLong(Contents.Entry::bytes).sum();
    return switch (checksums) {
      case NONE -> Progress.silent();
      case FILES -> display.begin("hashing", bytes);
      case FILES_AND_TENSORS -> display.begin("hashing", 2 * bytes);
    };
  }

  private static String hash(Contents contents, String name, Progress progress) {
    try {
      try (Arena arena = Arena.ofShared()) {
        return Sha256.of(contents.read(name, arena), progress);
      }
    } finally {
      contents.release();
    }
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  /** The part of the model that a canonical name belongs to. */
  private static String part(String name) {
    if (name.startsWith("embed_in") || name.startsWith("embed_positions")) {
      return "embedding";
    }
    if (name.startsWith("embed_out")) {
      return "head";
    }
    return name.contains("norm") ? "norms" : name.contains(".attention.") ? "attention" : "mlp";
  }

  private static Optional<Vocabulary> vocabulary(StoredModel model) {
    int rows = model.spec().vocabulary().rows();
    return model
        .tokenizerJson()
        .map(
            json -> {
              try (Tokenizer tokenizer = Tokenizer.parse(json, model.path())) {
                int tokens = tokenizer.vocabSize();
                return new Vocabulary(tokens, rows, Math.max(0, rows - tokens));
              }
            });
  }
}
