package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GgufModelTest {
  @TempDir Path dir;

  private Path export(ModelConfig config, Map<String, Tensor> tensors, GgmlType type) {
    Path file = dir.resolve("model.gguf");
    GgufExport export =
        new GgufExport(file, config, type, null, Map.of("general.name", GgufValue.text("a test")));
    long[] told = {0};
    export.write(tensors::get, bytes -> told[0] += bytes);
    assertThat(told[0]).isEqualTo(export.bytes());
    return file;
  }

  /** Random values; norms near one. */
  private static Map<String, Tensor> random(ModelConfig config) {
    Random random = new Random(3);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (TensorSpec spec : config.tensors()) {
      float[] values = new float[(int) spec.elements()];
      float middle = spec.name().contains("norm.weight") ? 1 : 0;
      for (int i = 0; i < values.length; i++) {
        values[i] = middle + 0.2f * (float) random.nextGaussian();
      }
      tensors.put(spec.name(), Tensors.of(values, spec.shape()));
    }
    return tensors;
  }

  private static ModelConfig config(
      Position position, Residual residual, boolean qkvBias, boolean headBias, boolean tied) {
    return new ModelConfig(
        96,
        96,
        64,
        2,
        4,
        128,
        32,
        position,
        residual,
        Activation.GELU_TANH,
        1e-5,
        ModelConfig.everywhere(2),
        true,
        qkvBias,
        true,
        headBias,
        tied,
        5);
  }

  private static final Position.Rotary HALVES = new Position.Rotary(8, 10000, false);
  private static final Position.Rotary PAIRS = new Position.Rotary(8, 500, true);

  /** The logits of a few tokens, and every parameter that could be at fault in them. */
  private static float[] logits(ModelConfig config, Map<String, Tensor> tensors) {
    try (CausalLM model = new CausalLM(config, tensors);
        Tensor ids = Tensors.of(new int[] {5, 17, 80, 3, 3, 41, 0, 95}, 1, 8)) {
      return Tensors.floats(model.forward(ids));
    }
  }

  private static void close(float[] found, float[] expected, double error) {
    assertThat(found).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      assertThat((double) found[i]).isCloseTo(expected[i], within(error));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "neox-parallel, F32",
    "neox-20b-like, F32",
    "neox-serial-tied, F32",
    "neox-parallel, F16",
    "neox-20b-like, BF16"
  })
  void neoxComesBackAsItWasRounded(String name, GgmlType type) {
    Path file = dir.resolve("model.gguf");
    try (PointerScope _ = new PointerScope();
        HfFolder source = HfFolder.open(HfFolderTest.parity(name))) {
      new GgufExport(file, source.config(), type, null, Map.of())
          .write(source::tensor, bytes -> {});
      try (StoredModel model = StoredModel.open(file)) {
        assertThat(model.config().parameters() >= source.config().parameters()).isTrue();
        assertThat(model.config().residual()).isEqualTo(source.config().residual());
        assertThat(model.config().position()).isEqualTo(source.config().position());
        assertThat(model.config().activation()).isEqualTo(source.config().activation());
        assertThat(model.config().layerNormEps()).isEqualTo(source.config().layerNormEps());
        if (!source.config().tiedHead()) {
          assertThat(model.config()).isEqualTo(source.config());
        }
        for (TensorSpec spec : source.config().tensors()) {
          ScalarType stored = spec.shape().length > 1 ? type.scalarType() : ScalarType.Float;
          float[] expected = Tensors.floats(source.tensor(spec.name()).to(stored));
          assertThat(Tensors.floats(model.tensor(spec.name()))).as(spec.name()).isEqualTo(expected);
          model
              .mapped(spec.name())
              .ifPresent(data -> assertThat(data.floats()).as(spec.name()).isEqualTo(expected));
          assertThat(model.mapped(spec.name())).isPresent();
        }
      }
    }
  }

  /**
   * What llama.cpp's own converter does: the rows of query, key and value, head by head, go to
   * three blocks of rows.
   */
  @Test
  void queriesKeysAndValuesLieAsLlamaCppWantsThem() {
    ModelConfig config = config(HALVES, Residual.PARALLEL, true, false, false);
    try (PointerScope _ = new PointerScope()) {
      float[] rows = new float[3 * 64];
      for (int i = 0; i < rows.length; i++) {
        rows[i] = i;
      }
      Map<String, Tensor> tensors = random(config);
      tensors.put("layers.1.attention.query_key_value.bias", Tensors.of(rows, rows.length));
      try (GgufFile file = GgufFile.open(export(config, tensors, GgmlType.F32))) {
        float[] found = Tensors.floats(file.tensor("blk.1.attn_qkv.bias"));
        // Heads are 16 wide: query of head 1, row 2; key of head 0, row 0; value of head 3, row 15.
        assertThat(found[16 + 2]).isEqualTo(48 + 2);
        assertThat(found[64]).isEqualTo(16);
        assertThat(found[191]).isEqualTo(191);
      }
    }
  }

  @Test
  void everyArchitectureComputesTheSameFromItsFile() {
    for (ModelConfig config :
        List.of(
            config(HALVES, Residual.PARALLEL, true, false, false),
            config(HALVES, Residual.SERIAL, false, false, true),
            config(new Position.Learned(), Residual.SERIAL, true, false, true),
            config(new Position.Learned(), Residual.SERIAL, true, false, false),
            config(PAIRS, Residual.PARALLEL_ONE_NORM, false, true, false),
            config(HALVES, Residual.PARALLEL_ONE_NORM, true, true, false),
            config(PAIRS, Residual.PARALLEL_ONE_NORM, false, true, true),
            config(PAIRS, Residual.PARALLEL_ONE_NORM, false, false, true))) {
      try (PointerScope _ = new PointerScope()) {
        Map<String, Tensor> tensors = random(config);
        Path file = export(config, tensors, GgmlType.F32);
        try (StoredModel model = StoredModel.open(file)) {
          close(logits(model.config(), model.tensors()), logits(config, tensors), 2e-5);
          assertThat(model.config().endOfText()).isEqualTo(5);
        }
      }
    }
  }

  /**
   * Files of architecture gptj, which we do not write, have a matrix each for queries, keys and
   * values.
   */
  @Test
  void queriesKeysAndValuesInThreeMatricesAreJoined() {
    ModelConfig config = config(PAIRS, Residual.PARALLEL_ONE_NORM, false, true, false);
    int[] rows = GgufModel.queryKeyValueRows(config, false);
    Map<String, GgufValue> metadata = new LinkedHashMap<>(GgufArchitecture.GPTJ.metadata(config));
    metadata.put("general.architecture", GgufValue.text("gptj"));
    metadata.put("tokenizer.ggml.eos_token_id", GgufValue.u32(5));
    Path file = dir.resolve("gptj.gguf");
    try (PointerScope _ = new PointerScope()) {
      Map<String, Tensor> tensors = random(config);
      Map<String, Tensor> named = new LinkedHashMap<>();
      for (TensorSpec spec : config.tensors()) {
        String name = GgufArchitecture.tensorName(spec.name());
        if (name.contains("attn_qkv")) {
          Tensor all = tensors.get(spec.name()).index_select(0, Tensors.of(rows, rows.length));
          for (int part = 0; part < 3; part++) {
            named.put(
                name.replace("attn_qkv", "attn_" + "qkv".charAt(part)),
                all.narrow(0, 64L * part, 64).contiguous());
          }
        } else {
          named.put(name, tensors.get(spec.name()));
        }
      }
      List<GgufWriter.Declared> declared = new ArrayList<>();
      named.forEach(
          (name, tensor) ->
              declared.add(GgufFileTest.tensor(name, GgmlType.F32, Tensors.shape(tensor))));
      try (GgufWriter writer = new GgufWriter(file, metadata, declared, bytes -> {})) {
        named.forEach((name, tensor) -> writer.write(name, Tensors.segment(tensor)));
        writer.commit();
      }
      try (StoredModel model = StoredModel.open(file)) {
        assertThat(model.config()).isEqualTo(config);
        for (TensorSpec spec : config.tensors()) {
          float[] expected = Tensors.floats(tensors.get(spec.name()));
          assertThat(Tensors.floats(model.tensor(spec.name()))).as(spec.name()).isEqualTo(expected);
        }
      }
    }
  }

  @Test
  void quantisedFilesKeepNormsBiasesAndPositionsAndAnExactHead() {
    ModelConfig config = config(new Position.Learned(), Residual.SERIAL, true, false, true);
    try (PointerScope _ = new PointerScope()) {
      Map<String, Tensor> tensors = random(config);
      try (GgufModel model = GgufModel.open(export(config, tensors, GgmlType.Q4_0))) {
        assertThat(model.storedAs("layers.0.attention.query_key_value.weight")).isEqualTo("Q4_0");
        assertThat(model.storedAs("embed_in.weight")).isEqualTo("Q8_0");
        assertThat(model.storedAs("embed_positions.weight")).isEqualTo("F32");
        assertThat(model.storedAs("layers.0.mlp.dense_h_to_4h.bias")).isEqualTo("F32");
        assertThat(model.storedAs("final_layer_norm.weight")).isEqualTo("F32");
      }
      ModelConfig untied = config(HALVES, Residual.PARALLEL, true, false, false);
      tensors = random(untied);
      try (GgufModel model = GgufModel.open(export(untied, tensors, GgmlType.Q4_0))) {
        assertThat(model.storedAs("embed_in.weight")).isEqualTo("Q4_0");
        assertThat(model.storedAs("embed_out.weight")).isEqualTo("Q8_0");
        assertThat(model.file().metadata().text("general.name")).isEqualTo("a test");
      }
      // A row of 40 is no whole number of blocks.
      ModelConfig narrow = ModelConfig.neox(96, 40, 1, 5, 8);
      try (GgufModel model = GgufModel.open(export(narrow, random(narrow), GgmlType.Q8_0))) {
        assertThat(model.storedAs("embed_in.weight")).isEqualTo("F16");
        assertThat(model.storedAs("layers.0.mlp.dense_4h_to_h.weight")).isEqualTo("Q8_0");
      }
    }
  }

  @Test
  void quantisedModelIsCloseToItsSource() {
    ModelConfig config = config(HALVES, Residual.PARALLEL, true, false, false);
    try (PointerScope _ = new PointerScope()) {
      Map<String, Tensor> tensors = random(config);
      float[] exact = logits(config, tensors);
      try (StoredModel model = StoredModel.open(export(config, tensors, GgmlType.Q8_0))) {
        close(logits(model.config(), model.tensors()), exact, 0.2);
      }
      try (StoredModel model = StoredModel.open(export(config, tensors, GgmlType.Q4_0))) {
        close(logits(model.config(), model.tensors()), exact, 3);
      }
    }
  }

  @Test
  void withoutOurKeyAFileMeansLlamaCppsGelu() throws IOException {
    ModelConfig config = ModelConfig.neox(96, 64, 1, 4, 8);
    try (PointerScope _ = new PointerScope()) {
      Path file = export(config, random(config), GgmlType.F32);
      byte[] bytes = Files.readAllBytes(file);
      int key =
          new String(bytes, java.nio.charset.StandardCharsets.ISO_8859_1)
              .indexOf("jneox.hidden_act");
      bytes[key] = 'k';
      Files.write(dir.resolve("other.gguf"), bytes);
      try (StoredModel ours = StoredModel.open(file);
          StoredModel other = StoredModel.open(dir.resolve("other.gguf"))) {
        assertThat(ours.config().activation()).isEqualTo(Activation.GELU);
        assertThat(other.config().activation()).isEqualTo(Activation.GELU_TANH);
      }
    }
  }

  @Test
  void whatLlamaCppCannotComputeIsRefusedInOneLine() {
    refused(
        config(new Position.Learned(), Residual.PARALLEL, true, false, true),
        "learned positions with a parallel residual");
    refused(config(HALVES, Residual.PARALLEL, true, true, false), "a head with a bias");
    ModelConfig neo =
        new ModelConfig(
            96,
            96,
            64,
            2,
            4,
            128,
            32,
            new Position.Learned(),
            Residual.SERIAL,
            Activation.GELU_TANH,
            1e-5,
            List.of(0, 16),
            true,
            false,
            true,
            false,
            true,
            5);
    refused(neo, "local attention windows");
    ModelConfig unscaled =
        new ModelConfig(
            96,
            96,
            64,
            2,
            4,
            128,
            32,
            new Position.Learned(),
            Residual.SERIAL,
            Activation.GELU_TANH,
            1e-5,
            ModelConfig.everywhere(2),
            false,
            false,
            true,
            false,
            true,
            5);
    refused(unscaled, "attention without the scale");
  }

  private void refused(ModelConfig config, String says) {
    assertThatThrownBy(
            () -> new GgufExport(dir.resolve("no.gguf"), config, GgmlType.F32, null, Map.of()))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("no.gguf", "llama.cpp has no graph for", says);
  }

  @Test
  void concernsAreTold() throws IOException {
    Path file = dir.resolve("a.gguf");
    ModelConfig neox = ModelConfig.neox(300, 64, 1, 4, 8);
    assertThat(
            new GgufExport(file, neox, GgmlType.F32, GgufTokenizerTest.trained(300), Map.of())
                .concerns())
        .singleElement()
        .asString()
        .contains("tanh");
    ModelConfig gptj = config(PAIRS, Residual.PARALLEL_ONE_NORM, false, true, true);
    assertThat(new GgufExport(file, gptj, GgmlType.F32, null, Map.of()).concerns()).hasSize(3);
  }

  @Test
  void valuesThatTheTypeCannotHoldLeaveNoFile() {
    ModelConfig config = ModelConfig.neox(96, 64, 1, 4, 8);
    for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, 70000}) {
      try (PointerScope _ = new PointerScope()) {
        Map<String, Tensor> tensors = random(config);
        float[] values = new float[64 * 64];
        values[77] = value;
        tensors.put("layers.0.attention.dense.weight", Tensors.of(values, 64, 64));
        assertThatThrownBy(() -> export(config, tensors, GgmlType.F16))
            .isInstanceOf(InputException.class)
            .hasMessageContainingAll("model.gguf: tensor blk.0.attn_output.weight", "65504");
      }
    }
    assertThat(dir).isEmptyDirectory();
  }

  @Test
  void tensorsThatDoNotFitTheMetadataAreNamed() throws IOException {
    ModelConfig config = ModelConfig.neox(96, 64, 1, 4, 8);
    try (PointerScope _ = new PointerScope()) {
      byte[] bytes = Files.readAllBytes(export(config, random(config), GgmlType.F32));
      changed(
          bytes,
          "blk.0.ffn_up.bias",
          "blk.0.ffn_ap.bias",
          "tensor \"blk.0.ffn_up.bias\"",
          "no such tensor");
      changed(
          bytes, "general.architecture", "general.architektur", "general.architecture", "gptneox");
      changed(
          bytes,
          "gptneox.block_count",
          "gptneox.block_kount",
          "gptneox.block_count",
          "no such key");
    }
    Map<String, GgufValue> metadata = Map.of("general.architecture", GgufValue.text("llama"));
    GgufFileTest.write(dir.resolve("llama.gguf"), metadata);
    assertThatThrownBy(() -> StoredModel.open(dir.resolve("llama.gguf")))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(
            "llama.gguf", "general.architecture", "gptneox, gpt2, gptj or phi2", "llama");
  }

  private void changed(byte[] bytes, String from, String to, String... says) throws IOException {
    byte[] other = bytes.clone();
    int at = new String(bytes, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf(from);
    System.arraycopy(
        to.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1), 0, other, at, to.length());
    Path file = dir.resolve("changed.gguf");
    Files.write(file, other);
    assertThatThrownBy(() -> StoredModel.open(file))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(says);
  }
}
