package dev.jneox.cli;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonInclude;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import dev.jneox.model.Attention;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
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

/**
 * What is in a model folder or a file of tensors: what {@code inspect} prints.
 *
 * @param spec null for a bare file
 * @param config the same for JSON; null for a bare file
 * @param parameters elements of all tensors
 * @param parts parameters by part of the model; empty for a bare file
 * @param dtypes by name, in the words of the format
 * @param tokenizer null without one
 * @param tensors null unless asked for
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record Inspection(
    String path,
    String format,
    @JsonIgnore ModelSpec spec,
    Map<String, Object> config,
    long parameters,
    Map<String, Long> parts,
    Map<String, Stored> dtypes,
    List<StoredFile> files,
    Vocabulary tokenizer,
    List<StoredTensor> tensors) {

  /** What is stored in one type. */
  record Stored(long tensors, long parameters, long bytes) {
    Stored plus(Contents.Entry entry) {
      return new Stored(tensors + 1, parameters + entry.elements(), bytes + entry.bytes());
    }
  }

  /**
   * @param sha256 null unless asked for
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record StoredFile(String name, long bytes, String sha256) {}

  /**
   * @param tokens ids the tokenizer knows
   * @param rows of the embedding
   * @param padding rows that no id of the tokenizer leads to
   */
  record Vocabulary(int tokens, int rows, int padding) {}

  /**
   * @param sha256 of the values in canonical layout, row by row, little-endian; null unless asked
   *     for
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record StoredTensor(String name, String dtype, long[] shape, long bytes, String sha256) {}

  static Inspection of(Contents contents, boolean tensors, boolean checksums) {
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
    long bytes = contents.entries().stream().mapToLong(Contents.Entry::bytes).sum();
    List<StoredFile> files = new ArrayList<>();
    List<StoredTensor> rows = new ArrayList<>();
    try (Progress progress =
        checksums
            ? ProgressLine.bytes("hashing", tensors ? 2 * bytes : bytes)
            : Progress.silent()) {
      for (Path file : contents.files()) {
        String name =
            file.equals(contents.path())
                ? file.getFileName().toString()
                : contents.path().relativize(file).toString();
        files.add(new StoredFile(name, size(file), checksums ? Sha256.of(file, progress) : null));
      }
      if (tensors) {
        for (Contents.Entry entry : contents.entries()) {
          String hash = checksums ? hash(contents, entry.name(), progress) : null;
          rows.add(
              new StoredTensor(entry.name(), entry.dtype(), entry.shape(), entry.bytes(), hash));
        }
      }
      progress.total(progress.done());
    }
    return new Inspection(
        contents.path().toString(),
        contents.format(),
        contents.model().map(StoredModel::spec).orElse(null),
        contents.model().map(model -> config(model.spec())).orElse(null),
        parameters,
        parts,
        dtypes,
        files,
        contents.model().map(Inspection::vocabulary).orElse(null),
        tensors ? rows : null);
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

  /** The configuration under the names that the command's JSON has had from the beginning. */
  private static Map<String, Object> config(ModelSpec spec) {
    Attention attention = spec.first().attention();
    FeedForward feedForward = spec.first().feedForward();
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("vocab_size", spec.vocabulary().rows());
    config.put("used_vocab", spec.vocabulary().used());
    config.put("hidden_size", spec.width());
    config.put("layers", spec.layers());
    config.put("heads", attention.heads());
    config.put("kv_heads", attention.kvHeads());
    config.put("head_dim", attention.headDim());
    config.put("intermediate_size", feedForward.width());
    config.put("gated_mlp", feedForward.isGated());
    config.put("max_positions", spec.maxPositions());
    config.put("position", position(spec));
    config.put(
        "residual",
        switch (spec.first().residual()) {
          case Residual.Serial serial -> "SERIAL";
          case Residual.Parallel parallel -> "PARALLEL";
          case Residual.ParallelOneNorm one -> "PARALLEL_ONE_NORM";
        });
    config.put("activation", feedForward.activation());
    config.put("norm", spec.finalNorm() instanceof Norm.Rms ? "RMS" : "LAYER");
    config.put("layer_norm_eps", spec.finalNorm().eps());
    config.put("windows", spec.windows());
    config.put("scaled_attention", attention.isScaled());
    config.put("qkv_bias", attention.qkvBias());
    config.put("dense_bias", attention.outBias());
    config.put("head_bias", spec.head().bias());
    config.put("tied_head", spec.head().tied());
    config.put("end_of_text", spec.vocabulary().endOfText());
    return config;
  }

  private static Map<String, Object> position(ModelSpec spec) {
    Map<String, Object> position = new LinkedHashMap<>();
    switch (spec.first().attention().position()) {
      case Position.None() ->
          position.put("type", spec.embedding().learnedPositions() ? "Learned" : "None");
      case Position.Rotary(int dims, double base, boolean interleaved) -> {
        position.put("type", "Rotary");
        position.put("dims", dims);
        position.put("base", base);
        position.put("interleaved", interleaved);
      }
    }
    return position;
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

  private static Vocabulary vocabulary(StoredModel model) {
    int rows = model.spec().vocabulary().rows();
    return model
        .tokenizerJson()
        .map(
            json -> {
              try (Tokenizer tokenizer = Tokenizer.parse(json, model.path())) {
                return new Vocabulary(tokenizer.vocabSize(), rows, rows - tokenizer.vocabSize());
              }
            })
        .orElse(null);
  }
}
