package dev.jneox.checkpoint;

import static dev.jneox.checkpoint.JsonObject.quoted;

import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.tensor.Tensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * JNeoX's own folder of a quantised model, whose weights kernels read where they lie in the mapped
 * file: opening it reads a header, and of the weights nothing before they are used. {@link
 * Quantisation} writes it.
 *
 * <p><b>Layout, version {@value #VERSION}.</b> As a folder of HF transformers, with a {@code
 * tokenizer.json} if the model has one and
 *
 * <ul>
 *   <li>{@code config.json}: that of the model's family, and {@code quantization_config} with
 *       {@code quant_method} "jneox", {@code version} and, since it is not counted again, {@code
 *       used_vocab_size}; so HF transformers refuses it by name rather than computing something
 *       else;
 *   <li>{@code model.safetensors}: every tensor of {@link ModelConfig#tensors} under its canonical
 *       name, linear weights {@code [out, in]}. Norms, biases and learned positions are dense, F32
 *       mostly. A quantised matrix is a U8 tensor whose name goes on with how: {@code .q4_0.lanes}
 *       or {@code .q8_0.lanes} as kernels read it, in tiles of 64 or 32 rows ({@link
 *       dev.jneox.quant.Q4Weight}, {@link dev.jneox.quant.Q8Weight}); {@code .q4_0.rows} or {@code
 *       .q8_0.rows} as ggml's blocks, row after row, for an embedding, of which one row a token is
 *       read. Rows end in a whole block of 32 values, lanes in a whole tile; what fills them up is
 *       zero. Lanes come first and the data begins at a multiple of 64 bytes, so that each of their
 *       vectors lies in one line of the cache.
 * </ul>
 *
 * <p>This object holds the mapping: let go of every tensor and weight before {@link #close}, a
 * later touch ends the process.
 */
public final class PackedFolder implements StoredModel {
  /** Of the layout; a change that older readers cannot read raises it. */
  public static final int VERSION = 2;

  static final String QUANTISATION = "quantization_config";
  static final String METHOD = "jneox";

  /**
   * How many ids mean something: counting them in {@code tokenizer.json} takes longer than all else
   * of opening a folder.
   */
  static final String USED_VOCAB = "used_vocab_size";

  private static final long MAX_JSON = 16 << 20;

  /**
   * @param form null where the tensor is dense
   */
  private record Place(String name, PackedForm form, QuantisedMatrix matrix) {}

  private final Path dir;
  private final ModelConfig config;
  private final Safetensors file;
  private final Map<String, Place> places = new LinkedHashMap<>();

  private PackedFolder(Path dir) {
    this.dir = dir;
    checkVersion(dir.resolve(HfFolder.CONFIG));
    this.config = HfFolder.config(dir);
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

  /** Whether a folder says that it holds a quantised model, of whatever method. */
  public static boolean is(Path dir) {
    Path config = dir.resolve(HfFolder.CONFIG);
    return Files.isRegularFile(config) && JsonObject.read(config, MAX_JSON).has(QUANTISATION);
  }

  /**
   * Maps the weights and checks their header against the configuration.
   *
   * @throws InputException when it is quantised by another method or a later version, or not whole
   */
  public static PackedFolder open(Path dir) {
    return new PackedFolder(dir);
  }

  private static void checkVersion(Path config) {
    JsonObject how = JsonObject.read(config, MAX_JSON).object(QUANTISATION);
    if (how == null || !METHOD.equals(how.text("quant_method"))) {
      String expected = METHOD + " (take the model itself and jneox quantize it)";
      throw how == null
          ? InputException.in(config, QUANTISATION, "an object", "nothing")
          : how.unsupported("quant_method", expected);
    }
    if (how.integer("version", 0, 0, Integer.MAX_VALUE) != VERSION) {
      throw how.unsupported(
          "version", VERSION + ", which this JNeoX reads (quantize the model again)");
    }
  }

  private void findTensors() {
    Set<String> surplus = new LinkedHashSet<>(file.names());
    for (TensorSpec spec : config.tensors()) {
      Place place = find(spec);
      places.put(spec.name(), place);
      surplus.remove(place.name());
    }
    for (String name : surplus) {
      throw wrong(
          name,
          "none of this name by " + HfFolder.CONFIG,
          "shape " + Arrays.toString(file.shape(name)));
    }
  }

  private Place find(TensorSpec spec) {
    long[] shape = spec.shape();
    if (file.contains(spec.name())) {
      check(spec.name(), shape, Dtype.F32, Dtype.BF16);
      return new Place(spec.name(), null, null);
    }
    if (shape.length == 2) {
      for (PackedForm form : PackedForm.values()) {
        String name = form.name(spec.name());
        if (file.contains(name)) {
          int rows = Math.toIntExact(shape[0]);
          int columns = Math.toIntExact(shape[1]);
          check(
              name,
              form.shape(rows, columns).stream().mapToLong(Long::longValue).toArray(),
              Dtype.U8);
          return new Place(name, form, form.matrix(rows, columns, file.data(name)));
        }
      }
    }
    throw wrong(spec.name(), asConfigured(shape) + ", plain or quantised", "no such tensor");
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

  private Place place(String canonical) {
    Place place = places.get(canonical);
    if (place == null) {
      throw new IllegalArgumentException("no tensor " + canonical);
    }
    return place;
  }

  @Override
  public Path path() {
    return dir;
  }

  @Override
  public ModelConfig config() {
    return config;
  }

  /** What was written into the file beside the tensors. */
  Map<String, String> metadata() {
    return file.metadata();
  }

  @Override
  public String storedAs(String canonical) {
    Place place = place(canonical);
    return place.form() == null ? file.dtype(place.name()).name() : place.form().type().name();
  }

  @Override
  public Tensor tensor(String canonical) {
    Place place = place(canonical);
    return place.form() == null ? file.tensor(place.name()) : dequantised(place.matrix());
  }

  /** In fp32, exactly. */
  private static Tensor dequantised(QuantisedMatrix matrix) {
    Tensor tensor = Tensors.empty(ScalarType.Float, matrix.out(), matrix.in());
    matrix.dequantise(Tensors.segment(tensor));
    return tensor;
  }

  @Override
  public Optional<MappedTensor> mapped(String canonical) {
    Place place = place(canonical);
    return place.form() == null
        ? Optional.of(new MappedTensor(file.dtype(place.name()), file.data(place.name())))
        : Optional.empty();
  }

  @Override
  public Optional<QuantisedMatrix> quantised(String canonical) {
    return Optional.ofNullable(place(canonical).matrix());
  }

  @Override
  public Optional<String> tokenizerJson() {
    return Optional.of(dir.resolve(HfFolder.TOKENIZER)).filter(Files::exists).map(HfFolder::text);
  }

  @Override
  public void release() {
    file.release();
  }

  /** Unmaps the weights. */
  @Override
  public void close() {
    file.close();
  }
}
