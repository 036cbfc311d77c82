package dev.jneox.checkpoint;

import dev.jneox.checkpoint.GgufWriter.Declared;
import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.model.Position;
import dev.jneox.tensor.Tensors;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.LongConsumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Writes a model as a GGUF file that llama.cpp runs: F32, F16, BF16, Q8_0 or Q4_0, with its
 * tokenizer inside.
 *
 * <pre>{@code
 * GgufExport export = new GgufExport(file, model.config(), GgmlType.Q8_0, model.tokenizerJson().orElse(null), Map.of());
 * export.concerns().forEach(System.err::println);
 * export.write(model::tensor, progress::step);
 * }</pre>
 *
 * <p>Only matrices are stored in the type asked for; norms, biases and learned positions stay in
 * F32. As in llama.cpp's own quantisation, a matrix whose rows are no whole number of blocks
 * becomes F16, and a Q4_0 file has a more exact output head (or embedding, where the two are one):
 * there Q6_K, here Q8_0. Where a graph of llama.cpp asks for a bias that the model does not have,
 * zeros are written; where it asks for a head, a tied model's embedding is written twice.
 */
public final class GgufExport {
  private static final String EMBEDDING = "embed_in.weight";

  /** A tensor of the file: the canonical one it is made of, or null where it is zeros. */
  private record Piece(Declared declared, String canonical) {}

  private final Path file;
  private final ModelConfig config;
  private final GgmlType type;
  private final boolean nfc;
  private final boolean tokenizer;
  private final GgufArchitecture architecture;
  private final Map<String, GgufValue> metadata = new LinkedHashMap<>();
  private final List<Piece> pieces = new ArrayList<>();

  /**
   * @param type of the matrices; one that {@link GgmlType#isWritable}
   * @param tokenizerJson the text of the model's {@code tokenizer.json}, or null: llama.cpp then
   *     knows token ids only
   * @param about further metadata, {@code general.name} and the like
   * @throws InputException when llama.cpp could not run such a model or does not know such a
   *     tokenizer
   */
  public GgufExport(
      Path file,
      ModelConfig config,
      GgmlType type,
      String tokenizerJson,
      Map<String, GgufValue> about) {
    if (!type.isWritable()) {
      throw new IllegalArgumentException("weights are not written as " + type);
    }
    this.file = file;
    this.config = config;
    this.type = type;
    this.architecture = GgufArchitecture.of(config, file);
    metadata.put(GgufArchitecture.ARCHITECTURE, GgufValue.text(architecture.key()));
    metadata.put("general.type", GgufValue.text("model"));
    metadata.put("general.file_type", GgufValue.u32(fileType()));
    metadata.put("general.quantization_version", GgufValue.u32(2));
    about.forEach(
        (key, value) -> {
          if (metadata.putIfAbsent(key, value) != null) {
            throw new IllegalArgumentException(key + " is not free to choose");
          }
        });
    metadata.putAll(architecture.metadata(config));
    metadata.putAll(
        GgufTokenizer.metadata(file, tokenizerJson, config.vocabSize(), config.endOfText()));
    this.tokenizer = tokenizerJson != null;
    this.nfc = tokenizer && GgufTokenizer.normalizes(metadata);
    addPieces();
  }

  /** llama.cpp's number for files that are mostly of a type. */
  private int fileType() {
    return switch (type) {
      case F32 -> 0;
      case F16 -> 1;
      case Q4_0 -> 2;
      case Q8_0 -> 7;
      case BF16 -> 32;
      default -> throw new IllegalArgumentException("weights are not written as " + type);
    };
  }

  private void addPieces() {
    for (TensorSpec spec : config.tensors()) {
      add(spec.name(), spec.name(), spec.shape());
      boolean lacksBias =
          spec.name().endsWith("attention.query_key_value.weight") && !config.qkvBias()
              || spec.name().endsWith("attention.dense.weight") && !config.denseBias()
              || spec.name().equals("embed_out.weight")
                  && !config.headBias()
                  && architecture == GgufArchitecture.PHI2;
      if (lacksBias) {
        add(spec.name().replace(".weight", ".bias"), null, spec.shape()[0]);
      }
    }
    if (config.tiedHead() && architecture != GgufArchitecture.GPT2) {
      add("embed_out.weight", EMBEDDING, config.vocabSize(), config.hiddenSize());
      if (architecture == GgufArchitecture.PHI2 && !config.headBias()) {
        add("embed_out.bias", null, config.vocabSize());
      }
    }
  }

  private void add(String as, String canonical, long... shape) {
    List<Long> axes = Arrays.stream(shape).boxed().toList();
    pieces.add(
        new Piece(
            new Declared(GgufArchitecture.tensorName(as), typeOf(as, shape), axes), canonical));
  }

  private GgmlType typeOf(String canonical, long[] shape) {
    if (shape.length < 2 || canonical.startsWith("embed_positions")) {
      return GgmlType.F32;
    }
    if (shape[shape.length - 1] % type.blockValues() != 0) {
      return GgmlType.F16;
    }
    boolean head =
        canonical.equals("embed_out.weight") || canonical.equals(EMBEDDING) && config.tiedHead();
    return head && type == GgmlType.Q4_0 ? GgmlType.Q8_0 : type;
  }

  /** What the one who reads the file with llama.cpp should know, a line each; mostly nothing. */
  public List<String> concerns() {
    List<String> concerns = new ArrayList<>();
    if (config.activation() == Activation.GELU) {
      concerns.add(
          "the model computes GELU exactly, llama.cpp by its tanh approximation: logits differ in"
              + " the third decimal");
    }
    if (interleaved()) {
      concerns.add("llama.cpp has no graph for GPT-J: written as phi2, which computes the same");
    }
    if (config.tiedHead() && architecture != GgufArchitecture.GPT2) {
      concerns.add(
          "llama.cpp has no tied head for "
              + architecture.key()
              + ": the embedding is written twice");
    }
    if (nfc) {
      concerns.add("the tokenizer normalizes text to NFC, llama.cpp does not");
    }
    if (!tokenizer) {
      concerns.add("without a tokenizer, llama.cpp takes and gives token ids only");
    }
    return concerns;
  }

  private boolean interleaved() {
    return config.position() instanceof Position.Rotary rotary && rotary.interleaved();
  }

  /** Size of the file. */
  public long bytes() {
    return GgufWriter.size(metadata, declared());
  }

  private List<Declared> declared() {
    return pieces.stream().map(Piece::declared).toList();
  }

  /**
   * Writes the file, which appears whole or not at all. One tensor at a time is in memory.
   *
   * @param tensors the canonical tensors by name, in any float type; what it makes anew is let go
   *     once written
   * @param progress told of bytes written; they add up to {@link #bytes}
   * @throws InputException when a value is not finite in the type it is stored in
   */
  public void write(Function<String, Tensor> tensors, LongConsumer progress) {
    try (GgufWriter writer = new GgufWriter(file, metadata, declared(), progress)) {
      for (Piece piece : pieces) {
        // What is made for a tensor, and what tensors makes, goes with the scope.
        try (PointerScope _ = new PointerScope()) {
          if (piece.canonical() == null) {
            writer.write(
                piece.declared().name(),
                Tensors.segment(Tensors.zeros(ScalarType.Byte, piece.declared().bytes())));
          } else {
            write(piece, tensors.apply(piece.canonical()), writer);
          }
        }
      }
      writer.commit();
    }
  }

  private void write(Piece piece, Tensor tensor, GgufWriter writer) {
    Declared as = piece.declared();
    List<Long> shape = Arrays.stream(Tensors.shape(tensor)).boxed().toList();
    if (!shape.equals(as.shape())) {
      throw new IllegalArgumentException(
          piece.canonical() + " has shape " + shape + ", the model's is " + as.shape());
    }
    Tensor whole = tensor.detach();
    if (piece.canonical().contains("query_key_value")) {
      int[] order = GgufModel.queryKeyValueRows(config, interleaved());
      RowSlices.forEach(
          whole,
          (row, count) -> {
            int[] rows = Arrays.copyOfRange(order, (int) row, (int) (row + count));
            writer.write(
                as.name(), content(as, whole.index_select(0, Tensors.of(rows, rows.length))));
          });
    } else {
      RowSlices.forEach(whole, rows -> writer.write(as.name(), content(as, rows)));
    }
  }

  /** Some rows of a tensor as its bytes in the file; valid while the scope is. */
  private MemorySegment content(Declared as, Tensor rows) {
    float largest = Tensors.floats(rows.abs().max())[0];
    if (!(largest <= as.type().largest())) {
      throw InputException.in(
          file,
          "tensor " + as.name(),
          "magnitudes up to " + as.type().largest() + " for " + as.type(),
          String.valueOf(largest));
    }
    if (!as.type().isQuantised()) {
      return Tensors.segment(rows.to(as.type().scalarType()).contiguous());
    }
    Tensor blocks = Tensors.empty(ScalarType.Byte, as.type().bytes(rows.numel()));
    GgmlBlocks.quantise(
        as.type(),
        Tensors.segment(rows.to(ScalarType.Float).contiguous()),
        Tensors.segment(blocks));
    return Tensors.segment(blocks);
  }
}
