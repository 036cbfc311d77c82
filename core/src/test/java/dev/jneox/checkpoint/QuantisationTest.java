package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.checkpoint.Quantisation.Written;
import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.model.Position;
import dev.jneox.model.RandomModel;
import dev.jneox.model.Residual;
import dev.jneox.quant.Q4Weight;
import dev.jneox.tensor.Tensors;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Folders of quantised weights: written from every kind of source, read back, and refused when they
 * are not whole.
 */
class QuantisationTest {
  /**
   * Sizes that fill neither blocks of 64 rows nor, with {@code hidden} 40, groups of 32 columns.
   */
  private static ModelConfig config(int hidden, boolean tied, Position position) {
    return new ModelConfig(
        77,
        77,
        hidden,
        2,
        4,
        hidden == 64 ? 128 : 88,
        32,
        position,
        Residual.PARALLEL,
        Activation.GELU_TANH,
        1e-5,
        ModelConfig.everywhere(2),
        true,
        true,
        true,
        false,
        tied,
        5);
  }

  private static final Position ROTARY = new Position.Rotary(4, 10000, false);

  @TempDir Path dir;

  private Path hf(ModelConfig config, Dtype dtype) {
    Path folder = dir.resolve("hf");
    HfFolder.write(folder, config, RandomModel.of(config, 3).weights(), dtype, null);
    return folder;
  }

  private Path gguf(ModelConfig config, GgmlType type) {
    Path file = dir.resolve("model.gguf");
    new GgufExport(file, config, type, null, Map.of())
        .write(RandomModel.of(config, 3).weights()::get, bytes -> {});
    return file;
  }

  private List<Written> quantise(GgmlType type, Path from, Path to) {
    try (StoredModel source = StoredModel.open(from)) {
      return Quantisation.to(type, source).write(to, bytes -> {});
    }
  }

  private static float[] floats(StoredModel model, String name) {
    try (Tensor tensor = model.tensor(name)) {
      return Tensors.floats(tensor);
    }
  }

  /** What ggml's reference makes of each row, the last group filled up with zeros. */
  private static float[] rounded(GgmlType type, float[] values, int columns) {
    int padded = Math.ceilDiv(columns, 32) * 32;
    float[] result = new float[values.length];
    for (int at = 0; at < values.length; at += columns) {
      float[] row = Arrays.copyOf(Arrays.copyOfRange(values, at, at + columns), padded);
      MemorySegment blocks = Arena.ofAuto().allocate(type.bytes(padded));
      GgmlBlocks.quantise(type, MemorySegment.ofArray(row), blocks);
      GgmlBlocks.read(type, blocks, columns, result, at);
    }
    return result;
  }

  @ParameterizedTest
  @CsvSource({
    "64, false, F32, Q4_0",
    "64, true, BF16, Q4_0",
    "40, false, F32, Q4_0",
    "40, true, F32, Q4_0",
    "64, false, F16, Q8_0",
    "40, true, BF16, Q8_0"
  })
  void everyTensorIsWhatGgmlMakesOfIt(int hidden, boolean tied, Dtype dtype, GgmlType type) {
    Path from = hf(config(hidden, tied, ROTARY), dtype);
    Path to = dir.resolve("quantised");
    List<Written> written = quantise(type, from, to);
    try (StoredModel source = StoredModel.open(from);
        StoredModel model = StoredModel.open(to)) {
      assertThat(model).isInstanceOf(PackedFolder.class);
      assertThat(model.config()).isEqualTo(source.config());
      assertThat(written).hasSameSizeAs(model.config().tensors());
      for (TensorSpec spec : model.config().tensors()) {
        float[] values = floats(source, spec.name());
        boolean table = spec.name().startsWith("embed");
        GgmlType as = spec.shape().length == 1 ? GgmlType.F32 : table ? GgmlType.Q8_0 : type;
        assertThat(model.storedAs(spec.name())).as(spec.name()).isEqualTo(as.name());
        float[] expected = as == GgmlType.F32 ? values : rounded(as, values, (int) spec.shape()[1]);
        assertThat(floats(model, spec.name())).as(spec.name()).isEqualTo(expected);
        Written w =
            written.stream()
                .filter(x -> x.canonical().equals(spec.name()))
                .findFirst()
                .orElseThrow();
        assertThat(w.relativeError())
            .as(spec.name())
            .isCloseTo(relativeError(expected, values), within(1e-9));
      }
    }
  }

  private static double relativeError(float[] found, float[] expected) {
    double error = 0;
    double squares = 0;
    for (int i = 0; i < found.length; i++) {
      error += Math.pow((double) found[i] - expected[i], 2);
      squares += Math.pow(expected[i], 2);
    }
    return squares == 0 ? 0 : Math.sqrt(error / squares);
  }

  @ParameterizedTest
  @EnumSource(
      value = GgmlType.class,
      names = {"Q4_0", "Q8_0"})
  void blocksOfGgufAreTakenOverBitForBit(GgmlType type) {
    Path from = gguf(config(64, false, ROTARY), type);
    Path to = dir.resolve("quantised");
    List<Written> written = quantise(type, from, to);
    assertThat(written).allMatch(w -> w.error() == 0 && w.squares() == 0);
    try (StoredModel source = StoredModel.open(from);
        StoredModel model = StoredModel.open(to);
        Arena arena = Arena.ofShared()) {
      for (TensorSpec spec : model.config().tensors()) {
        assertThat(model.storedAs(spec.name())).isEqualTo(source.storedAs(spec.name()));
        assertThat(floats(model, spec.name()))
            .as(spec.name())
            .isEqualTo(floats(source, spec.name()));
        source
            .quantised(spec.name())
            .ifPresent(
                matrix -> {
                  QuantisedMatrix copy = model.quantised(spec.name()).orElseThrow();
                  MemorySegment expected = arena.allocate(matrix.rowBytes());
                  MemorySegment found = arena.allocate(copy.rowBytes());
                  for (int row = 0; row < matrix.out(); row++) {
                    matrix.blocks(row, expected, 0);
                    copy.blocks(row, found, 0);
                    assertThat(found.mismatch(expected)).isEqualTo(-1);
                  }
                  assertThat(matrix.weight(arena)).as("repacked").isNotNull();
                });
      }
    }
  }

  @Test
  void lanesAreReadInPlaceFromWholeCacheLines() {
    quantise(GgmlType.Q4_0, hf(config(64, false, ROTARY), Dtype.F32), dir.resolve("quantised"));
    try (PackedFolder model = PackedFolder.open(dir.resolve("quantised"))) {
      for (TensorSpec spec : model.config().tensors()) {
        if (spec.name().startsWith("layers") && spec.shape().length == 2) {
          var first = (Q4Weight) model.quantised(spec.name()).orElseThrow().weight(null);
          assertThat(first.data().isMapped()).isTrue();
          assertThat(first.data().address() % 64).isZero();
        }
      }
    }
  }

  @Test
  void learnedPositionsAndConv1dWeightsAreTakenToo() {
    ModelConfig config =
        new ModelConfig(
            77,
            77,
            64,
            2,
            4,
            256,
            32,
            new Position.Learned(),
            Residual.SERIAL,
            Activation.GELU_TANH,
            1e-5,
            ModelConfig.everywhere(2),
            true,
            true,
            true,
            false,
            true,
            5);
    Path from = hf(config, Dtype.F32);
    assertThat(HfFolder.modelType(config)).isEqualTo("gpt2");
    quantise(GgmlType.Q4_0, from, dir.resolve("quantised"));
    try (StoredModel source = StoredModel.open(from);
        StoredModel model = StoredModel.open(dir.resolve("quantised"))) {
      assertThat(floats(model, "embed_positions.weight"))
          .isEqualTo(floats(source, "embed_positions.weight"));
      String name = "layers.1.attention.query_key_value.weight";
      assertThat(floats(model, name)).isEqualTo(rounded(GgmlType.Q4_0, floats(source, name), 64));
    }
  }

  @Test
  void aValueThatIsNotFiniteIsNamedAndNothingIsWritten() {
    ModelConfig config = config(64, false, ROTARY);
    Map<String, Tensor> weights = RandomModel.of(config, 3).weights();
    Tensors.segment(weights.get("layers.1.mlp.dense_4h_to_h.weight"))
        .set(ValueLayout.JAVA_FLOAT, 4 * 128 * 5, Float.NaN);
    HfFolder.write(dir.resolve("hf"), config, weights, Dtype.F32, null);
    assertThatThrownBy(() -> quantise(GgmlType.Q4_0, dir.resolve("hf"), dir.resolve("quantised")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("layers.1.mlp.dense_4h_to_h.weight")
        .hasMessageContaining("row 5");
    assertThat(dir.resolve("quantised")).doesNotExist();
    assertThat(dir.toFile().list()).containsExactly("hf");
  }

  /** A model whose every tensor is made when asked for, and remembers those that were. */
  private static final class Made implements StoredModel {
    private final SyntheticModel model =
        new SyntheticModel(
            Path.of("none"),
            QuantisationTest.config(64, false, ROTARY),
            0.02,
            0.02,
            Dtype.F32,
            1,
            null);
    private final List<Tensor> tensors = new ArrayList<>();
    private int released;

    @Override
    public Tensor tensor(String canonical) {
      assertThat(tensors)
          .as("still there when " + canonical + " is asked for")
          .allMatch(tensor -> tensor.isNull());
      assertThat(released).isEqualTo(tensors.size());
      tensors.add(model.tensor(canonical));
      return tensors.getLast();
    }

    @Override
    public Path path() {
      return model.path();
    }

    @Override
    public ModelConfig config() {
      return model.config();
    }

    @Override
    public String storedAs(String canonical) {
      return model.storedAs(canonical);
    }

    @Override
    public Optional<String> tokenizerJson() {
      return Optional.empty();
    }

    @Override
    public void release() {
      released++;
    }

    @Override
    public void close() {}
  }

  @Test
  void oneTensorAtATimeIsInMemory() {
    Made source = new Made();
    long[] told = {0};
    Quantisation quantisation = Quantisation.to(GgmlType.Q8_0, source);
    quantisation.write(dir.resolve("quantised"), bytes -> told[0] += bytes);
    assertThat(told[0]).isEqualTo(quantisation.bytes());
    assertThat(source.tensors)
        .hasSameSizeAs(source.config().tensors())
        .allMatch(tensor -> tensor.isNull());
  }

  @Test
  void aScaleThatIsNotFiniteInAGgufFileIsNamed() throws IOException {
    Path file = gguf(config(64, false, ROTARY), GgmlType.Q4_0);
    try (GgufFile tensors = GgufFile.open(file);
        FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      long row = 3 * GgmlType.Q4_0.rowBytes(64);
      channel.write(
          ByteBuffer.wrap(new byte[] {0, 0x7C}),
          tensors.entry("blk.1.ffn_up.weight").begin() + row);
    }
    assertThatThrownBy(() -> quantise(GgmlType.Q4_0, file, dir.resolve("quantised")))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(
            "model.gguf", "layers.1.mlp.dense_h_to_4h.weight", "row 3, input 0");
    try (StoredModel model = StoredModel.open(file);
        Arena arena = Arena.ofShared()) {
      QuantisedMatrix matrix = model.quantised("layers.1.mlp.dense_h_to_4h.weight").orElseThrow();
      assertThatThrownBy(() -> matrix.weight(arena))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("row 3");
    }
  }

  private void assertRefused(String... message) {
    assertThatThrownBy(() -> StoredModel.open(dir.resolve("quantised")))
        .isInstanceOf(InputException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(message).doesNotContain("\n"));
  }

  private void editConfig(Consumer<ObjectNode> edit) throws IOException {
    Path file = dir.resolve("quantised/config.json");
    ObjectNode json = (ObjectNode) new ObjectMapper().readTree(file.toFile());
    edit.accept(json);
    Files.writeString(file, json.toString());
  }

  @Test
  void anotherVersionMethodArchitectureOrAPartOfTheFileIsNamed() throws IOException {
    quantise(GgmlType.Q4_0, hf(config(64, false, ROTARY), Dtype.F32), dir.resolve("quantised"));
    editConfig(json -> ((ObjectNode) json.get("quantization_config")).put("version", 1));
    assertRefused("config.json", "quantization_config.version", "expected 2", "found 1");
    editConfig(
        json ->
            ((ObjectNode) json.get("quantization_config"))
                .put("version", 2)
                .put("quant_method", "gptq"));
    assertRefused("quantization_config.quant_method", "expected jneox", "\"gptq\"");
    editConfig(json -> ((ObjectNode) json.get("quantization_config")).put("quant_method", "jneox"));
    editConfig(json -> json.put("model_type", "llama"));
    assertRefused("config.json", "model_type", "\"llama\"");
    editConfig(json -> json.put("model_type", "gpt_neox").put("hidden_size", 128));
    assertRefused("model.safetensors", "embed_in.weight", "shape [77, 136]");
    editConfig(json -> json.put("hidden_size", 64).put("num_hidden_layers", 1));
    assertRefused("model.safetensors", "layers.1.", "none of this name");
    editConfig(json -> json.put("num_hidden_layers", 3));
    assertRefused("model.safetensors", "layers.2.", "no such tensor");
    editConfig(json -> json.put("num_hidden_layers", 2));
    StoredModel.open(dir.resolve("quantised")).close();
    Path file = dir.resolve("quantised/model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    for (int length : new int[] {0, 9, 500, bytes.length / 2, bytes.length - 1}) {
      Files.write(file, Arrays.copyOf(bytes, length), StandardOpenOption.TRUNCATE_EXISTING);
      assertRefused("model.safetensors");
    }
  }
}
