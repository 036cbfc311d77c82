package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HfFolderWriterTest {
  private static final String TOKENIZER = "{\"model\":{\"vocab\":{\"<|endoftext|>\":0,\"a\":1}}}";

  @TempDir Path dir;

  private Path out() {
    return dir.resolve("model");
  }

  /** Every weight has its own value, so that no two can be taken for each other. */
  private static Map<String, Tensor> weights(ModelConfig config) {
    Map<String, Tensor> weights = new LinkedHashMap<>();
    int next = 0;
    for (ModelConfig.TensorSpec spec : config.tensors()) {
      float[] values = new float[(int) spec.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = next++ * 1e-3f;
      }
      weights.put(spec.name(), Tensors.of(values, spec.shape()));
    }
    return weights;
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
      HfFolder.write(out(), source.config(), source.tensors(), Dtype.F32, null);
      try (HfFolder copy = HfFolder.open(out())) {
        assertThat(copy.config()).isEqualTo(source.config());
        source
            .tensors()
            .forEach((key, tensor) -> assertThat(copy.tensor(key).equal(tensor)).as(key).isTrue());
      }
    }
  }

  @Test
  void everyChoiceOfTheFamilyComesBack() {
    for (int dims = 2; dims <= 22; dims += 2) {
      ModelConfig config =
          new ModelConfig(
              10,
              10,
              44,
              1,
              2,
              20,
              4,
              new Position.Rotary(dims, 12345.5, false),
              dims % 4 == 0 ? Residual.SERIAL : Residual.PARALLEL,
              dims % 4 == 0 ? Activation.GELU : Activation.GELU_TANH,
              1e-6,
              ModelConfig.everywhere(1),
              true,
              dims < 12,
              dims < 12,
              false,
              dims % 6 == 0,
              dims % 10 == 0 ? -1 : 3);
      HfFolder.write(out(), config, weights(config), Dtype.F32, null);
      assertThat(HfFolder.config(out())).isEqualTo(config);
    }
  }

  @Test
  void narrowTypesAreRoundedAndNamed() throws IOException {
    ModelConfig config = ModelConfig.neox(12, 16, 1, 2, 8);
    Map<String, Tensor> weights = weights(config);
    for (Dtype dtype : List.of(Dtype.BF16, Dtype.F16)) {
      HfFolder.write(out(), config, weights, dtype, null);
      try (HfFolder copy = HfFolder.open(out())) {
        weights.forEach(
            (key, tensor) ->
                assertThat(copy.tensor(key).equal(tensor.to(dtype.scalarType()))).as(key).isTrue());
      }
      JsonNode json = new ObjectMapper().readTree(out().resolve("config.json").toFile());
      assertThat(json.get("torch_dtype").textValue())
          .isEqualTo(dtype == Dtype.BF16 ? "bfloat16" : "float16");
    }
  }

  @Test
  void theConfigurationHasTheRotaryValuesInBothSpellings() throws IOException {
    ModelConfig config = ModelConfig.neox(12, 16, 1, 2, 8);
    HfFolder.write(out(), config, weights(config), Dtype.F32, null);
    JsonNode json = new ObjectMapper().readTree(out().resolve("config.json").toFile());
    assertThat(json.get("rotary_pct").doubleValue()).isEqualTo(0.25);
    assertThat(json.get("rotary_emb_base").doubleValue()).isEqualTo(10000);
    assertThat(json.get("rope_parameters").get("partial_rotary_factor").doubleValue())
        .isEqualTo(0.25);
    assertThat(json.get("rope_parameters").get("rope_theta").doubleValue()).isEqualTo(10000);
  }

  @Test
  void largeModelsAreSplitAndAnOldModelIsReplaced() throws IOException {
    ModelConfig config = ModelConfig.neox(12, 16, 2, 2, 8);
    Map<String, Tensor> weights = weights(config);
    HfFolder.write(out(), config, weights, Dtype.F32, null);
    assertThat(names())
        .containsExactly("config.json", "generation_config.json", "model.safetensors");

    // Each shard holds at most 4096 bytes, or one tensor that is larger.
    List<Long> progress = new ArrayList<>();
    HfFolderWriter writer =
        new HfFolderWriter(out(), config, Dtype.F32).shards(4096).progress(progress::add);
    writer.write(weights);
    assertThat(progress).hasSize(weights.size());
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
      weights.forEach(
          (key, tensor) -> assertThat(folder.tensor(key).equal(tensor)).as(key).isTrue());
    }
    JsonNode index =
        new ObjectMapper().readTree(out().resolve("model.safetensors.index.json").toFile());
    assertThat(index.get("metadata").get("total_size").longValue())
        .isEqualTo(total)
        .isEqualTo(config.parameters() * 4);

    HfFolder.write(out(), config, weights, Dtype.F32, null);
    assertThat(names())
        .containsExactly("config.json", "generation_config.json", "model.safetensors");
  }

  @Test
  void theTokenizerGoesAlong() throws IOException {
    ModelConfig config = ModelConfig.neox(12, 16, 1, 2, 8);
    Path tokenizer = Files.writeString(dir.resolve("t.json"), TOKENIZER);
    HfFolder.write(out(), config, weights(config), Dtype.F32, tokenizer);
    assertThat(out().resolve("tokenizer.json")).hasContent(TOKENIZER);
    JsonNode json = new ObjectMapper().readTree(out().resolve("tokenizer_config.json").toFile());
    assertThat(json.get("eos_token").textValue()).isEqualTo("<|endoftext|>");
    assertThat(HfFolder.config(out()).usedVocab()).isEqualTo(2);

    // The folder's own tokenizer may be given, and stays when none is.
    HfFolder.write(out(), config, weights(config), Dtype.F32, out().resolve("tokenizer.json"));
    HfFolder.write(out(), config, weights(config), Dtype.F32, null);
    assertThat(out().resolve("tokenizer.json")).hasContent(TOKENIZER);
  }

  @Test
  void aModelThatCannotBeWrittenLeavesTheOldOne() throws IOException {
    ModelConfig config = ModelConfig.neox(12, 16, 1, 2, 8);
    HfFolder.write(out(), config, weights(config), Dtype.F32, null);
    byte[] before = Files.readAllBytes(out().resolve("model.safetensors"));
    Path broken = Files.writeString(dir.resolve("t.json"), "{");
    assertThatThrownBy(() -> HfFolder.write(out(), config, weights(config), Dtype.BF16, broken))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(broken.toString());
    Path large = Files.writeString(dir.resolve("t.json"), "{\"model\":{\"vocab\":{\"a\":12}}}");
    assertThatThrownBy(() -> HfFolder.write(out(), config, weights(config), Dtype.BF16, large))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("largest id: expected below the model's vocab_size 12, found 12");
    assertThat(names())
        .containsExactly("config.json", "generation_config.json", "model.safetensors");
    assertThat(Files.readAllBytes(out().resolve("model.safetensors"))).isEqualTo(before);
  }

  @Test
  void whatAKilledWriterLeftIsClearedAway() throws IOException {
    Path partial = Files.createDirectories(out().resolve(".partial"));
    Files.writeString(partial.resolve("model.safetensors.partial"), "half");
    assertThatThrownBy(() -> HfFolder.open(out())).isInstanceOf(InputException.class);
    ModelConfig config = ModelConfig.neox(12, 16, 1, 2, 8);
    HfFolder.write(out(), config, weights(config), Dtype.F32, null);
    assertThat(names())
        .containsExactly("config.json", "generation_config.json", "model.safetensors");
  }

  @Test
  void tensorsThatAreNotTheModelsAreRefused() {
    ModelConfig config = ModelConfig.neox(12, 16, 1, 2, 8);
    Map<String, Tensor> missing = weights(config);
    missing.remove("embed_out.weight");
    Map<String, Tensor> surplus = weights(config);
    surplus.put("extra", Tensors.of(new float[1], 1));
    Map<String, Tensor> shape = weights(config);
    shape.put("embed_out.weight", Tensors.of(new float[16], 16));
    for (Map<String, Tensor> bad : List.of(missing, surplus, shape)) {
      assertThatThrownBy(() -> HfFolder.write(out(), config, bad, Dtype.F32, null))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThatThrownBy(() -> HfFolder.write(out(), config, weights(config), Dtype.I8, null))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(out()).doesNotExist();
  }

  @Test
  void tensorsMayComeOneAtATimeAndAreClosed() {
    ModelConfig config = ModelConfig.neox(12, 16, 2, 2, 8);
    Map<String, Tensor> weights = weights(config);
    List<String> asked = new ArrayList<>();
    List<Tensor> given = new ArrayList<>();
    new HfFolderWriter(out(), config, Dtype.F32)
        .write(
            name -> {
              assertThat(given.stream().allMatch(t -> t.isNull()))
                  .as("the ones before are closed")
                  .isTrue();
              asked.add(name);
              given.add(weights.get(name).clone());
              return given.getLast();
            });
    assertThat(asked)
        .containsExactlyElementsOf(
            config.tensors().stream().map(ModelConfig.TensorSpec::name).toList());
    try (HfFolder folder = HfFolder.open(out())) {
      weights.forEach(
          (key, tensor) -> assertThat(folder.tensor(key).equal(tensor)).as(key).isTrue());
    }
  }

  @Test
  void otherFilesGoAlong() {
    ModelConfig config = ModelConfig.neox(12, 16, 1, 2, 8);
    HfFolderWriter writer =
        new HfFolderWriter(out(), config, Dtype.F32)
            .tokenizer(TOKENIZER, Path.of("somewhere.gguf"));
    writer.file("README.md", "A model".getBytes(StandardCharsets.UTF_8));
    writer.write(weights(config));
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
