package dev.jneox.format.gguf;

import dev.jneox.format.gguf.GgufWriter.Declared;
import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import dev.jneox.template.ChatTemplates;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlBlocks;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model as a GGUF file that llama.cpp runs: F32, F16, BF16, Q8_0 or Q4_0, with its
 * tokenizer inside.
 *
 * <pre>{@code
 * GgufExport export = new GgufExport(file, model.spec(), GgmlType.Q8_0, model.tokenizerJson().orElse(null), Map.of());
 * export.warnings().forEach(System.err::println);
 * export.write(model, progress::step);
 * }</pre>
 *
 * <p>Only matrices are stored in the type asked for; norms, biases and learned positions stay in
 * F32. As in llama.cpp's own quantisation, a matrix whose rows are no whole number of blocks
 * becomes F16, and a Q4_0 file has a more exact output head (or embedding, where the two are one):
 * there Q6_K, here Q8_0. Where a graph of llama.cpp asks for a bias that the model does not have,
 * zeros are written; where it asks for a head, a tied model's embedding is written twice.
 */
public final class GgufExport {
  /**
   * Describes a tensor of the file.
   *
   * @param source the parameters it holds; null where it is zeros
   */
  private record Piece(Declared declared, @Nullable TensorExpression source) {}

  /** Values that are quantised at a time; 64 MB in fp32. */
  private static final long VALUES = 1 << 24;

  private final Path file;
  private final ModelSpec spec;
  private final GgmlType type;
  private final boolean nfc;
  private final boolean tokenizer;
  private final GgufArchitecture architecture;
  private final Map<String, GgufValue> metadata = new LinkedHashMap<>();
  private final List<Piece> pieces = new ArrayList<>();

  /**
   * Prepares a file.
   *
   * @param file to be written
   * @param spec the model
   * @param type of the matrices; one that {@link GgmlType#isWritable}
   * @param tokenizerJson the text of the model's {@code tokenizer.json}, or null: llama.cpp then
   *     has token ids only
   * @param about further metadata, {@code general.name} and the like
   * @throws InputException when llama.cpp cannot run such a model or does not support such a
   *     tokenizer
   */
  public GgufExport(
      Path file,
      ModelSpec spec,
      GgmlType type,
      @Nullable String tokenizerJson,
      Map<String, GgufValue> about) {
    if (!type.isWritable()) {
      throw new IllegalArgumentException("weights are not written as " + type);
    }
    this.file = file;
    this.spec = spec;
    this.type = type;
    this.architecture = GgufArchitecture.of(spec, file);
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
    metadata.putAll(architecture.metadata(spec));
    metadata.putAll(GgufTokenizer.metadata(file, tokenizerJson, spec.vocabulary()));
    this.tokenizer = tokenizerJson != null;
    this.nfc = tokenizer && GgufTokenizer.normalizes(metadata);
    addPieces();
  }

  /** Adds chat templates with their special tokens; none by default. */
  public GgufExport chatTemplates(ChatTemplates templates) {
    GgufChatTemplates.write(templates, metadata);
    return this;
  }

  /** Returns llama.cpp's number for files that are mostly of the type. */
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
    for (TensorExpression tensor :
        GgufArchitecture.tensors(spec, id -> id.part().isQueryKeyValue(), order())) {
      add(tensor.name(), tensor, tensor.shape());
      ParamId id = tensor.first();
      Attention attention = spec.first().attention();
      boolean lacksBias =
          !id.isBias()
              && switch (id.part()) {
                case QUERY -> !attention.qkvBias();
                case ATTENTION_OUT -> !attention.outBias();
                case HEAD -> !spec.head().bias() && architecture == GgufArchitecture.PHI2;
                default -> false;
              };
      if (lacksBias) {
        addZeros(tensor.name().replace(".weight", ".bias"), tensor.rows());
      }
    }
    if (spec.head().tied() && architecture != GgufArchitecture.GPT2) {
      TensorExpression embedding =
          TensorExpression.of(
              GgufArchitecture.tensorName(ParamId.weight(Part.HEAD)), spec.parameters().getFirst());
      add(embedding.name(), embedding, embedding.shape());
      if (architecture == GgufArchitecture.PHI2 && !spec.head().bias()) {
        addZeros(GgufArchitecture.tensorName(ParamId.bias(Part.HEAD)), spec.vocabulary().rows());
      }
    }
  }

  /**
   * Returns the order of query and key rows. llama.cpp rotates halves, so that the pairs of an
   * interleaved rotary are reordered.
   */
  private RowOrder order() {
    Attention attention = spec.first().attention();
    return interleaved()
        ? new RowOrder.HalfSplit(attention.headDim(), attention.rotary().orElseThrow().dims())
        : RowOrder.CONCATENATED;
  }

  private void addZeros(String bias, int length) {
    pieces.add(new Piece(new Declared(bias, GgmlType.F32, List.of((long) length)), null));
  }

  private void add(String name, TensorExpression source, long... shape) {
    List<Long> axes = Arrays.stream(shape).boxed().toList();
    pieces.add(new Piece(new Declared(name, typeOf(name, source, shape), axes), source));
  }

  private GgmlType typeOf(String name, TensorExpression source, long[] shape) {
    if (shape.length < 2 || source.first().part() == Part.POSITIONS) {
      return GgmlType.F32;
    }
    if (shape[shape.length - 1] % type.blockValues() != 0) {
      return GgmlType.F16;
    }
    boolean head =
        name.equals(GgufArchitecture.tensorName(ParamId.weight(Part.HEAD)))
            || source.first().part() == Part.EMBEDDING && spec.head().tied();
    return head && type == GgmlType.Q4_0 ? GgmlType.Q8_0 : type;
  }

  /** Lists what a user of llama.cpp should know about the file, one line each; usually empty. */
  public List<String> warnings() {
    List<String> warnings = new ArrayList<>();
    if (spec.first().feedForward().activation() == Activation.GELU) {
      warnings.add(
          "the model computes GELU exactly, llama.cpp by its tanh approximation: logits differ in"
              + " the third decimal");
    }
    if (interleaved()) {
      warnings.add("llama.cpp has no graph for GPT-J: written as phi2, which computes the same");
    }
    if (spec.head().tied() && architecture != GgufArchitecture.GPT2) {
      warnings.add(
          "llama.cpp has no tied head for "
              + architecture.key()
              + ": the embedding is written twice");
    }
    if (nfc) {
      warnings.add("the tokenizer normalizes text to NFC, llama.cpp does not");
    }
    if (!tokenizer) {
      warnings.add("without a tokenizer, llama.cpp takes and gives token ids only");
    }
    return warnings;
  }

  private boolean interleaved() {
    return spec.first().attention().position() instanceof Position.Rotary rotary
        && rotary.interleaved();
  }

  /** Returns the size of the file. */
  public long bytes() {
    return GgufWriter.size(metadata, declared());
  }

  private List<Declared> declared() {
    return pieces.stream().map(Piece::declared).toList();
  }

  /**
   * Writes the file, which appears whole or not at all. One tensor at a time is in memory.
   *
   * @param weights of the given shape
   * @param progress receives the bytes written; they add up to {@link #bytes}
   * @throws InputException when a value is not finite in the type it is stored in
   */
  public void write(ModelWeights weights, LongConsumer progress) {
    if (!weights.spec().equals(spec)) {
      throw new IllegalArgumentException("the weights are those of another model");
    }
    try (GgufWriter writer = new GgufWriter(file, metadata, declared(), progress)) {
      for (Piece piece : pieces) {
        // The arena frees the copies made for a tensor.
        try (Arena arena = Arena.ofShared()) {
          Declared as = piece.declared();
          if (piece.source() == null) {
            writer.write(as.name(), arena.allocate(as.bytes(), 64));
          } else if (!as.type().isQuantised()) {
            checked(as, weights.read(piece.source(), arena))
                .convert(as.type().dtype().orElseThrow(), bytes -> writer.write(as.name(), bytes));
          } else {
            quantise(as, weights.read(piece.source(), arena), writer);
          }
        }
        weights.release();
      }
      writer.commit();
    }
  }

  /** Quantises some rows at a time, so that their fp32 values are never in memory whole. */
  private void quantise(Declared as, MappedTensor tensor, GgufWriter writer) {
    long columns = as.shape().get(1);
    long atOnce = Math.max(1, VALUES / columns);
    long rows = as.shape().get(0);
    for (long row = 0; row < rows; row += atOnce) {
      MappedTensor some =
          checked(as, tensor.slice(row * columns, Math.min(atOnce, rows - row) * columns));
      try (Arena arena = Arena.ofShared()) {
        MemorySegment values = arena.allocate(some.size() * Float.BYTES, 64);
        long[] at = {0};
        some.convert(
            Dtype.F32,
            piece -> {
              MemorySegment.copy(piece, 0, values, at[0], piece.byteSize());
              at[0] += piece.byteSize();
            });
        MemorySegment blocks = arena.allocate(as.type().bytes(some.size()), 64);
        GgmlBlocks.quantise(as.type(), values, blocks);
        writer.write(as.name(), blocks);
      }
    }
  }

  private MappedTensor checked(Declared as, MappedTensor tensor) {
    double largest = tensor.largestMagnitude();
    if (!(largest <= as.type().largest())) {
      throw InputException.in(
          file,
          "tensor " + as.name(),
          "magnitudes up to " + as.type().largest() + " for " + as.type(),
          String.valueOf((float) largest));
    }
    return tensor;
  }
}
