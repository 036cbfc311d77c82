package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
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
import java.util.function.Function;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What we write in GPT-NeoX's format, read back. */
class NeoxCheckpointWriterTest {
  private static final Path TWO_RANKS = Path.of("src/test/resources/parity/neox-native-tp2");

  @TempDir Path dir;
  private PointerScope scope;

  @BeforeEach
  void openScope() {
    scope = new PointerScope();
  }

  @AfterEach
  void closeScope() {
    scope.close();
  }

  private Path out() {
    return dir.resolve("run");
  }

  private static ModelConfig config(
      Residual residual, boolean tied, Position position, Activation activation) {
    return new ModelConfig(
        120,
        120,
        24,
        2,
        12,
        36,
        50,
        position,
        residual,
        activation,
        1e-6,
        List.of(0, 0),
        true,
        true,
        true,
        false,
        tied,
        -1);
  }

  private static ModelConfig neox() {
    return config(
        Residual.PARALLEL, false, new Position.Rotary(2, 10000, false), Activation.GELU_TANH);
  }

  /** Values of many sizes, down to the subnormal ones of fp16. */
  private static Map<String, Tensor> weights(ModelConfig config, Dtype dtype) {
    Random random = new Random(7);
    Map<String, Tensor> all = new LinkedHashMap<>();
    for (TensorSpec spec : config.tensors()) {
      float[] values = new float[(int) spec.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (random.nextGaussian() * Math.pow(2, -random.nextInt(24)));
      }
      all.put(spec.name(), Tensors.of(values, spec.shape()).to(dtype.scalarType()));
    }
    return all;
  }

  private static void assertSame(StoredModel model, Function<String, Tensor> expected) {
    for (TensorSpec spec : model.config().tensors()) {
      assertThat(torch.equal(model.tensor(spec.name()), expected.apply(spec.name())))
          .as(spec.name())
          .isTrue();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1,F32,false",
    "2,F32,true",
    "4,F32,false",
    "1,F16,true",
    "2,F16,false",
    "3,F16,false",
    "4,F16,true",
    "6,F16,true",
    "12,F16,false",
    "2,BF16,true",
    "3,BF16,false",
    "4,BF16,false",
    "2,F64,false"
  })
  void anyNumberOfRanksGivesTheModelBack(int ranks, Dtype dtype, boolean newNames) {
    ModelConfig config = neox();
    Map<String, Tensor> weights = weights(config, dtype);
    List<Long> progress = new ArrayList<>();
    NeoxCheckpointWriter writer =
        new NeoxCheckpointWriter(out(), config, dtype)
            .tensorParallel(ranks)
            .iteration(7)
            .progress(progress::add);
    if (newNames) {
      writer.newMlpNames();
    }
    writer.write(name -> weights.get(name).alias());
    try (NeoxCheckpoint model = NeoxCheckpoint.open(out())) {
      assertThat(model.ranks()).isEqualTo(ranks);
      assertThat(model.config()).isEqualTo(config);
      assertThat(model.storedAs("embed_in.weight")).isEqualTo(dtype.name());
      assertThat(model.mapped("embed_in.weight").isPresent()).isEqualTo(ranks == 1);
      assertSame(model, weights::get);
    }
    assertThat(progress.stream().mapToLong(n -> n).sum()).isEqualTo(writer.bytes());
    assertThat(out().resolve("latest")).hasContent("global_step7");
  }

  @ParameterizedTest
  @EnumSource(Residual.class)
  void everyKindOfBlock(Residual residual) {
    for (boolean tied : new boolean[] {true, false}) {
      for (Position position :
          List.of(new Position.Learned(), new Position.Rotary(2, 1e6, false))) {
        ModelConfig config = config(residual, tied, position, Activation.GELU);
        Map<String, Tensor> weights = weights(config, Dtype.F32);
        new NeoxCheckpointWriter(out(), config, Dtype.F32)
            .tensorParallel(3)
            .write(name -> weights.get(name).alias());
        try (NeoxCheckpoint model = NeoxCheckpoint.open(out())) {
          assertThat(model.config()).isEqualTo(config);
          assertSame(model, weights::get);
        }
      }
    }
  }

  @Test
  void biasesOfASerialModelAreNotDivided() {
    ModelConfig config = config(Residual.SERIAL, false, new Position.Learned(), Activation.GELU);
    Map<String, Tensor> weights = weights(config, Dtype.F32);
    new NeoxCheckpointWriter(out(), config, Dtype.F32)
        .tensorParallel(2)
        .write(name -> weights.get(name).alias());
    try (TorchFile file =
        TorchFile.open(
            out().resolve("global_step1").resolve("layer_02-model_01-model_states.pt"))) {
      assertThat(
              torch.equal(
                  file.tensor("attention.dense.bias"),
                  weights.get("layers.0.attention.dense.bias")))
          .isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void theCheckpointOfGptNeoxWrittenAgain(int ranks) {
    try (StoredModel source = StoredModel.open(TWO_RANKS)) {
      new NeoxCheckpointWriter(out(), source.config(), Dtype.F16)
          .tensorParallel(ranks)
          .iteration(10)
          .write(source::tensor);
      try (StoredModel copy = StoredModel.open(out())) {
        assertThat(copy.config()).isEqualTo(source.config());
        assertSame(copy, source::tensor);
      }
    }
    try (TorchFile ours =
            TorchFile.open(out().resolve("global_step10/layer_03-model_00-model_states.pt"));
        TorchFile theirs =
            TorchFile.open(TWO_RANKS.resolve("global_step10/layer_03-model_00-model_states.pt"))) {
      assertThat(ours.names()).containsExactlyInAnyOrderElementsOf(theirs.names());
      assertThat(
              torch.equal(
                  ours.tensor(NeoxNames.ROTARY_BUFFER), theirs.tensor(NeoxNames.ROTARY_BUFFER)))
          .isTrue();
    }
  }

  @Test
  void aModelThatCannotBeDividedOrThatGptNeoxDoesNotHaveIsRefused() {
    NeoxCheckpointWriter writer = new NeoxCheckpointWriter(out(), neox(), Dtype.F32);
    assertThatThrownBy(() -> writer.tensorParallel(5))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(
            "that divide 12 heads, MLP width 36 and 120 rows of the vocabulary, found 5");
    ModelConfig gptJ =
        config(
            Residual.PARALLEL_ONE_NORM,
            false,
            new Position.Rotary(2, 10000, true),
            Activation.GELU);
    assertThatThrownBy(() -> new NeoxCheckpointWriter(out(), gptJ, Dtype.F32))
        .isInstanceOf(InputException.class);
    assertThatThrownBy(() -> writer.iteration(0)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void whatFailsLeavesTheFormerCheckpoint() throws IOException {
    ModelConfig config = neox();
    Map<String, Tensor> weights = weights(config, Dtype.F32);
    NeoxCheckpointWriter writer =
        new NeoxCheckpointWriter(out(), config, Dtype.F32).tensorParallel(2);
    writer.write(name -> weights.get(name).alias());
    assertThatThrownBy(
            () ->
                writer.write(
                    name -> {
                      if (name.equals("final_layer_norm.weight")) {
                        throw new IllegalStateException("killed");
                      }
                      return weights.get(name).mul(weights.get(name));
                    }))
        .hasMessage("killed");
    try (StoredModel model = StoredModel.open(out())) {
      assertSame(model, weights::get);
    }
    try (Stream<Path> files = Files.list(out())) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder("global_step1", "latest");
    }
  }

  @Test
  void theTokenizerGoesAlong() {
    String tokenizer =
        """
        {"added_tokens": [{"id": 5, "content": "<|endoftext|>"}],
         "model": {"type": "BPE", "vocab": {"a": 0, "b": 99}, "merges": []}}
        """;
    ModelConfig config = neox();
    Map<String, Tensor> weights = weights(config, Dtype.F32);
    new NeoxCheckpointWriter(out(), config, Dtype.F32)
        .tokenizer(tokenizer)
        .write(name -> weights.get(name).alias());
    try (StoredModel model = StoredModel.open(out())) {
      assertThat(model.tokenizerJson()).contains(tokenizer);
      assertThat(model.config().usedVocab()).isEqualTo(100);
      assertThat(model.config().vocabSize()).isEqualTo(120);
      assertThat(model.config().endOfText()).isEqualTo(5);
    }
  }
}
