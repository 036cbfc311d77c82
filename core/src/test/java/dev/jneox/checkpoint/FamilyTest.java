package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

class FamilyTest {
  static final List<String> TYPES = FamilyFolder.TYPES;

  @TempDir Path dir;

  private FamilyFolder folder(String type) {
    return new FamilyFolder(dir, type);
  }

  private void refused(String... named) {
    assertThatThrownBy(() -> HfFolder.open(dir).close())
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(dir.toString())
        .hasMessageContainingAll(named)
        .message()
        .hasLineCount(1);
  }

  @Test
  void configurationOfTheParityFixturesIsUnderstood() {
    assertThat(HfFolder.config(HfFolderTest.parity("gptj")))
        .isEqualTo(
            new ModelConfig(
                512,
                512,
                64,
                3,
                4,
                256,
                128,
                new Position.Rotary(8, 10000, true),
                Residual.PARALLEL_ONE_NORM,
                Activation.GELU_TANH,
                1e-5,
                List.of(0, 0, 0),
                true,
                false,
                false,
                true,
                false,
                0));
    assertThat(HfFolder.config(HfFolderTest.parity("gpt-neo")))
        .isEqualTo(
            new ModelConfig(
                512,
                512,
                64,
                4,
                4,
                256,
                128,
                new Position.Learned(),
                Residual.SERIAL,
                Activation.GELU_TANH,
                1e-5,
                List.of(0, 16, 0, 16),
                false,
                false,
                true,
                false,
                true,
                0));
    assertThat(HfFolder.config(HfFolderTest.parity("gpt2")))
        .isEqualTo(
            new ModelConfig(
                512,
                512,
                64,
                3,
                4,
                256,
                128,
                new Position.Learned(),
                Residual.SERIAL,
                Activation.GELU_TANH,
                1e-5,
                List.of(0, 0, 0),
                true,
                true,
                true,
                false,
                true,
                0));
  }

  /** The sizes of the released models, by the numbers of parameters that HF transformers counts. */
  @ParameterizedTest
  @CsvSource({
    "gptj, 6050882784",
    "gpt2, 124439808",
    "gpt_neo, 1315575808",
    "gpt_neox, 20554567680"
  })
  void anEmptyConfigurationIsTheReleasedModel(String type, long parameters) throws IOException {
    Files.writeString(dir.resolve("config.json"), "{\"model_type\":\"" + type + "\"}");
    assertThat(HfFolder.config(dir).parameters()).isEqualTo(parameters);
  }

  @ParameterizedTest
  @FieldSource("TYPES")
  void aModelIsWrittenAsTheFamilyThatComputesIt(String type) {
    assertThat(HfFolder.modelType(FamilyFolder.tiny(type))).isEqualTo(type);
  }

  @ParameterizedTest
  @FieldSource("TYPES")
  void aTinyFolderOpens(String type) {
    FamilyFolder tiny = folder(type);
    try (HfFolder folder = HfFolder.open(tiny.write())) {
      assertThat(folder.config()).isEqualTo(tiny.model);
      assertThat(folder.storedAs("layers.0.attention.query_key_value.weight")).isEqualTo("F32");
      for (ModelConfig.TensorSpec spec : tiny.model.tensors()) {
        assertThat(Tensors.shape(folder.tensor(spec.name())))
            .as(spec.name())
            .isEqualTo(spec.shape());
      }
    }
  }

  @Test
  void eachTensorLiesWhereTheFamilyKeepsIt() {
    // The rows of the fused weight: head 0's query, key, value, then head 1's; two rows each.
    Tensor fused = Tensors.of(new float[] {0, 1, 10, 11, 20, 21, 2, 3, 12, 13, 22, 23}, 12, 1);
    List<Tensor> three = Layout.THREE.write(fused, 2);
    assertThat(Tensors.floats(three.get(0))).containsExactly(0, 1, 2, 3);
    assertThat(Tensors.floats(three.get(1))).containsExactly(10, 11, 12, 13);
    assertThat(Tensors.floats(three.get(2))).containsExactly(20, 21, 22, 23);
    List<Tensor> columns = Layout.COLUMNS.write(fused, 2);
    assertThat(Tensors.shape(columns.getFirst())).containsExactly(1, 12);
    assertThat(Tensors.floats(columns.getFirst()))
        .containsExactly(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23);
    Tensor bias = fused.view(12);
    assertThat(Tensors.floats(Layout.COLUMNS.write(bias, 2).getFirst()))
        .containsExactly(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23);
    for (Layout layout : Layout.values()) {
      assertThat(Tensors.floats(layout.read(layout.write(fused, 2), 2)))
          .as(layout.name())
          .isEqualTo(Tensors.floats(fused));
    }
    assertThat(Tensors.floats(Layout.COLUMNS.read(Layout.COLUMNS.write(bias, 2), 2)))
        .isEqualTo(Tensors.floats(bias));
    assertThat(Tensors.floats(Layout.THREE.read(Layout.THREE.write(bias, 2), 2)))
        .isEqualTo(Tensors.floats(bias));
  }

  @ParameterizedTest
  @ValueSource(strings = {"gptj", "gpt2", "gpt_neo"})
  void namesMayBeWithoutThePrefix(String type) throws IOException {
    FamilyFolder whole = folder(type);
    Map<String, SafetensorsWriter.Declared> tensors = new LinkedHashMap<>(whole.tensors);
    whole.tensors.clear();
    tensors
        .values()
        .forEach(
            t ->
                whole.put(
                    t.name().replace("transformer.", ""),
                    t.dtype(),
                    t.shape().stream().mapToLong(Long::longValue).toArray()));
    HfFolder.open(whole.write()).close();
    whole.put("transformer.wte.weight", Dtype.F32, 12, 16).writeWeights();
    refused(
        "wte.weight\": expected one tensor, with \"transformer.\" before its name or without, found"
            + " both");
  }

  @Test
  void oldBuffersAreNoWeights() {
    folder("gpt2")
        .put("transformer.h.0.attn.bias", Dtype.U8, 1, 1, 8, 8)
        .put("h.1.attn.masked_bias", Dtype.F32)
        .write();
    HfFolder.open(dir).close();
    folder("gptj").put("transformer.h.1.attn.bias", Dtype.BOOL, 1, 1, 8, 8).write();
    HfFolder.open(dir).close();
    folder("gpt_neo").put("transformer.h.1.attn.attention.bias", Dtype.BOOL, 1, 1, 8, 8).write();
    HfFolder.open(dir).close();
    folder("gpt2").put("transformer.h.0.attn.c_attn.scale", Dtype.F32).write();
    refused(
        "tensor \"transformer.h.0.attn.c_attn.scale\": expected none of this name by config.json,"
            + " found shape []");
  }

  @Test
  void headsAreTiedOrNotAndMayHaveABias() throws IOException {
    folder("gpt2")
        .with("{'tie_word_embeddings':false}")
        .put("lm_head.weight", Dtype.F32, 12, 16)
        .write();
    assertThat(HfFolder.config(dir).tiedHead()).isFalse();
    HfFolder.open(dir).close();
    folder("gpt2").put("lm_head.weight", Dtype.F32, 12, 16).write(); // tied, and saved all the same
    HfFolder.open(dir).close();
    folder("gpt2")
        .put("lm_head.weight", Dtype.F32, 12, 16)
        .put("lm_head.bias", Dtype.F32, 12)
        .write();
    refused("tensor \"lm_head.bias\": expected none");
    FamilyFolder tied = folder("gptj").with("{'tie_word_embeddings':true}");
    tied.tensors.remove("lm_head.weight");
    try (HfFolder open = HfFolder.open(tied.write())) {
      assertThat(open.config().tiedHead()).isTrue();
      assertThat(open.tensors().keySet())
          .contains("embed_out.bias")
          .doesNotContain("embed_out.weight");
    }
  }

  @Test
  void otherSpellingsMeanTheSame() throws IOException {
    FamilyFolder gpt2 =
        folder("gpt2")
            .without("n_ctx", "n_inner")
            .with("{'n_inner':null,'activation_function':'gelu_fast'}")
            .renamed(
                Map.of(
                    "n_embd",
                    "hidden_size",
                    "n_layer",
                    "num_hidden_layers",
                    "n_head",
                    "num_attention_heads",
                    "n_positions",
                    "n_ctx"));
    assertThat(HfFolder.config(gpt2.writeConfig()))
        .isEqualTo(
            new ModelConfig(
                12,
                12,
                16,
                2,
                2,
                64,
                8,
                new Position.Learned(),
                Residual.SERIAL,
                Activation.GELU_TANH,
                1e-5,
                List.of(0, 0),
                true,
                true,
                true,
                false,
                true,
                0));
    FamilyFolder neo =
        folder("gpt_neo")
            .without("attention_layers")
            .with("{'attention_types':[[['global','local'],1]]}");
    assertThat(HfFolder.config(neo.writeConfig())).isEqualTo(neo.model);
    neo.without("attention_types").with("{'attention_layers':['local','local']}");
    assertThat(HfFolder.config(neo.writeConfig()).windows()).containsExactly(3, 3);
    neo.without("attention_layers", "window_size")
        .renamed(Map.of("num_layers", "num_hidden_layers"));
    assertThat(HfFolder.config(neo.writeConfig()).windows()).containsExactly(0, 256);
    FamilyFolder unscaled =
        folder("gpt2").with("{'scale_attn_weights':false,'reorder_and_upcast_attn':true}");
    assertThat(HfFolder.config(unscaled.writeConfig()).scaledAttention()).isFalse();
  }

  /** Each line: the family, the change to a good config.json, and what the message must name. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "gpt2|{'scale_attn_by_inverse_layer_idx':true}|scale_attn_by_inverse_layer_idx: expected"
            + " false",
        "gpt2|{'add_cross_attention':true}|add_cross_attention: expected false",
        "gpt2|{'activation_function':'relu'}|activation_function: expected gelu, gelu_new,"
            + " gelu_fast or gelu_pytorch_tanh, found",
        "gpt2|{'hidden_size':8}|hidden_size: expected the same as n_embd, 16, found 8",
        "gpt2|{'n_head':3}|n_head: expected a divisor of the width 16, found 3",
        "gpt2|{'n_inner':0}|n_inner: expected an integer from 1",
        "gpt2|{'n_positions':-1}|n_positions: expected an integer from 1",
        "gpt2|{'layer_norm_epsilon':'small'}|layer_norm_epsilon: expected a positive number",
        "gptj|{'rotary':false}|rotary: expected true, found false",
        "gptj|{'rotary_dim':null}|rotary_dim: expected an integer",
        "gptj|{'rotary_dim':3}|rotary_dim: expected an even number from 2 to the head's 8, found 3",
        "gptj|{'rotary_dim':10}|rotary_dim: expected an even number from 2 to the head's 8, found"
            + " 10",
        "gpt_neo|{'attention_types':[[['global'],1]]}|attention_types: expected the types of 2"
            + " layers",
        "gpt_neo|{'attention_types':[[['global','sparse'],1]]}|attention_types: expected global or"
            + " local for each layer",
        "gpt_neo|{'attention_types':[[['global'],99999]]}|attention_types: expected [[[types],"
            + " times], ...] for 2 layers",
        "gpt_neo|{'attention_types':[[[],2]]}|attention_types: expected [[[types], times], ...] for"
            + " 2 layers",
        "gpt_neo|{'attention_types':[['global',2]]}|attention_types: expected",
        "gpt_neo|{'attention_types':'global'}|attention_types: expected the types of 2 layers",
        "gpt_neo|{'attention_layers':['local','global']}|attention_layers: expected what"
            + " attention_types says",
        "gpt_neo|{'window_size':0}|window_size: expected an integer from 1",
        "jneox|{'residual':'crossed'}|residual: expected serial, parallel or parallel_one_norm",
        "jneox|{'residual':null}|residual: expected a value: folders of this type leave nothing to"
            + " be guessed",
        "jneox|{'position':{'type':'alibi'}}|position.type: expected learned or rotary",
        "jneox|{'position':{'type':'rotary','dims':9}}|rotary dimensions 9 must be even",
        "jneox|{'attention_windows':[0]}|attention_windows: expected for each of 2 layers the"
            + " positions it sees",
        "jneox|{'attention_windows':[0,-1]}|attention_windows: expected for each",
        "jneox|{'attention_windows':[0,1.5]}|attention_windows: expected for each",
      })
  void aConfigurationThatWouldChangeTheNumbersIsNamed(String type, String changes, String named)
      throws IOException {
    folder(type).with(changes).write();
    refused(named);
  }

  @ParameterizedTest
  @ValueSource(strings = {"gptj", "gpt_neo"})
  void queryKeyAndValueAreOfOneType(String type) {
    FamilyFolder folder = folder(type);
    String name =
        folder.tensors.keySet().stream()
            .filter(n -> n.contains("k_proj"))
            .findFirst()
            .orElseThrow();
    folder.put(name, Dtype.BF16, 16, 16).write();
    refused(
        "tensor \""
            + name
            + "\": expected F32 as \""
            + name.replace("k_proj", "q_proj")
            + "\", found BF16");
  }

  /** Every tensor of every family: absent, twice as long, of another rank, of whole numbers. */
  @ParameterizedTest
  @FieldSource("TYPES")
  void everyTensorThatIsNotAsItShouldBeIsNamed(String type) {
    FamilyFolder good = folder(type);
    good.writeConfig();
    int tried = 0;
    for (SafetensorsWriter.Declared tensor : List.copyOf(good.tensors.values())) {
      String name = "tensor \"" + tensor.name() + "\": expected ";
      good.tensors.remove(tensor.name());
      good.writeWeights();
      refused(name + "shape " + tensor.shape() + " by config.json, found no such tensor");
      good.tensors.put(tensor.name(), tensor);
      good.put(tensor.name(), Dtype.F32, tensor.shape().getFirst() * 2, 1).writeWeights();
      refused(name + "shape " + tensor.shape() + " by config.json, found shape [");
      good.put(tensor.name(), Dtype.F32).writeWeights();
      refused(name + "shape " + tensor.shape() + " by config.json, found shape []");
      good.put(
              tensor.name(),
              Dtype.I32,
              tensor.shape().stream().mapToLong(Long::longValue).toArray())
          .writeWeights();
      refused(name);
      good.tensors.put(tensor.name(), tensor);
      good.put(tensor.name() + "2", Dtype.F32, 1).writeWeights();
      refused("tensor \"" + tensor.name() + "2\": expected none of this name");
      good.tensors.remove(tensor.name() + "2");
      tried += 5;
    }
    assertThat(tried).isGreaterThan(100);
  }
}
