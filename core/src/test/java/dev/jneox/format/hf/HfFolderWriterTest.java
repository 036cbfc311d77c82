package dev.jneox.format.hf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.Rounded;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import dev.jneox.weights.TensorFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@NullUnmarked // a test fails by itself where a value is absent
class HfFolderWriterTest {
  private static final String TOKENIZER = "{\"model\":{\"vocab\":{\"<|endoftext|>\":0,\"a\":1}}}";

  @TempDir Path dir;

  private Path out() {
    return dir.resolve("model");
  }

  /** Every weight has its own value, so that no two can be taken for each other. */
  private static RandomWeights weights(ModelSpec spec) {
    int[] next = {0};
    return new RandomWeights(spec, Dtype.F32, param -> next[0]++ * 1e-3f);
  }

  private void write(ModelWeights weights, Dtype dtype, Path tokenizer) {
    HfFolderWriter writer = new HfFolderWriter(out(), weights.spec(), dtype);
    if (tokenizer != null) {
      writer.tokenizer(tokenizer);
    }
    writer.write(weights);
  }

  private void write(ModelWeights weights) {
    write(weights, Dtype.F32, null);
  }

  private Set<String> names() throws IOException {
    try (Stream<Path> files = Files.list(out())) {
      return files
          .map(f -> f.getFileName().toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"neox-parallel", "neox-20b-like", "neox-serial-tied", "gptj", "gpt-neo", "gpt2"})
  void theFixturesComeBackAsTheyWere(String name) {
    try (HfFolder source = HfFolder.open(HfFolderTest.parity(name))) {
      write(source);
      try (HfFolder copy = HfFolder.open(out())) {
        assertThat(copy.spec()).isEqualTo(source.spec());
        RandomWeights.assertSame(copy, source);
      }
    }
  }

  @Test
  void everyChoiceOfTheFamilyComesBack() {
    for (int dims = 2; dims <= 22; dims += 2) {
      Norm norm = new Norm.Layer(1e-6);
      boolean odd = dims % 4 != 0;
      ModelSpec spec =
          ModelSpec.of(
              Vocabulary.of(10, dims % 10 == 0 ? -1 : 3),
              44,
              new Embedding(false),
              1,
              new BlockSpec(
                  odd ? new Residual.Parallel(norm, norm) : new Residual.Serial(norm, norm),
                  Attention.of(2, 22, new Position.Rotary(dims, 12345.5, false))
                      .withBiases(dims < 12, dims < 12),
                  new FeedForward.Plain(20, odd ? Activation.GELU_TANH : Activation.GELU, true)),
              new Head(dims % 6 == 0, false),
              4);
      write(weights(spec));
      assertThat(HfFolder.modelType(spec)).isEqualTo("gpt_neox");
      assertThat(HfFolder.spec(out())).isEqualTo(spec);
    }
  }

  @Test
  void narrowTypesAreRoundedAndNamed() throws IOException {
    ModelSpec spec = ModelSpec.neox(12, 16, 1, 2, 8);
    RandomWeights weights = weights(spec);
    for (Dtype dtype : List.of(Dtype.BF16, Dtype.F16)) {
      write(weights, dtype, null);
      try (HfFolder copy = HfFolder.open(out())) {
        for (Param param : spec.parameters()) {
          ParamId id = param.id();
          assertThat(copy.holder(id).type()).isEqualTo(dtype.name());
          assertThat(copy.floats(id))
              .as(id.toString())
              .isEqualTo(Rounded.to(dtype, weights.floats(id)));
        }
      }
      JsonNode json = new ObjectMapper().readTree(out().resolve("config.json").toFile());
      assertThat(json.get("torch_dtype").textValue())
          .isEqualTo(dtype == Dtype.BF16 ? "bfloat16" : "float16");
    }
  }

  @Test
  void theConfigurationHasTheRotaryValuesInBothSpellings() throws IOException {
    ModelSpec spec = ModelSpec.neox(12, 16, 1, 2, 8);
    write(weights(spec));
    JsonNode json = new ObjectMapper().readTree(out().resolve("config.json").toFile());
    assertThat(json.get("rotary_pct").doubleValue()).isEqualTo(0.25);
    assertThat(json.get("rotary_emb_base").doubleValue()).isEqualTo(10000);
    assertThat(json.get("rope_parameters").get("partial_rotary_factor").doubleValue())
        .isEqualTo(0.25);
    assertThat(json.get("rope_parameters").get("rope_theta").doubleValue()).isEqualTo(10000);
  }

  @Test
  void largeModelsAreSplitAndAnOldModelIsReplaced() throws IOException {
    ModelSpec spec = ModelSpec.neox(12, 16, 2, 2, 8);
    RandomWeights weights = weights(spec);
    write(weights);
    assertThat(names())
        .containsExactly("config.json", "generation_config.json", "model.safetensors");

    // Each shard holds at most 4096 bytes, or one tensor that is larger.
    List<Long> progress = new ArrayList<>();
    HfFolderWriter writer =
        new HfFolderWriter(out(), spec, Dtype.F32).shards(4096).progress(progress::add);
    writer.write(weights);
    assertThat(progress).hasSize(CanonicalNames.of(spec).size());
    assertThat(progress.stream().mapToLong(Long::longValue).sum()).isEqualTo(writer.bytes());
    assertThat(names())
        .contains("model.safetensors.index.json")
        .doesNotContain("model.safetensors");
    long total = 0;
    try (HfFolder folder = HfFolder.open(out())) {
      assertThat(folder.files()).hasSizeGreaterThan(5);
      for (TensorFile shard : folder.files()) {
        Safetensors file = (Safetensors) shard;
        long bytes = file.entries().stream().mapToLong(Safetensors.Entry::bytes).sum();
        assertThat(bytes <= 4096 || file.entries().size() == 1).isTrue();
        total += bytes;
      }
      RandomWeights.assertSame(folder, weights);
    }
    JsonNode index =
        new ObjectMapper().readTree(out().resolve("model.safetensors.index.json").toFile());
    assertThat(index.get("metadata").get("total_size").longValue())
        .isEqualTo(total)
        .isEqualTo(spec.parameterCount() * 4);

    write(weights);
    assertThat(names())
        .containsExactly("config.json", "generation_config.json", "model.safetensors");
  }

  @Test
  void theTokenizerGoesAlong() throws IOException {
    ModelSpec spec = ModelSpec.neox(12, 16, 1, 2, 8);
    Path tokenizer = Files.writeString(dir.resolve("t.json"), TOKENIZER);
    write(weights(spec), Dtype.F32, tokenizer);
    assertThat(out().resolve("tokenizer.json")).hasContent(TOKENIZER);
    JsonNode json = new ObjectMapper().readTree(out().resolve("tokenizer_config.json").toFile());
    assertThat(json.get("eos_token").textValue()).isEqualTo("<|endoftext|>");
    assertThat(HfFolder.spec(out()).vocabulary().used()).isEqualTo(2);

    // The folder's own tokenizer may be given, and stays when none is.
    write(weights(spec), Dtype.F32, out().resolve("tokenizer.json"));
    write(weights(spec));
    assertThat(out().resolve("tokenizer.json")).hasContent(TOKENIZER);
  }

  @Test
  void aModelThatCannotBeWrittenLeavesTheOldOne() throws IOException {
    ModelSpec spec = ModelSpec.neox(12, 16, 1, 2, 8);
    write(weights(spec));
    byte[] before = Files.readAllBytes(out().resolve("model.safetensors"));
    Path broken = Files.writeString(dir.resolve("t.json"), "{");
    assertThatThrownBy(() -> write(weights(spec), Dtype.BF16, broken))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(broken.toString());
    assertThat(names())
        .containsExactly("config.json", "generation_config.json", "model.safetensors");
    assertThat(Files.readAllBytes(out().resolve("model.safetensors"))).isEqualTo(before);
  }

  @Test
  void whatAKilledWriterLeftIsClearedAway() throws IOException {
    Path partial = Files.createDirectories(out().resolve(".partial"));
    Files.writeString(partial.resolve("model.safetensors.partial"), "half");
    assertThatThrownBy(() -> HfFolder.open(out())).isInstanceOf(InputException.class);
    ModelSpec spec = ModelSpec.neox(12, 16, 1, 2, 8);
    write(weights(spec));
    assertThat(names())
        .containsExactly("config.json", "generation_config.json", "model.safetensors");
  }

  @Test
  void tensorsThatAreNotTheModelsAreRefused() {
    ModelSpec spec = ModelSpec.neox(12, 16, 1, 2, 8);
    ModelSpec other = ModelSpec.neox(13, 16, 1, 2, 8);
    assertThatThrownBy(() -> new HfFolderWriter(out(), spec, Dtype.F32).write(weights(other)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the weights are those of another model");
    assertThatThrownBy(() -> write(weights(spec), Dtype.I8, null))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(out()).doesNotExist();
    List<StoredTensor> some = weights(spec).tensors();
    some.removeLast();
    ModelWeights missing =
        new ModelWeights() {
          @Override
          public ModelSpec spec() {
            return spec;
          }

          @Override
          public List<StoredTensor> tensors() {
            return some;
          }
        };
    assertThatThrownBy(() -> write(missing))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("no parameter head.weight");
    assertThat(out()).isEmptyDirectory();
  }

  /** Makes a tensor whenever it is read. */
  private record Made(StoredTensor tensor, List<MemorySegment> given) implements StoredTensor {
    @Override
    public TensorExpression expression() {
      return tensor.expression();
    }

    @Override
    public String type() {
      return tensor.type();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.empty();
    }

    @Override
    public MappedTensor read(Arena arena) {
      MappedTensor values = tensor.read(arena);
      given.add(arena.allocate(values.data().byteSize(), 64).copyFrom(values.data()));
      return new MappedTensor(values.dtype(), given.getLast());
    }
  }

  @Test
  void tensorsMayComeOneAtATimeAndAreLetGo() {
    ModelSpec spec = ModelSpec.neox(12, 16, 2, 2, 8);
    RandomWeights weights = weights(spec);
    List<MemorySegment> given = new ArrayList<>();
    List<ParamId> asked = new ArrayList<>();
    Map<ParamId, StoredTensor> made = new LinkedHashMap<>();
    weights
        .tensors()
        .forEach(tensor -> made.put(tensor.expression().first(), new Made(tensor, given)));
    write(
        new ModelWeights() {
          @Override
          public ModelSpec spec() {
            return spec;
          }

          @Override
          public List<StoredTensor> tensors() {
            return List.copyOf(made.values());
          }

          @Override
          public MappedTensor read(TensorExpression expression, Arena arena) {
            assertThat(given).as("the ones before").noneMatch(data -> data.scope().isAlive());
            asked.add(expression.first());
            return ModelWeights.super.read(expression, arena);
          }
        });
    assertThat(given).hasSize(spec.parameters().size());
    assertThat(asked)
        .containsExactlyElementsOf(
            CanonicalNames.of(spec).stream().map(TensorExpression::first).toList());
    try (HfFolder folder = HfFolder.open(out())) {
      RandomWeights.assertSame(folder, weights);
    }
  }

  @Test
  void otherFilesGoAlong() {
    ModelSpec spec = ModelSpec.neox(12, 16, 1, 2, 8);
    HfFolderWriter writer =
        new HfFolderWriter(out(), spec, Dtype.F32).tokenizer(TOKENIZER, Path.of("somewhere.gguf"));
    writer.file("README.md", "A model".getBytes(StandardCharsets.UTF_8));
    writer.write(weights(spec));
    assertThat(out().resolve("README.md")).hasContent("A model");
    assertThat(out().resolve("tokenizer.json")).hasContent(TOKENIZER);
    for (String name :
        List.of(
            "config.json",
            "../README.md",
            "",
            "model.safetensors",
            "pytorch_model.bin",
            "tokenizer.json",
            ".x")) {
      assertThatThrownBy(() -> writer.file(name, new byte[0]))
          .as(name)
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
