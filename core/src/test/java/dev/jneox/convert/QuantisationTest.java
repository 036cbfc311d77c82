package dev.jneox.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.convert.Quantisation.Written;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.gguf.GgufExport;
import dev.jneox.format.gguf.GgufFile;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.format.packed.PackedFolder;
import dev.jneox.io.InputException;
import dev.jneox.kernel.Q4Weight;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlBlocks;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Folders of quantised weights: written from every kind of source, read back, and refused when they
 * are not whole.
 */
@NullUnmarked // a test fails by itself where a value is absent
class QuantisationTest {
  /**
   * Sizes that fill neither blocks of 64 rows nor, with {@code hidden} 40, groups of 32 columns.
   */
  private static ModelSpec spec(int hidden, boolean tied) {
    Norm norm = new Norm.Layer(1e-5);
    return ModelSpec.of(
        Vocabulary.of(77, 5),
        hidden,
        new Embedding(false),
        2,
        new BlockSpec(
            new Residual.Parallel(norm, norm),
            Attention.of(4, hidden / 4, new Position.Rotary(4, 10000, false)),
            new FeedForward.Plain(hidden == 64 ? 128 : 88, Activation.GELU_TANH, true)),
        new Head(tied, false),
        32);
  }

  @TempDir Path dir;

  private Path hf(ModelSpec spec, Dtype dtype) {
    return hf(new RandomWeights(spec, 3), dtype);
  }

  private Path hf(ModelWeights weights, Dtype dtype) {
    Path folder = dir.resolve("hf");
    new HfFolderWriter(folder, weights.spec(), dtype).write(weights);
    return folder;
  }

  private Path gguf(ModelSpec spec, GgmlType type) {
    Path file = dir.resolve("model.gguf");
    new GgufExport(file, spec, type, null, Map.of()).write(new RandomWeights(spec, 3), bytes -> {});
    return file;
  }

  private List<Written> quantise(GgmlType type, Path from, Path to) {
    try (StoredModel source = ModelFiles.open(from)) {
      return Quantisation.to(type, source).write(to, bytes -> {}).tensors();
    }
  }

  private static float[] floats(ModelWeights model, TensorExpression tensor) {
    try (Arena arena = Arena.ofShared()) {
      return model.read(tensor, arena).floats();
    }
  }

  /** The tensor of JNeoX's own names that holds a parameter. */
  private static TensorExpression tensor(ModelWeights model, ParamId id) {
    return CanonicalNames.of(model.spec()).stream()
        .filter(tensor -> tensor.params().stream().anyMatch(param -> param.id().equals(id)))
        .findFirst()
        .orElseThrow();
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
    everyTensorIsWhatGgmlMakesOfIt(spec(hidden, tied), dtype, type);
  }

  /** Heads that share keys, and a gate: rows of 36 and 44 fill no blocks, 72 and 108 no tiles. */
  @ParameterizedTest
  @CsvSource({"F32, Q4_0, true", "BF16, Q8_0, false"})
  void everyTensorOfLlamaIsWhatGgmlMakesOfIt(Dtype dtype, GgmlType type, boolean biases) {
    Norm norm = new Norm.Rms(1e-6);
    ModelSpec llama =
        ModelSpec.of(
            Vocabulary.of(77, 5),
            36,
            new Embedding(false),
            2,
            new BlockSpec(
                new Residual.Serial(norm, norm),
                Attention.of(6, 18, new Position.Rotary(18, 10000, false))
                    .withKvHeads(2)
                    .withBiases(biases, biases),
                new FeedForward.Gated(44, Activation.SILU, biases)),
            new Head(biases, false),
            32);
    assertThat(HfFolder.modelType(llama)).isEqualTo("llama");
    everyTensorIsWhatGgmlMakesOfIt(llama, dtype, type);
  }

  private void everyTensorIsWhatGgmlMakesOfIt(ModelSpec spec, Dtype dtype, GgmlType type) {
    Path from = hf(spec, dtype);
    Path to = dir.resolve("quantised");
    List<Written> written = quantise(type, from, to);
    try (StoredModel source = ModelFiles.open(from);
        StoredModel model = ModelFiles.open(to)) {
      assertThat(model).isInstanceOf(PackedFolder.class);
      assertThat(model.spec()).isEqualTo(source.spec());
      assertThat(written).hasSameSizeAs(CanonicalNames.of(model.spec()));
      for (TensorExpression tensor : CanonicalNames.of(model.spec())) {
        float[] values = floats(source, tensor);
        boolean table = tensor.name().startsWith("embed");
        GgmlType as = !tensor.isMatrix() ? GgmlType.F32 : table ? GgmlType.Q8_0 : type;
        assertThat(model.holder(tensor.first()).type()).as(tensor.name()).isEqualTo(as.name());
        float[] expected = as == GgmlType.F32 ? values : rounded(as, values, tensor.columns());
        assertThat(floats(model, tensor)).as(tensor.name()).isEqualTo(expected);
        Written w =
            written.stream()
                .filter(x -> x.canonical().equals(tensor.name()))
                .findFirst()
                .orElseThrow();
        assertThat(w.relativeError())
            .as(tensor.name())
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
    Path from = gguf(spec(64, false), type);
    Path to = dir.resolve("quantised");
    List<Written> written = quantise(type, from, to);
    assertThat(written).allMatch(w -> w.error() == 0 && w.squares() == 0);
    try (StoredModel source = ModelFiles.open(from);
        StoredModel model = ModelFiles.open(to);
        Arena arena = Arena.ofShared()) {
      for (TensorExpression tensor : CanonicalNames.of(model.spec())) {
        assertThat(model.holder(tensor.first()).type())
            .isEqualTo(source.holder(tensor.first()).type());
        assertThat(floats(model, tensor)).as(tensor.name()).isEqualTo(floats(source, tensor));
        source
            .quantised(tensor)
            .ifPresent(
                matrix -> {
                  QuantisedMatrix copy = model.quantised(tensor).orElseThrow();
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
    quantise(GgmlType.Q4_0, hf(spec(64, false), Dtype.F32), dir.resolve("quantised"));
    try (PackedFolder model = PackedFolder.open(dir.resolve("quantised"))) {
      for (TensorExpression tensor : CanonicalNames.of(model.spec())) {
        if (tensor.name().startsWith("layers") && tensor.isMatrix()) {
          var first = (Q4Weight) model.quantised(tensor).orElseThrow().weight(null);
          assertThat(first.data().isMapped()).isTrue();
          assertThat(first.data().address() % 64).isZero();
        }
      }
    }
  }

  @Test
  void learnedPositionsAndConv1dWeightsAreTakenToo() {
    Norm norm = new Norm.Layer(1e-5);
    ModelSpec spec =
        ModelSpec.of(
            Vocabulary.of(77, 5),
            64,
            new Embedding(true),
            2,
            new BlockSpec(
                new Residual.Serial(norm, norm),
                Attention.of(4, 16, new Position.None()),
                new FeedForward.Plain(256, Activation.GELU_TANH, true)),
            new Head(true, false),
            32);
    Path from = hf(spec, Dtype.F32);
    assertThat(HfFolder.modelType(spec)).isEqualTo("gpt2");
    quantise(GgmlType.Q4_0, from, dir.resolve("quantised"));
    try (StoredModel source = ModelFiles.open(from);
        StoredModel model = ModelFiles.open(dir.resolve("quantised"))) {
      ParamId positions = ParamId.weight(Part.POSITIONS);
      assertThat(model.floats(positions)).isEqualTo(source.floats(positions));
      TensorExpression fused = tensor(model, ParamId.weight(1, Part.QUERY));
      assertThat(floats(model, fused)).isEqualTo(rounded(GgmlType.Q4_0, floats(source, fused), 64));
      for (Part part : List.of(Part.QUERY, Part.KEY, Part.VALUE, Part.UP, Part.DOWN)) {
        ParamId id = ParamId.weight(1, part);
        assertThat(model.floats(id))
            .as(id.toString())
            .isEqualTo(rounded(GgmlType.Q4_0, source.floats(id), part == Part.DOWN ? 256 : 64));
      }
    }
  }

  @Test
  void aValueThatIsNotFiniteIsNamedAndNothingIsWritten() {
    RandomWeights weights = new RandomWeights(spec(64, false), 3);
    weights.set(ParamId.weight(1, Part.DOWN), 128 * 5, Float.NaN);
    hf(weights, Dtype.F32);
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
            Path.of("none"), QuantisationTest.spec(64, false), 0.02, 0.02, Dtype.F32, 1, null);
    private final List<MemorySegment> made = new ArrayList<>();
    private int released;

    @Override
    public MappedTensor read(TensorExpression expression, Arena arena) {
      assertThat(made)
          .as("still there when " + expression.name() + " is asked for")
          .noneMatch(data -> data.scope().isAlive());
      assertThat(released).isEqualTo(made.size());
      MappedTensor values = model.read(expression, arena);
      made.add(values.data());
      return values;
    }

    @Override
    public Path path() {
      return model.path();
    }

    @Override
    public ModelSpec spec() {
      return model.spec();
    }

    @Override
    public List<StoredTensor> tensors() {
      return model.tensors();
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
    assertThat(source.made)
        .hasSameSizeAs(source.tensors())
        .noneMatch(data -> data.scope().isAlive());
  }

  @Test
  void aScaleThatIsNotFiniteInAGgufFileIsNamed() throws IOException {
    Path file = withInfiniteScale("blk.1.ffn_up.weight");
    assertThatThrownBy(() -> quantise(GgmlType.Q4_0, file, dir.resolve("quantised")))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(
            "model.gguf", "layers.1.mlp.dense_h_to_4h.weight", "row 3, input 0");
    try (StoredModel model = ModelFiles.open(file);
        Arena arena = Arena.ofShared()) {
      QuantisedMatrix matrix = model.holder(ParamId.weight(1, Part.UP)).quantised().orElseThrow();
      assertThatThrownBy(() -> matrix.weight(arena))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("row 3");
    }
  }

  @Test
  void aScaleThatIsNotFiniteInAnEmbeddingIsNamed() throws IOException {
    Path file = withInfiniteScale("token_embd.weight");
    assertThatThrownBy(() -> quantise(GgmlType.Q4_0, file, dir.resolve("quantised")))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("model.gguf", "embed_in.weight", "row 3, input 0");
    assertThat(dir.resolve("quantised")).doesNotExist();
  }

  private Path withInfiniteScale(String tensor) throws IOException {
    Path file = gguf(spec(64, false), GgmlType.Q4_0);
    try (GgufFile tensors = GgufFile.open(file);
        FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      long row = 3 * GgmlType.Q4_0.rowBytes(64);
      channel.write(ByteBuffer.wrap(new byte[] {0, 0x7C}), tensors.entry(tensor).begin() + row);
    }
    return file;
  }

  private void assertRefused(String... message) {
    assertThatThrownBy(() -> ModelFiles.open(dir.resolve("quantised")))
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
    quantise(GgmlType.Q4_0, hf(spec(64, false), Dtype.F32), dir.resolve("quantised"));
    editConfig(json -> ((ObjectNode) json.get("quantization_config")).put("version", 1));
    assertRefused("config.json", "quantization_config.version", "expected 2", "found 1");
    editConfig(
        json ->
            ((ObjectNode) json.get("quantization_config"))
                .put("version", 2)
                .put("quant_method", "gptq"));
    assertRefused("quantization_config.quant_method", "expected jneox", "\"gptq\"");
    editConfig(json -> ((ObjectNode) json.get("quantization_config")).put("quant_method", "jneox"));
    editConfig(json -> json.put("model_type", "mamba"));
    assertRefused("config.json", "model_type", "\"mamba\"");
    editConfig(json -> json.put("model_type", "gpt_neox").put("hidden_size", 128));
    assertRefused("model.safetensors", "embed_in.weight", "shape [77, 136]");
    editConfig(json -> json.put("hidden_size", 64).put("num_hidden_layers", 1));
    assertRefused("model.safetensors", "layers.1.", "none of this name");
    editConfig(json -> json.put("num_hidden_layers", 3));
    assertRefused("model.safetensors", "layers.2.", "no such tensor");
    editConfig(json -> json.put("num_hidden_layers", 2));
    ModelFiles.open(dir.resolve("quantised")).close();
    Path file = dir.resolve("quantised/model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    for (int length : new int[] {0, 9, 500, bytes.length / 2, bytes.length - 1}) {
      Files.write(file, Arrays.copyOf(bytes, length), StandardOpenOption.TRUNCATE_EXISTING);
      assertRefused("model.safetensors");
    }
  }
}
