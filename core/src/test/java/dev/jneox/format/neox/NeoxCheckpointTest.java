package dev.jneox.format.neox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.ModelFiles;
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
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A checkpoint of two ranks in fp16, and what GPT-NeoX's own converter made of it; one of a run
 * without a pipeline, with the arguments and random states that such have; and checkpoints that are
 * not whole.
 */
@Tag("slow")
class NeoxCheckpointTest {
  private static final Path DIR = Path.of("src/test/resources/parity/neox-native-tp2");

  @TempDir Path dir;

  private static String hfName(String canonical) {
    return "hf." + (canonical.startsWith("embed_out") ? "" : "gpt_neox.") + canonical;
  }

  @Test
  void mergedTensorsAreThoseOfTheConverter() {
    try (StoredModel model = ModelFiles.open(DIR);
        Safetensors expected = Safetensors.open(DIR.resolve("expected.safetensors"))) {
      assertThat(model).isInstanceOf(NeoxCheckpoint.class);
      assertThat(model.tensors()).hasSize(40);
      for (TensorExpression tensor : CanonicalNames.of(model.spec())) {
        assertSame(model, tensor, expected, hfName(tensor.name()), Dtype.F16);
      }
    }
  }

  private static void assertSame(
      StoredModel model, TensorExpression tensor, Safetensors expected, String name, Dtype dtype) {
    try (Arena arena = Arena.ofShared()) {
      assertThat(model.holder(tensor.first()).type()).isEqualTo(dtype.name());
      assertThat(expected.shape(name)).as(name).containsExactly(tensor.shape());
      RandomWeights.assertSame(
          name,
          model.read(tensor, arena),
          new MappedTensor(expected.dtype(name), expected.data(name).orElseThrow()));
    }
  }

  @Test
  void aRunWithoutAPipelineAndWithNewNames() {
    Path run = Path.of("src/test/resources/torch/neox-no-pipeline");
    try (NeoxCheckpoint model = NeoxCheckpoint.open(run);
        Safetensors expected = Safetensors.open(run.resolve("expected.safetensors"))) {
      assertThat(model.ranks()).isEqualTo(2);
      Norm norm = new Norm.Layer(1e-6);
      assertThat(model.spec())
          .isEqualTo(
              ModelSpec.of(
                  Vocabulary.of(16, -1),
                  8,
                  new Embedding(false),
                  1,
                  new BlockSpec(
                      new Residual.Parallel(norm, norm),
                      Attention.of(2, 4, new Position.Rotary(2, 10000, false)),
                      new FeedForward.Plain(32, Activation.GELU_TANH, true)),
                  new Head(true, false),
                  32));
      for (TensorExpression tensor : CanonicalNames.of(model.spec())) {
        Dtype dtype = expected.dtype(tensor.name());
        assertSame(model, tensor, expected, tensor.name(), dtype);
      }
    }
  }

  private Path copy() throws IOException {
    try (Stream<Path> files = Files.walk(DIR)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path to = dir.resolve(DIR.relativize(file).toString());
        Files.createDirectories(to.getParent());
        Files.copy(file, to);
      }
    }
    return dir.resolve("global_step10");
  }

  private void refused(String... parts) {
    assertThatThrownBy(() -> ModelFiles.open(dir))
        .isInstanceOf(InputException.class)
        .message()
        .contains(parts);
  }

  @Test
  void aMissingRankOrLayerIsNamed() throws IOException {
    Path step = copy();
    Files.delete(step.resolve("layer_03-model_01-model_states.pt"));
    refused(
        "global_step10: layer 3, rank 1 of 2, tensor \"input_layernorm.weight\": expected shape"
            + " [64]",
        "no such tensor");
    Files.delete(step.resolve("layer_03-model_00-model_states.pt"));
    refused("layer 3, rank 0 of 2");
  }

  @Test
  void aFileOfAnotherLayerOrOfAThirdRankIsNamed() throws IOException {
    Path step = copy();
    Files.copy(
        step.resolve("layer_06-model_00-model_states.pt"),
        step.resolve("layer_09-model_00-model_states.pt"));
    refused(
        "layer_09-model_00-model_states.pt: tensor \"norm.weight\": expected none of this name by"
            + " the configuration");
    Files.move(
        step.resolve("layer_09-model_00-model_states.pt"),
        step.resolve("layer_06-model_02-model_states.pt"));
    refused("layer 0, rank 2 of 3, tensor \"word_embeddings.weight\": expected the embedding");
  }

  @Test
  void aFileThatIsCutIsNamed() throws IOException {
    Path file = copy().resolve("layer_04-model_01-model_states.pt");
    Files.write(file, Arrays.copyOf(Files.readAllBytes(file), 20_000));
    refused("layer_04-model_01-model_states.pt: byte ", "cut short");
  }

  @Test
  void latestNamesAFolderBesideIt() throws IOException {
    copy();
    for (String tag :
        List.of("../global_step10", "/etc", "global_step11", "", ".", "x".repeat(300))) {
      Files.writeString(dir.resolve("latest"), tag);
      refused("latest: content: expected the name of a checkpoint in this folder");
    }
    Files.delete(dir.resolve("latest"));
    try (StoredModel only = ModelFiles.open(dir)) {
      assertThat(only.spec().layers()).isEqualTo(3);
    }
    Files.createDirectory(dir.resolve("global_step20"));
    refused("latest: expected a file that names a checkpoint, found none; there is global_step");
  }

  @Test
  void theConfigurationMayLieBesideTheStep() throws IOException {
    Path step = copy();
    Files.move(step.resolve("configs"), dir.resolve("configs"));
    try (StoredModel model = ModelFiles.open(step)) {
      assertThat(model.spec().width()).isEqualTo(64);
    }
    Files.delete(dir.resolve("configs/neox.yml"));
    refused("configs: expected the run's configuration (*.yml), found none");
    Files.delete(dir.resolve("configs"));
    refused("global_step10: configs: expected the folder with the run's configuration");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "norm: scalenorm | norm: expected layernorm or rmsnorm, found scalenorm",
        "pos_emb: alibi | pos_emb: expected rotary or learned, found alibi",
        "activation: relu | activation: expected gelu or swiglu or geglu, found relu",
        "norm: rmsnorm | tensor \"input_layernorm.scale\": expected shape [64] by the"
            + " configuration",
        "activation: swiglu | layers.0.mlp.dense_h_to_4h.weight: expected a shape that 2 ranks can"
            + " share, found [170, 64]",
        "num_kv_heads: 2 | tensor \"attention.query_key_value.weight\": expected shape [64, 64] by"
            + " the configuration, found shape [96, 64]",
        "num_kv_heads: 3 | num_attention_heads 4 is not a multiple of num_key_value_heads 3",
        "use_bias_in_mlp: false | use_bias_in_mlp: expected true, found false",
        "use_bias_in_attn_linear: false | tensor \"attention.query_key_value.bias\": expected none",
        "mlp_multiple_of: 2 | mlp_multiple_of: expected 1, found 2",
        "use_qk_layernorm: true | use_qk_layernorm: expected false, found true",
        "attention_config: [[[local], 3]] | attention_config: expected attention of type global or"
            + " flash",
        "moe_num_experts: 8 | moe_num_experts: expected 0 or 1, found 8",
        "sliding_window_width: 16 | sliding_window_width: expected none, found 16",
        "output_layer_parallelism: row | output_layer_parallelism: expected column, found row",
        "soft_prompt_tuning: {enabled: true} | soft_prompt_tuning: expected none",
        "rotary_pct: 2.5 | rotary dimensions 0 must be even",
        "hidden_size: 65 | num_attention_heads: expected a divisor of hidden_size 65, found 4",
        "hidden_size: 1000000000000 | hidden_size: expected an integer from 1 to 1048576",
        "num_layers: 4 | layer 5, rank 0 of 2",
        "num_layers: 2 | layer 5, rank 0 of 2, tensor \"norm.weight\"",
        "num_layers: -1 | num_layers: expected an integer from 1",
        "no_weight_tying: 1 | no_weight_tying: expected true or false, found 1",
        "no_weight_tying: false | tensor \"final_linear.weight\": expected none of this name",
        "intermediate_size: 100 | expected shape [50, 64] by the configuration, found shape [128,"
            + " 64]",
        "layernorm_epsilon: tiny | layernorm_epsilon: expected a positive number, found tiny",
        "a: &x [*x] | the alias contains itself",
        "a: [ | not YAML",
        "a: !!javax.script.ScriptEngineManager [] | not YAML: Global tag is not allowed",
        "a: !!binary \"a*\" | the type tag tag:yaml.org,2002:binary is not supported",
        "a: !!set {b} | the type tag tag:yaml.org,2002:set is not supported",
        "vocab_file: \"a\\0.json\" | vocab_file: expected a path, found \"a\\u0000.json\"",
      })
  void aConfigurationThatIsOfAnotherModelIsRefusedByItsKey(String line, String message)
      throws IOException {
    Path file = copy().resolve("configs/neox.yml");
    String text = Files.readString(file);
    String key = line.substring(0, line.indexOf(':'));
    String others =
        text.replaceAll("(?m)^ *\"" + key + "\":.*$", "").replaceAll("[{}]|(?m),$|(?m)^ *", "");
    Files.writeString(file, others + "\n" + line + "\n");
    refused(message);
  }

  @Test
  void filesThatContradictEachOther() throws IOException {
    Files.writeString(copy().resolve("configs/setup.yml"), "hidden-size: 128\n");
    refused("setup.yml: hidden_size: expected 64, as in neox.yml, found 128");
  }
}
