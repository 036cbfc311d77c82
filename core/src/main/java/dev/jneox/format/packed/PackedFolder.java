package dev.jneox.format.packed;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.format.hf.GenerationConfig;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.SamplingDefaults;
import dev.jneox.template.ChatTemplates;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Opens JNeoX's own folder of a quantised model. Kernels read its weights in the mapped file:
 * opening it reads a header, and weights only when they are used. {@code convert.Quantisation}
 * writes it.
 *
 * <p><b>Layout, version {@value #VERSION}.</b> As a folder of HF transformers, with a {@code
 * tokenizer.json} if the model has one, its chat templates in a {@code tokenizer_config.json}, a
 * {@code generation_config.json} if it says how tokens are drawn, and
 *
 * <ul>
 *   <li>{@code config.json}: that of the model's family, and {@code quantization_config} with
 *       {@code quant_method} "jneox", {@code version} and {@code used_vocab_size}; HF transformers
 *       therefore rejects it by name rather than computing something else;
 *   <li>{@code model.safetensors}: every tensor of {@link CanonicalNames} under its name, linear
 *       weights {@code [out, in]}. Norms, biases and learned positions are dense, F32 mostly. A
 *       quantised matrix is a U8 tensor whose name ends with the form: {@code .q4_0.lanes} or
 *       {@code .q8_0.lanes} as kernels read it, in tiles of 64 or 32 rows ({@link
 *       dev.jneox.kernel.Q4Weight}, {@link dev.jneox.kernel.Q8Weight}); {@code .q4_0.rows} or
 *       {@code .q8_0.rows} as ggml's blocks, row after row, for an embedding, of which one row a
 *       token is read. Rows end in a whole block of 32 values, lanes in a whole tile; what fills
 *       them up is zero. Lanes come first and the data begins at a multiple of 64 bytes, so that
 *       each of their vectors lies in one line of the cache.
 * </ul>
 *
 * <p>This object owns the mapping: values and weights in place must not be used after {@link
 * #close}.
 */
public final class PackedFolder implements StoredModel {
  /** The version of the layout, raised by a change that older readers cannot read. */
  public static final int VERSION = 2;

  /** The {@code quant_method} of such a folder. */
  public static final String METHOD = "jneox";

  private static final long MAX_JSON = 16 << 20;

  /**
   * Represents a tensor of the file.
   *
   * @param name its name in the file
   * @param form null where the tensor is dense
   * @param matrix null where the tensor is dense
   */
  private record Packed(
      TensorExpression expression,
      Safetensors file,
      String name,
      @Nullable PackedForm form,
      @Nullable QuantisedMatrix matrix)
      implements StoredTensor {
    @Override
    public String type() {
      return form == null ? file.dtype(name).name() : form.type().name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return form == null
          ? file.data(name).map(data -> new MappedTensor(file.dtype(name), data))
          : Optional.empty();
    }

    @Override
    public MappedTensor read(Arena arena) {
      return inPlace()
          .orElseGet(
              () -> {
                MemorySegment values = arena.allocate(expression.elements() * Float.BYTES, 64);
                Objects.requireNonNull(matrix).dequantise(values);
                return new MappedTensor(Dtype.F32, values);
              });
    }

    @Override
    public Optional<QuantisedMatrix> quantised() {
      return Optional.ofNullable(matrix);
    }
  }

  private final Path dir;
  private final ModelSpec spec;
  private final Safetensors file;
  private final List<StoredTensor> tensors = new ArrayList<>();

  private PackedFolder(Path dir) {
    this.dir = dir;
    checkVersion(dir.resolve(HfFolder.CONFIG));
    this.spec = HfFolder.spec(dir);
    this.file = Safetensors.open(dir.resolve(HfFolder.WEIGHTS));
    boolean opened = false;
    try {
      findTensors();
      opened = true;
    } finally {
      if (!opened) {
        file.close();
      }
    }
  }

  /** Returns whether a folder states that it holds a quantised model, of any method. */
  public static boolean is(Path dir) {
    Path config = dir.resolve(HfFolder.CONFIG);
    return Files.isRegularFile(config)
        && JsonObject.read(config, MAX_JSON).has(HfFolder.QUANTISATION);
  }

  /**
   * Maps the weights and checks their header against the configuration.
   *
   * @throws InputException when the folder is quantised by another method or a later version, or
   *     incomplete
   */
  public static PackedFolder open(Path dir) {
    return new PackedFolder(dir);
  }

  private static void checkVersion(Path config) {
    JsonObject how =
        JsonObject.read(config, MAX_JSON)
            .object(HfFolder.QUANTISATION)
            .orElseThrow(
                () -> InputException.in(config, HfFolder.QUANTISATION, "an object", "nothing"));
    if (!how.text("quant_method").equals(Optional.of(METHOD))) {
      throw how.unsupported(
          "quant_method", METHOD + " (take the model itself and jneox quantize it)");
    }
    if (how.integer("version", 0, 0, Integer.MAX_VALUE) != VERSION) {
      throw how.unsupported(
          "version", VERSION + ", which this JNeoX reads (quantize the model again)");
    }
  }

  private void findTensors() {
    Set<String> surplus = new LinkedHashSet<>(file.names());
    CanonicalNames.requireTensors(spec, path().resolve(HfFolder.CONFIG), surplus.size());
    for (TensorExpression expression : CanonicalNames.of(spec)) {
      Packed tensor = find(expression);
      tensors.add(tensor);
      surplus.remove(tensor.name());
    }
    for (String name : surplus) {
      throw wrong(
          name,
          "none of this name by " + HfFolder.CONFIG,
          "shape " + Arrays.toString(file.shape(name)));
    }
  }

  private Packed find(TensorExpression tensor) {
    long[] shape = tensor.shape();
    if (file.contains(tensor.name())) {
      check(tensor.name(), shape, Dtype.F32, Dtype.BF16);
      return new Packed(tensor, file, tensor.name(), null, null);
    }
    if (tensor.isMatrix()) {
      for (PackedForm form : PackedForm.values()) {
        String name = form.name(tensor.name());
        if (file.contains(name)) {
          int rows = tensor.rows();
          int columns = tensor.columns();
          check(
              name,
              form.shape(rows, columns).stream().mapToLong(Long::longValue).toArray(),
              Dtype.U8);
          return new Packed(
              tensor, file, name, form, form.matrix(rows, columns, file.data(name).orElseThrow()));
        }
      }
    }
    throw wrong(tensor.name(), asConfigured(shape) + ", plain or quantised", "no such tensor");
  }

  private void check(String name, long[] shape, Dtype... types) {
    if (!Arrays.equals(file.shape(name), shape)) {
      throw wrong(name, asConfigured(shape), "shape " + Arrays.toString(file.shape(name)));
    }
    if (!List.of(types).contains(file.dtype(name))) {
      String expected = Arrays.stream(types).map(Dtype::name).collect(Collectors.joining(" or "));
      throw wrong(name, expected, file.dtype(name).name());
    }
  }

  private static String asConfigured(long[] shape) {
    return "shape " + Arrays.toString(shape) + " by " + HfFolder.CONFIG;
  }

  private InputException wrong(String name, String expected, String found) {
    return InputException.in(file.file(), "tensor " + quoted(name), expected, found);
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

  /** Returns the entries that the file has beside the tensors. */
  public Map<String, String> metadata() {
    return file.metadata();
  }

  @Override
  public Optional<String> tokenizerJson() {
    return Optional.of(dir.resolve(HfFolder.TOKENIZER)).filter(Files::exists).map(HfFolder::text);
  }

  @Override
  public SamplingDefaults sampling() {
    return GenerationConfig.sampling(dir);
  }

  @Override
  public Optional<ChatTemplates> chatTemplates() {
    return ChatTemplates.of(dir);
  }

  @Override
  public void release() {
    file.release();
  }

  @Override
  public void check() {
    file.check();
  }

  /** Unmaps the weights. */
  @Override
  public void close() {
    file.close();
  }
}
