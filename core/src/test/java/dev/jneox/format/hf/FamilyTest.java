package dev.jneox.format.hf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.safetensors.SafetensorsWriter;
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
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

@NullUnmarked // a test fails by itself where a value is absent
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
    Norm norm = new Norm.Layer(1e-5);
    FeedForward feedForward = new FeedForward.Plain(256, Activation.GELU_TANH, true);
    assertThat(HfFolder.spec(HfFolderTest.parity("gptj")))
        .isEqualTo(
            ModelSpec.of(
                Vocabulary.of(512, 0),
                64,
                new Embedding(false),
                3,
                new BlockSpec(
                    new Residual.ParallelOneNorm(norm),
                    Attention.of(4, 16, new Position.Rotary(8, 10000, true))
                        .withBiases(false, false),
                    feedForward),
                new Head(false, true),
                128));
    BlockSpec gpt2 =
        new BlockSpec(
            new Residual.Serial(norm, norm), Attention.of(4, 16, new Position.None()), feedForward);
    assertThat(HfFolder.spec(HfFolderTest.parity("gpt2")))
        .isEqualTo(
            ModelSpec.of(
                Vocabulary.of(512, 0),
                64,
                new Embedding(true),
                3,
                gpt2,
                new Head(true, false),
                128));
    assertThat(HfFolder.spec(HfFolderTest.parity("gpt-neo")))
        .isEqualTo(
            ModelSpec.of(
                    Vocabulary.of(512, 0),
                    64,
                    new Embedding(true),
                    4,
                    gpt2.withAttention(gpt2.attention().withScale(1).withBiases(false, true)),
                    new Head(true, false),
                    128)
                .withWindows(List.of(0, 16, 0, 16)));
  }

  /** The sizes of the released models, by the numbers of parameters that HF transformers counts. */
  @ParameterizedTest
  @CsvSource({
    "gptj, 6050882784",
    "gpt2, 124439808",
    "gpt_neo, 1315575808",
    "gpt_neox, 20554567680",
    "llama, 6738415616"
  })
  void anEmptyConfigurationIsTheReleasedModel(String type, long parameters) throws IOException {
    Files.writeString(dir.resolve("config.json"), "{\"model_type\":\"" + type + "\"}");
    assertThat(HfFolder.spec(dir).parameterCount()).isEqualTo(parameters);
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
      assertThat(folder.spec()).isEqualTo(tiny.model);
      assertThat(folder.holder(ParamId.weight(0, Part.QUERY)).type()).isEqualTo("F32");
      for (Param param : tiny.model.parameters()) {
        assertThat(folder.floats(param.id()))
            .as(param.id().toString())
            .hasSize((int) param.elements());
      }
    }
  }

  /** The stored rows of heads 0 and 1 with two rows each, by what the families say. */
  @Test
  void eachTensorLiesWhereTheFamilyKeepsIt() {
    Norm norm = new Norm.Layer(1e-5);
    ModelSpec gpt =
        ModelSpec.of(
            Vocabulary.of(5, 0),
            4,
            new Embedding(true),
            1,
            new BlockSpec(
                new Residual.Serial(norm, norm),
                Attention.of(2, 2, new Position.None()),
                new FeedForward.Plain(3, Activation.GELU, true)),
            new Head(true, false),
            6);
    RandomWeights weights = new RandomWeights(gpt, 1);
    weights.put(ParamId.bias(0, Part.QUERY), 0, 1, 2, 3);
    weights.put(ParamId.bias(0, Part.KEY), 10, 11, 12, 13);
    weights.put(ParamId.bias(0, Part.VALUE), 20, 21, 22, 23);
    assertThat(stored(weights, new NeoxFamily(), "layers.0.attention.query_key_value.bias"))
        .containsExactly(0, 1, 10, 11, 20, 21, 2, 3, 12, 13, 22, 23);
    assertThat(stored(weights, new Gpt2Family(), "h.0.attn.c_attn.bias"))
        .containsExactly(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23);
    assertThat(stored(weights, new GptJFamily(), "h.0.attn.q_proj.bias"))
        .containsExactly(0, 1, 2, 3);
    assertThat(stored(weights, new GptNeoFamily(), "h.0.attn.attention.k_proj.bias"))
        .containsExactly(10, 11, 12, 13);
    float[] query = weights.floats(ParamId.weight(0, Part.QUERY));
    float[] value = weights.floats(ParamId.weight(0, Part.VALUE));
    // GPT-2 has [in, out]: input 3 of query row 2 and of value row 1.
    float[] conv = stored(weights, new Gpt2Family(), "h.0.attn.c_attn.weight");
    assertThat(conv[3 * 12 + 2]).isEqualTo(query[2 * 4 + 3]);
    assertThat(conv[3 * 12 + 8 + 1]).isEqualTo(value[1 * 4 + 3]);
    // GPT-NeoX has query row 2, the first of head 1, after six rows of head 0.
    float[] fused = stored(weights, new NeoxFamily(), "layers.0.attention.query_key_value.weight");
    assertThat(fused[6 * 4 + 3]).isEqualTo(query[2 * 4 + 3]);
  }

  private static float[] stored(ModelWeights weights, Family family, String name) {
    TensorExpression tensor =
        family.tensors(weights.spec()).stream()
            .filter(t -> t.name().equals(name))
            .findFirst()
            .orElseThrow();
    try (Arena arena = Arena.ofShared()) {
      return weights.read(tensor, arena).floats();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "gptj, transformer., wte",
    "gpt2, transformer., wte",
    "gpt_neo, transformer., wte",
    "llama, model., embed_tokens"
  })
  void namesMayBeWithoutThePrefix(String type, String prefix, String embedding) throws IOException {
    FamilyFolder whole = folder(type);
    Map<String, SafetensorsWriter.Declared> tensors = new LinkedHashMap<>(whole.tensors);
    whole.tensors.clear();
    tensors
        .values()
        .forEach(
            t ->
                whole.put(
                    t.name().replace(prefix, ""),
                    t.dtype(),
                    t.shape().stream().mapToLong(Long::longValue).toArray()));
    HfFolder.open(whole.write()).close();
    whole.put(prefix + embedding + ".weight", Dtype.F32, 12, 16).writeWeights();
    refused(
        embedding
            + ".weight\": expected one tensor for \""
            + embedding
            + ".weight\", found \""
            + embedding
            + ".weight\" as well");
  }

  @Test
  void theHeadHasTransformersNewNameToo() throws IOException {
    FamilyFolder folder = folder("gpt_neox");
    folder.tensors.remove("embed_out.weight");
    HfFolder.open(folder.put("lm_head.weight", Dtype.F32, 12, 16).write()).close();
    folder.put("embed_out.weight", Dtype.F32, 12, 16).writeWeights();
    refused("expected one tensor for \"embed_out.weight\", found");
    folder.tensors.remove("lm_head.weight");
    folder.tensors.remove("embed_out.weight");
    folder.writeWeights();
    refused("tensor \"embed_out.weight\": expected shape [12, 16] by config.json, found no such");
  }

  @Test
  void aTiedModelMayKeepEitherName() throws IOException {
    for (String head : List.of("embed_out", "lm_head")) {
      FamilyFolder folder = folder("gpt_neox").with("{'tie_word_embeddings':true}");
      folder.tensors.remove("embed_out.weight");
      HfFolder.open(folder.put(head + ".weight", Dtype.F32, 12, 16).write()).close();
      folder.tensors.remove("gpt_neox.embed_in.weight");
      try (HfFolder open = HfFolder.open(folder.writeWeights())) {
        assertThat(open.tensors().getFirst().expression().first().part()).isEqualTo(Part.EMBEDDING);
      }
      folder.tensors.remove(head + ".weight");
      folder.writeWeights();
      refused("tensor \"gpt_neox.embed_in.weight\": expected shape [12, 16]");
    }
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
    assertThat(HfFolder.spec(dir).head().tied()).isFalse();
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
      assertThat(open.spec().head().tied()).isTrue();
      assertThat(open.tensors())
          .extracting(tensor -> tensor.expression().first())
          .contains(ParamId.bias(Part.HEAD))
          .doesNotContain(ParamId.weight(Part.HEAD));
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
    ModelSpec tiny = FamilyFolder.tiny("gpt2");
    assertThat(HfFolder.spec(gpt2.writeConfig()))
        .isEqualTo(
            tiny.mapBlocks(
                block ->
                    block.withFeedForward(new FeedForward.Plain(64, Activation.GELU_TANH, true))));
    FamilyFolder neo =
        folder("gpt_neo")
            .without("attention_layers")
            .with("{'attention_types':[[['global','local'],1]]}");
    assertThat(HfFolder.spec(neo.writeConfig())).isEqualTo(neo.model);
    neo.without("attention_types").with("{'attention_layers':['local','local']}");
    assertThat(HfFolder.spec(neo.writeConfig()).windows()).containsExactly(3, 3);
    neo.without("attention_layers", "window_size")
        .renamed(Map.of("num_layers", "num_hidden_layers"));
    assertThat(HfFolder.spec(neo.writeConfig()).windows()).containsExactly(0, 256);
    FamilyFolder unscaled =
        folder("gpt2").with("{'scale_attn_weights':false,'reorder_and_upcast_attn':true}");
    assertThat(HfFolder.spec(unscaled.writeConfig()).first().attention().scale()).isEqualTo(1);
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
        "jneox|{'position':{'type':'alibi'}}|position.type: expected learned, rotary or none",
        "jneox|{'position':{'type':'rotary','dims':9}}|rotary dimensions 9 must be even",
        "jneox|{'attention_windows':[0]}|attention_windows: expected for each of 2 layers the"
            + " positions it sees",
        "jneox|{'attention_windows':[0,-1]}|attention_windows: expected for each",
        "jneox|{'attention_windows':[0,1.5]}|attention_windows: expected for each",
        "jneox|{'norm':'batch_norm'}|norm: expected layer_norm or rms_norm, found \"batch_norm\"",
        "jneox|{'gated_mlp':'yes'}|gated_mlp: expected true or false, found \"yes\"",
        "jneox|{'mlp_bias':1}|mlp_bias: expected true or false, found 1",
        "jneox|{'attention_scale':-1}|attention_scale: expected a positive number, found -1",
        "jneox|{'head_dim':0}|head_dim: expected an integer from 1",
        "jneox|{'num_key_value_heads':3}|num_attention_heads 2 is not a multiple of"
            + " num_key_value_heads 3",
        "jneox|{'num_attention_heads':3}|num_attention_heads: expected a divisor of the width 16,"
            + " found 3",
        "jneox|{'hidden_act':'relu'}|hidden_act: expected gelu, gelu_new or silu, found \"relu\"",
        "llama|{'hidden_act':'gelu'}|hidden_act: expected silu, found \"gelu\"",
        "llama|{'hidden_act':7}|hidden_act: expected text, found 7",
        "llama|{'num_key_value_heads':3}|num_key_value_heads: expected a divisor of the 4"
            + " num_attention_heads, found 3",
        "llama|{'num_key_value_heads':8}|num_key_value_heads: expected a divisor of the 4"
            + " num_attention_heads, found 8",
        "llama|{'num_key_value_heads':0}|num_key_value_heads: expected an integer from 1",
        "llama|{'head_dim':5}|head_dim: expected an even number, found 5",
        "llama|{'head_dim':0}|head_dim: expected an integer from 1",
        "llama|{'head_dim':null,'num_attention_heads':16,'num_key_value_heads':2}|"
            + "num_attention_heads: expected heads of an even width, which 1 is not, found 16",
        "llama|{'head_dim':null,'num_attention_heads':3,'num_key_value_heads':3}|"
            + "num_attention_heads: expected a divisor of the width 16, found 3",
        "llama|{'rope_scaling':{'rope_type':'llama3','factor':8.0}}|rope_scaling.rope_type:"
            + " expected default (scaled rotary embeddings are not supported), found \"llama3\"",
        "llama|{'rope_scaling':{'type':'linear','factor':2.0}}|rope_scaling.type: expected default",
        "llama|{'rope_scaling':{'type':'dynamic','factor':2.0}}|rope_scaling.type: expected"
            + " default",
        "llama|{'rope_parameters':{'rope_type':'yarn'}}|rope_parameters.rope_type: expected"
            + " default",
        "llama|{'rope_parameters':{'rope_type':'longrope'}}|rope_parameters.rope_type: expected"
            + " default",
        "llama|{'rope_parameters':{'rope_theta':0}}|rope_parameters.rope_theta: expected a positive"
            + " number, found 0",
        "llama|{'rope_theta':'large'}|rope_theta: expected a positive number, found \"large\"",
        "llama|{'rms_norm_eps':0}|rms_norm_eps: expected a positive number, found 0",
        "llama|{'attention_bias':'yes'}|attention_bias: expected true or false, found \"yes\"",
        "llama|{'mlp_bias':{}}|mlp_bias: expected true or false, found {}",
      })
  void aConfigurationThatWouldChangeTheNumbersIsNamed(String type, String changes, String named)
      throws IOException {
    folder(type).with(changes).write();
    refused(named);
  }

  /** Each line: the change to Llama's tiny config.json, and the attention that it means. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{}|2|6|10000|false|false",
        "{'num_key_value_heads':null}|4|6|10000|false|false",
        "{'num_key_value_heads':1}|1|6|10000|false|false",
        "{'head_dim':null}|2|4|10000|false|false",
        "{'attention_bias':true}|2|6|10000|true|false",
        "{'mlp_bias':true}|2|6|10000|false|true",
        "{'rope_parameters':null,'rope_theta':500000.0}|2|6|500000|false|false",
        "{'rope_parameters':null,'rope_theta':500000}|2|6|500000|false|false",
        "{'rope_parameters':null}|2|6|10000|false|false",
        "{'rope_parameters':{'rope_theta':7.5,'rope_type':'default'}}|2|6|7.5|false|false",
        "{'rope_parameters':{'rope_type':'default'},'rope_theta':9}|2|6|9|false|false",
        "{'rope_scaling':{'type':'default'},'rope_theta':9}|2|6|9|false|false",
        "{'rope_scaling':null,'rope_theta':9}|2|6|10000|false|false",
        "{'hidden_act':null,'pretraining_tp':2}|2|6|10000|false|false",
      })
  void llamasShapeIsUnderstood(
      String changes, int kvHeads, int headDim, double base, boolean attention, boolean mlp)
      throws IOException {
    Norm norm = new Norm.Rms(1e-5);
    assertThat(HfFolder.spec(folder("llama").with(changes).writeConfig()))
        .isEqualTo(
            ModelSpec.of(
                Vocabulary.of(12, 0),
                16,
                new Embedding(false),
                2,
                new BlockSpec(
                    new Residual.Serial(norm, norm),
                    Attention.of(4, headDim, new Position.Rotary(headDim, base, false))
                        .withKvHeads(kvHeads)
                        .withBiases(attention, attention),
                    new FeedForward.Gated(24, Activation.SILU, mlp)),
                new Head(false, false),
                8));
  }

  @Test
  void llamaHasTheNamesOfTransformers() throws IOException {
    FamilyFolder llama = folder("llama").with("{'attention_bias':true,'mlp_bias':true}");
    for (String layer : List.of("model.layers.0.", "model.layers.1.")) {
      llama
          .put(layer + "self_attn.q_proj.bias", Dtype.F32, 24)
          .put(layer + "self_attn.k_proj.bias", Dtype.F32, 12)
          .put(layer + "self_attn.v_proj.bias", Dtype.F32, 12)
          .put(layer + "self_attn.o_proj.bias", Dtype.F32, 16)
          .put(layer + "mlp.gate_proj.bias", Dtype.F32, 24)
          .put(layer + "mlp.up_proj.bias", Dtype.F32, 24)
          .put(layer + "mlp.down_proj.bias", Dtype.F32, 16)
          .put(layer + "self_attn.rotary_emb.inv_freq", Dtype.F32, 3);
    }
    assertThat(llama.tensors.keySet())
        .contains(
            "model.embed_tokens.weight",
            "model.norm.weight",
            "lm_head.weight",
            "model.layers.1.input_layernorm.weight",
            "model.layers.1.post_attention_layernorm.weight",
            "model.layers.0.mlp.gate_proj.weight")
        .doesNotContain("model.norm.bias");
    assertThat(llama.tensors.get("model.layers.0.self_attn.q_proj.weight").shape())
        .containsExactly(24L, 16L);
    assertThat(llama.tensors.get("model.layers.0.self_attn.k_proj.weight").shape())
        .containsExactly(12L, 16L);
    assertThat(llama.tensors.get("model.layers.0.self_attn.o_proj.weight").shape())
        .containsExactly(16L, 24L);
    try (HfFolder open = HfFolder.open(llama.write())) {
      assertThat(open.floats(ParamId.bias(1, Part.GATE))).hasSize(24);
    }
    llama.with("{'tie_word_embeddings':true}").tensors.remove("lm_head.weight");
    try (HfFolder open = HfFolder.open(llama.write())) {
      assertThat(open.spec().headWeight()).isEqualTo(ParamId.weight(Part.EMBEDDING));
    }
    llama.put("lm_head.weight", Dtype.F32, 12, 16); // tied, and saved all the same
    HfFolder.open(llama.write()).close();
  }

  /** transformers loads no Llama whose width is no multiple of its heads. */
  @Test
  void aModelThatTransformersRefusesIsNotWrittenAsLlama() {
    ModelSpec llama = FamilyFolder.tiny("llama");
    assertThat(HfFolder.modelType(llama)).isEqualTo("llama");
    Attention three = Attention.of(3, 6, new Position.Rotary(6, 10000, false));
    assertThat(
            HfFolder.modelType(
                llama.mapBlocks(b -> b.withAttention(three.withBiases(false, false)))))
        .isEqualTo("jneox");
  }

  /** Each change makes of Llama what only the own type can say. */
  @Test
  void whatLlamaCannotSayIsWrittenAsTheOwnType() throws IOException {
    ModelSpec llama = FamilyFolder.tiny("llama");
    Attention attention = llama.first().attention();
    Norm layer = new Norm.Layer(1e-5);
    Norm rms = new Norm.Rms(1e-5);
    Map<String, ModelSpec> others = new LinkedHashMap<>();
    others.put("one bias", with(llama, attention.withBiases(true, false)));
    others.put("scale", with(llama, attention.withScale(0.3)));
    others.put("unscaled", with(llama, attention.withScale(1)));
    others.put("window", llama.withWindows(List.of(0, 3)));
    others.put("half rotary", with(llama, rotary(new Position.Rotary(4, 10000, false))));
    others.put("pairs", with(llama, rotary(new Position.Rotary(6, 10000, true))));
    others.put("no positions", with(llama, rotary(new Position.None())));
    others.put(
        "learned", with(llama, rotary(new Position.None())).withEmbedding(new Embedding(true)));
    others.put("head bias", llama.withHead(new Head(false, true)));
    others.put(
        "gelu gate",
        llama.mapBlocks(b -> b.withFeedForward(new FeedForward.Gated(24, Activation.GELU, false))));
    others.put(
        "no gate",
        llama.mapBlocks(b -> b.withFeedForward(new FeedForward.Plain(24, Activation.SILU, false))));
    others.put("parallel", llama.mapBlocks(b -> b.withResidual(new Residual.Parallel(rms, rms))));
    others.put("one norm", llama.mapBlocks(b -> b.withResidual(new Residual.ParallelOneNorm(rms))));
    others.put(
        "layer norms",
        ModelSpec.of(
            llama.vocabulary(),
            16,
            llama.embedding(),
            2,
            llama.first().withResidual(new Residual.Serial(layer, layer)),
            llama.head(),
            8));
    for (Map.Entry<String, ModelSpec> other : others.entrySet()) {
      assertThat(HfFolder.modelType(other.getValue())).as(other.getKey()).isEqualTo("jneox");
      Path out = dir.resolve(other.getKey());
      RandomWeights weights = new RandomWeights(other.getValue(), 2);
      new HfFolderWriter(out, other.getValue(), Dtype.F32).write(weights);
      try (HfFolder open = HfFolder.open(out)) {
        assertThat(open.spec()).as(other.getKey()).isEqualTo(other.getValue());
        RandomWeights.assertSame(open, weights);
      }
    }
  }

  private static ModelSpec with(ModelSpec spec, Attention attention) {
    return spec.mapBlocks(block -> block.withAttention(attention));
  }

  private static Attention rotary(Position position) {
    return Attention.of(4, 6, position).withKvHeads(2).withBiases(false, false);
  }

  @Test
  void layersThatDifferAreNoFamilys() {
    ModelSpec llama = FamilyFolder.tiny("llama");
    Attention wider = llama.first().attention().withKvHeads(4);
    ModelSpec mixed = llama.withBlocks(List.of(llama.first(), llama.first().withAttention(wider)));
    assertThatThrownBy(() -> HfFolder.modelType(mixed))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("its layers differ");
  }

  /** The first version of the own type had these keys alone. */
  @Test
  void newKeysAreWrittenOnlyWhereTheyAreNeeded() {
    assertThat(new JneoxFamily().json(FamilyFolder.tiny("jneox"), "float32"))
        .doesNotContainKeys(
            "head_dim", "num_key_value_heads", "attention_scale", "norm", "gated_mlp", "mlp_bias");
    ModelSpec llama = with(FamilyFolder.tiny("llama"), rotary(new Position.None()).withScale(0.3));
    assertThat(new JneoxFamily().json(llama, "float32"))
        .containsEntry("head_dim", 6)
        .containsEntry("num_key_value_heads", 2)
        .containsEntry("attention_scale", 0.3)
        .containsEntry("norm", "rms_norm")
        .containsEntry("gated_mlp", true)
        .containsEntry("mlp_bias", false);
  }

  @ParameterizedTest
  @ValueSource(strings = {"gptj", "gpt_neo", "llama"})
  void queryKeyAndValueAreOfOneType(String type) {
    FamilyFolder folder = folder(type);
    String name =
        folder.tensors.keySet().stream()
            .filter(n -> n.contains("k_proj"))
            .findFirst()
            .orElseThrow();
    folder
        .put(
            name,
            Dtype.BF16,
            folder.tensors.get(name).shape().stream().mapToLong(Long::longValue).toArray())
        .write();
    refused(
        "tensor \""
            + name
            + "\": expected F32 as \""
            + name.replace("k_proj", "q_proj")
            + "\", found BF16");
  }

  /** Every tensor of every family: absent, twice as long, of another rank, of whole numbers. */
  @Tag("slow")
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
