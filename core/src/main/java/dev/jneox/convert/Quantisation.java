package dev.jneox.convert;

import dev.jneox.format.hf.Family;
import dev.jneox.format.hf.GenerationConfig;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.packed.PackedFolder;
import dev.jneox.format.packed.PackedForm;
import dev.jneox.format.safetensors.SafetensorsWriter;
import dev.jneox.format.safetensors.SafetensorsWriter.Declared;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Workers;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Part;
import dev.jneox.template.ChatTemplates;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.Importance;
import dev.jneox.weights.LaneLayout;
import dev.jneox.weights.NonFinite;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.RowQuantiser;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes any model as a {@link PackedFolder}, one tensor after another on all cores. It holds a few
 * megabytes, plus a tensor that its file does not store in canonical order. The folder appears
 * whole or not at all.
 *
 * <p>Linear weights get the requested type. The head is always Q8_0: it causes a large share of a
 * small model's error and takes a small share of a large model's bytes. So is the embedding, of
 * which a token reads one row. Tensors that the source has in Q4_0, or in the type they are to get,
 * are copied bit for bit. Norms, biases and learned positions stay fp32.
 */
public final class Quantisation {
  /** Bytes of a cache line, and of the widest vector. */
  private static final int ALIGNMENT = 64;

  /** Bytes of weights converted before they are written. */
  private static final long SLAB = 16 << 20;

  /**
   * Describes a tensor that was written.
   *
   * @param canonical its name
   * @param type its new type
   * @param was its type in the source
   * @param parameters number of values
   * @param bytes in the file
   * @param error sum of the squared differences to the source's values; 0 where every bit is kept
   * @param squares sum of the squared values of the source; 0 where every bit is kept
   */
  public record Written(
      String canonical,
      String type,
      String was,
      long parameters,
      long bytes,
      double error,
      double squares) {
    /** Returns the relative root mean square error, {@code |w - w'| / |w|}. */
    public double relativeError() {
      return squares == 0 ? 0 : Math.sqrt(error / squares);
    }

    /** Both together, under the name and type of this one. */
    Written plus(Written other) {
      return new Written(
          canonical,
          type,
          was,
          parameters + other.parameters,
          bytes + other.bytes,
          error + other.error,
          squares + other.squares);
    }
  }

  /**
   * @param form null for a dense tensor
   */
  private record Piece(TensorExpression tensor, @Nullable PackedForm form, Dtype dtype) {
    String name() {
      return tensor.name();
    }

    Declared declared() {
      return form == null
          ? new Declared(name(), dtype, Arrays.stream(tensor.shape()).boxed().toList())
          : new Declared(form.name(name()), Dtype.U8, form.shape(rows(), columns()));
    }

    int rows() {
      return tensor.rows();
    }

    int columns() {
      return tensor.columns();
    }

    /** Returns the bytes of all tensors. */
    long bytes() {
      return declared().bytes();
    }
  }

  private final StoredModel source;
  private final ModelSpec spec;
  private final List<Piece> pieces;
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final @Nullable Importance importance;

  private Quantisation(
      StoredModel source,
      @Nullable Importance importance,
      BiFunction<TensorExpression, @Nullable GgmlType, @Nullable GgmlType> types) {
    this.source = source;
    this.importance = importance;
    this.spec = source.spec();
    this.pieces = new ArrayList<>();
    for (TensorExpression tensor : CanonicalNames.of(spec)) {
      pieces.add(piece(tensor, types));
    }
    // Lanes first, then by falling alignment, so that no tensor needs a gap before it.
    pieces.sort(
        Comparator.comparing((Piece p) -> p.form == null || !p.form.lanes())
            .thenComparing(p -> p.dtype, Comparator.reverseOrder()));
    metadata.put("format", PackedFolder.METHOD);
    metadata.put("version", String.valueOf(PackedFolder.VERSION));
  }

  /**
   * Prepares a model of a smaller type.
   *
   * @param type of the linear weights: Q4_0 or Q8_0
   * @param source remains open
   * @throws InputException when all its matrices have fewer bits than the type
   */
  public static Quantisation to(GgmlType type, StoredModel source) {
    return to(type, source, null);
  }

  /**
   * The same, rounding to Q4_0 by the importance of each matrix's columns; see {@link
   * #isWeighted()}.
   *
   * @param importance null where all columns count alike
   */
  public static Quantisation to(
      GgmlType type, StoredModel source, @Nullable Importance importance) {
    if (type != GgmlType.Q4_0 && type != GgmlType.Q8_0) {
      throw new IllegalArgumentException("no kernel reads " + type);
    }
    Quantisation made =
        new Quantisation(
            source,
            importance,
            (tensor, stored) ->
                stored == GgmlType.Q4_0 ? stored : isTable(tensor) ? GgmlType.Q8_0 : type);
    if (type == GgmlType.Q8_0 && made.isQ4()) {
      throw new InputException(
          source.path()
              + ": has its matrices in Q4_0, which 8 bits would not make better: expected a model"
              + " of more bits, such as the one that it was made of");
    }
    return made;
  }

  /** Whether every matrix beside the embedding and the head is written in four bits. */
  private boolean isQ4() {
    for (Piece piece : pieces) {
      if (piece.form != null && !isTable(piece.tensor) && piece.form.type() != GgmlType.Q4_0) {
        return false;
      }
    }
    return true;
  }

  /** Writes what the kernels would load: only a type that has no kernel is rounded to another. */
  static Quantisation asLoaded(StoredModel source) {
    return new Quantisation(
        source, null, (tensor, stored) -> stored == null ? null : LaneLayout.kernelType(stored));
  }

  /** Returns whether a tensor is the embedding or the head. */
  private static boolean isTable(TensorExpression tensor) {
    Part part = tensor.first().part();
    return part == Part.EMBEDDING || part == Part.HEAD;
  }

  private Piece piece(
      TensorExpression tensor,
      BiFunction<TensorExpression, @Nullable GgmlType, @Nullable GgmlType> types) {
    boolean matrix = tensor.isMatrix() && tensor.first().part() != Part.POSITIONS;
    GgmlType stored = source.quantised(tensor).map(QuantisedMatrix::type).orElse(null);
    GgmlType type = matrix ? types.apply(tensor, stored) : null;
    if (type == null) {
      boolean bf16 = matrix && storedAs(tensor).equals(Dtype.BF16.name());
      return new Piece(tensor, null, bf16 ? Dtype.BF16 : Dtype.F32);
    }
    boolean read = tensor.first().part() == Part.EMBEDDING && !spec.head().tied();
    return new Piece(tensor, PackedForm.of(type, !read), Dtype.U8);
  }

  private String storedAs(TensorExpression tensor) {
    return source.holder(tensor.first()).type();
  }

  /** Adds entries to {@link PackedFolder#metadata}, about the origin of the folder. */
  Quantisation with(Map<String, String> more) {
    metadata.putAll(more);
    return this;
  }

  /** Returns whether any tensor is rounded by the importance of its columns. */
  public boolean isWeighted() {
    return pieces.stream().anyMatch(piece -> importance(piece) != null);
  }

  private float @Nullable [] importance(Piece piece) {
    boolean rounded =
        piece.form != null
            && piece.form.type() == GgmlType.Q4_0
            && source.quantised(piece.tensor).map(QuantisedMatrix::type).orElse(null)
                != GgmlType.Q4_0;
    return importance == null || !rounded ? null : importance.of(piece.tensor.first());
  }

  /** Returns the bytes of all tensors. */
  public long bytes() {
    return pieces.stream().mapToLong(Piece::bytes).sum();
  }

  /**
   * Checks everything that can be checked before writing.
   *
   * @param replace whether an existing model may be replaced
   * @throws InputException when the target exists and may not be replaced
   * @throws StorageException when the disk has too little room
   */
  public void check(Path target, boolean replace) {
    Conversion.check(target, true, bytes(), replace);
  }

  /**
   * Writes the folder.
   *
   * @param progress receives the bytes written; they add up to {@link #bytes}
   * @return the tensors written, with their rounding errors
   * @throws InputException for a value that is not finite or too large; the message has the tensor
   */
  public QuantisationReport write(Path target, LongConsumer progress) {
    List<Written> written = new ArrayList<>();
    try (AtomicFolder folder = new AtomicFolder(target);
        SafetensorsWriter writer =
            new SafetensorsWriter(
                folder.path().resolve(HfFolder.WEIGHTS),
                pieces.stream().map(Piece::declared).toList(),
                metadata,
                ALIGNMENT)) {
      for (Piece piece : pieces) {
        written.add(
            piece.form == null
                ? dense(piece, writer, progress)
                : quantised(piece, piece.form, writer, progress));
        source.release();
      }
      writer.commit();
      source
          .tokenizerJson()
          .ifPresent(
              json ->
                  AtomicFile.write(
                      folder.path().resolve(HfFolder.TOKENIZER),
                      json.getBytes(StandardCharsets.UTF_8)));
      source
          .chatTemplates()
          .ifPresent(
              templates ->
                  AtomicFile.write(
                      folder.path().resolve(ChatTemplates.CONFIG),
                      JsonObject.write(templates.config())));
      Map<String, Object> sampling = GenerationConfig.json(source.sampling());
      if (!sampling.isEmpty()) {
        // A file with draws alone: the ids that end a text are in the configuration.
        AtomicFile.write(folder.path().resolve(GenerationConfig.FILE), JsonObject.write(sampling));
      }
      AtomicFile.write(folder.path().resolve(HfFolder.CONFIG), JsonObject.write(json()));
      folder.commit();
    }
    return new QuantisationReport(written);
  }

  private Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>(Family.of(spec).json(spec, "float32"));
    Map<String, Object> how = new LinkedHashMap<>();
    how.put("quant_method", PackedFolder.METHOD);
    how.put("version", PackedFolder.VERSION);
    how.put("group_size", GgmlType.Q4_0.blockValues());
    how.put(HfFolder.USED_VOCAB, spec.vocabulary().used());
    json.put(HfFolder.QUANTISATION, how);
    return json;
  }

  private Written dense(Piece piece, SafetensorsWriter writer, LongConsumer progress) {
    try (Arena arena = Arena.ofShared()) {
      source
          .read(piece.tensor, arena)
          .convert(
              piece.dtype,
              bytes -> {
                NonFinite found = NonFinite.in(bytes, piece.dtype);
                if (found.first() >= 0) {
                  throw notFinite(
                      piece.name(),
                      found.nans() + " NaN and " + found.infinities() + " infinite ones");
                }
                writer.write(piece.name(), bytes);
              });
    }
    progress.accept(piece.bytes());
    return new Written(
        piece.name(),
        piece.dtype.name(),
        storedAs(piece.tensor),
        piece.tensor.elements(),
        piece.bytes(),
        0,
        0);
  }

  private Written quantised(
      Piece piece, PackedForm form, SafetensorsWriter writer, LongConsumer progress) {
    String name = piece.name();
    GgmlType type = form.type();
    int threads = Workers.all().count();
    Optional<QuantisedMatrix> stored = source.quantised(piece.tensor);
    try (Arena arena = Arena.ofShared();
        RowQuantiser rows =
            stored.isPresent()
                ? new RowQuantiser(stored.get(), type, threads, importance(piece))
                : new RowQuantiser(
                    source.read(piece.tensor, arena),
                    piece.rows(),
                    piece.columns(),
                    type,
                    threads,
                    importance(piece))) {
      if (form.lanes()) {
        lanes(piece, type, rows, writer, progress);
      } else {
        rows(piece, rows, writer, progress);
      }
      return new Written(
          name,
          type.name(),
          storedAs(piece.tensor),
          piece.tensor.elements(),
          piece.bytes(),
          rows.error(),
          rows.squares());
    } catch (IllegalArgumentException e) {
      throw notFinite(name, String.valueOf(e.getMessage()));
    }
  }

  private InputException notFinite(String tensor, String found) {
    return InputException.in(
        source.path(), "tensor " + JsonObject.quoted(tensor), "finite numbers", found);
  }

  private static void lanes(
      Piece piece,
      GgmlType type,
      RowQuantiser rows,
      SafetensorsWriter writer,
      LongConsumer progress) {
    int blocks = Math.ceilDiv(piece.rows(), PackedWeight.BLOCK);
    long blockBytes = LaneLayout.bytes(type, PackedWeight.BLOCK, piece.columns());
    int atOnce = Math.toIntExact(Math.clamp(SLAB / blockBytes, 1, blocks));
    try (Arena arena = Arena.ofShared()) {
      MemorySegment slab = arena.allocate(atOnce * blockBytes, ALIGNMENT);
      for (int block = 0; block < blocks; block += atOnce) {
        int end = Math.min(blocks, block + atOnce);
        int n = Math.min(piece.rows(), end * PackedWeight.BLOCK) - block * PackedWeight.BLOCK;
        MemorySegment part = slab.asSlice(0, LaneLayout.bytes(type, n, piece.columns()));
        LaneLayout.pack(type, piece.rows(), piece.columns(), block, end, rows, part);
        writer.write(piece.declared().name(), part);
        progress.accept(part.byteSize());
      }
    }
  }

  private static void rows(
      Piece piece, RowQuantiser rows, SafetensorsWriter writer, LongConsumer progress) {
    long rowBytes = piece.declared().shape().get(1);
    int atOnce = Math.toIntExact(Math.clamp(SLAB / rowBytes, 1, piece.rows()));
    try (Arena arena = Arena.ofShared()) {
      MemorySegment slab = arena.allocate(atOnce * rowBytes, 64);
      for (int row = 0; row < piece.rows(); row += atOnce) {
        int first = row;
        int n = Math.min(atOnce, piece.rows() - row);
        Workers.all()
            .claim(n, (task, thread) -> rows.blocks(first + task, slab, task * rowBytes, thread));
        writer.write(piece.declared().name(), slab.asSlice(0, n * rowBytes));
        progress.accept(n * rowBytes);
      }
    }
  }
}
