package dev.jneox.format.hf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.format.safetensors.SafetensorsWriter;
import dev.jneox.format.safetensors.SafetensorsWriter.Declared;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
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
import dev.jneox.model.SamplingDefaults;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

public class HfFolderTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** One layer of width 16 in two heads of 8, of which 2 dimensions turn. */
  private static final ModelSpec TINY = ModelSpec.neox(12, 16, 1, 2, 8);

  @TempDir Path dir;

  public static Path parity(String name) {
    return Path.of("src/test/resources/parity", name);
  }

  @Test
  void configurationOfTheParityFixturesIsUnderstood() {
    Norm norm = new Norm.Layer(1e-5);
    assertThat(HfFolder.spec(parity("neox-parallel")))
        .isEqualTo(
            ModelSpec.of(
                Vocabulary.of(512, 0),
                64,
                new Embedding(false),
                3,
                new BlockSpec(
                    new Residual.Parallel(norm, norm),
                    Attention.of(4, 16, new Position.Rotary(4, 10000, false)),
                    new FeedForward.Plain(256, Activation.GELU, true)),
                new Head(false, false),
                128));
    assertThat(HfFolder.spec(parity("neox-20b-like")).first().feedForward().activation())
        .isEqualTo(Activation.GELU_TANH);
    ModelSpec serial = HfFolder.spec(parity("neox-serial-tied"));
    assertThat(serial.first().residual()).isEqualTo(new Residual.Serial(norm, norm));
    assertThat(serial.head().tied()).isTrue();
    assertThat(serial.first().attention().position())
        .isEqualTo(new Position.Rotary(16, 10000, false));
  }

  @ParameterizedTest
  @ValueSource(strings = {"neox-parallel", "neox-20b-like", "neox-serial-tied"})
  void everyTensorIsAViewOfTheMappedFile(String name) {
    try (Arena arena = Arena.ofShared();
        HfFolder folder = HfFolder.open(parity(name))) {
      Safetensors file = (Safetensors) folder.files().iterator().next();
      List<TensorExpression> tensors = CanonicalNames.of(folder.spec());
      assertThat(folder.tensors())
          .extracting(StoredTensor::expression)
          .containsExactlyElementsOf(tensors);
      for (TensorExpression tensor : tensors) {
        String hf = hfName(tensor.name());
        MemorySegment data = file.data(hf).orElseThrow();
        assertThat(file.shape(hf)).isEqualTo(tensor.shape());
        for (MappedTensor read :
            List.of(
                folder.read(tensor, arena),
                folder.holder(tensor.first()).inPlace().orElseThrow())) {
          assertThat(read.data().address()).isEqualTo(data.address());
          assertThat(read.floats()).isEqualTo(data.toArray(ValueLayout.JAVA_FLOAT_UNALIGNED));
        }
      }
    }
  }

  private static String hfName(String canonical) {
    return canonical.startsWith("embed_out") ? canonical : "gpt_neox." + canonical;
  }

  /** A folder's config.json with the values of {@code changes}; a null there removes the key. */
  private void config(String changes) throws IOException {
    ObjectNode json = JSON.createObjectNode();
    json.put("model_type", "gpt_neox")
        .put("vocab_size", 12)
        .put("hidden_size", 16)
        .put("num_hidden_layers", 1);
    json.put("num_attention_heads", 2)
        .put("intermediate_size", 64)
        .put("max_position_embeddings", 8)
        .put("eos_token_id", 0);
    JsonNode extra = JSON.readTree(changes.replace('\'', '"'));
    extra.properties().forEach(e -> json.set(e.getKey(), e.getValue()));
    Files.write(dir.resolve("config.json"), JSON.writeValueAsBytes(json));
  }

  private static Map<String, List<Long>> tinyTensors() {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    for (TensorExpression tensor : CanonicalNames.of(TINY)) {
      shapes.put(hfName(tensor.name()), Arrays.stream(tensor.shape()).boxed().toList());
    }
    return shapes;
  }

  private void weights(String file, Map<String, List<Long>> shapes, Dtype dtype) {
    List<Declared> declared = new ArrayList<>();
    shapes.forEach((name, shape) -> declared.add(new Declared(name, dtype, shape)));
    try (SafetensorsWriter writer =
        new SafetensorsWriter(dir.resolve(file), declared, SafetensorsWriter.PYTORCH)) {
      declared.forEach(
          d -> writer.write(d.name(), MemorySegment.ofArray(new byte[(int) d.bytes()])));
      writer.commit();
    }
  }

  private void refused(String... named) {
    refusedWith(InputException.class, named);
  }

  private void refusedWith(Class<? extends JneoxException> kind, String... named) {
    assertThatThrownBy(() -> HfFolder.open(dir).close())
        .isInstanceOf(kind)
        .hasMessageStartingWith(dir.toString())
        .hasMessageContainingAll(named)
        .message()
        .hasLineCount(1);
  }

  @Test
  void aTinyFolderOpens() throws IOException {
    config("{}");
    weights("model.safetensors", tinyTensors(), Dtype.BF16);
    try (HfFolder folder = HfFolder.open(dir)) {
      assertThat(folder.spec()).isEqualTo(TINY);
      assertThat(folder.tokenizer()).isEmpty();
    }
  }

  @Test
  void anEmptyConfigurationIsTheTwentyBillionModel() throws IOException {
    Files.writeString(dir.resolve("config.json"), "{\"model_type\":\"gpt_neox\"}");
    ModelSpec spec = HfFolder.spec(dir);
    assertThat(spec.parameterCount()).isEqualTo(20_554_567_680L);
    assertThat(spec.first().attention().position())
        .isEqualTo(new Position.Rotary(24, 10000, false));
    assertThat(spec.vocabulary().endOfText()).isEqualTo(2);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{}|2|10000",
        "{'rotary_pct':1.0,'rotary_emb_base':5000}|8|5000",
        "{'rotary_pct':0.5,'rope_scaling':null}|4|10000",
        "{'rotary_pct':0.5,'rope_parameters':null}|4|10000",
        "{'rotary_pct':1.0,'rope_parameters':{'rope_theta':7.5,'partial_rotary_factor':0.5,'rope_type':'default'}}|4|7.5",
        "{'rotary_pct':1.0,'rope_scaling':{'type':'default'}}|8|10000",
        "{'rotary_pct':1,'rotary_emb_base':10000,'rope_parameters':{}}|8|10000",
      })
  void bothSpellingsOfTheRotaryValuesAreRead(String changes, int dims, double base)
      throws IOException {
    config(changes);
    assertThat(HfFolder.spec(dir).first().attention().position())
        .isEqualTo(new Position.Rotary(dims, base, false));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'eos_token_id':[7,8]}|7",
        "{'eos_token_id':null}|-1",
        "{'eos_token_id':[]}|-1",
        "{'eos_token_id':3}|3"
      })
  void theEndOfTextMayBeAListOrNone(String changes, int endOfText) throws IOException {
    config(changes);
    assertThat(HfFolder.spec(dir).vocabulary().endOfText()).isEqualTo(endOfText);
  }

  /** Each line: the change to a good config.json, and what the message must name. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'model_type':'mamba'}|config.json: model_type: expected gpt_neox, gptj, gpt2, gpt_neo,"
            + " llama, jneox, found \"mamba\"",
        "{'model_type':null}|model_type: expected text, found null",
        "{'vocab_size':'12'}|vocab_size: expected an integer from 1 to 2147483647, found \"12\"",
        "{'vocab_size':12.0}|found 12.0",
        "{'vocab_size':-1}|found -1",
        "{'vocab_size':0}|found 0",
        "{'vocab_size':99999999999}|found 99999999999",
        "{'vocab_size':null}|found null",
        "{'hidden_size':true}|hidden_size: expected an integer",
        "{'hidden_size':2147483647}|hidden_size: expected an integer from 1 to 1048576",
        "{'num_hidden_layers':2147483647}|num_hidden_layers: expected an integer from 1 to 16384",
        "{'num_attention_heads':3}|num_attention_heads: expected a divisor of the width 16, found"
            + " 3",
        "{'num_attention_heads':16}|rotary_pct: expected a share",
        "{'rotary_pct':'all'}|rotary_pct: expected a positive number",
        "{'rotary_pct':0}|rotary_pct: expected a positive number, found 0",
        "{'rotary_pct':1.5}|rotary_pct: expected a share of the head's 8 dimensions",
        "{'rotary_pct':0.4}|an even number from 2",
        "{'rope_parameters':{'partial_rotary_factor':0.4}}|rope_parameters.partial_rotary_factor:"
            + " expected a share",
        "{'rope_parameters':{'rope_theta':-1}}|rope_parameters.rope_theta: expected a positive"
            + " number, found -1",
        "{'rope_parameters':{'rope_type':'yarn'}}|rope_parameters.rope_type: expected default"
            + " (scaled rotary embeddings",
        "{'rope_parameters':7}|rope_parameters: expected an object, found 7",
        "{'rope_scaling':{'type':'linear','factor':2.0}}|rope_scaling.type: expected default"
            + " (scaled rotary embeddings",
        "{'rotary_emb_base':[]}|rotary_emb_base: expected a positive number, found []",
        "{'hidden_act':'silu'}|hidden_act: expected gelu, gelu_new, gelu_fast or gelu_pytorch_tanh,"
            + " found \"silu\"",
        "{'hidden_act':1}|hidden_act: expected text, found 1",
        "{'layer_norm_eps':0}|layer_norm_eps: expected a positive number",
        "{'layer_norm_eps':1e999}|layer_norm_eps: expected a positive number",
        "{'use_parallel_residual':'yes'}|use_parallel_residual: expected true or false, found"
            + " \"yes\"",
        "{'tie_word_embeddings':1}|tie_word_embeddings: expected true or false, found 1",
        "{'attention_bias':{}}|attention_bias: expected true or false, found {}",
        "{'max_position_embeddings':2147483647}|max_position_embeddings: expected an integer from 1"
            + " to 1048576",
        "{'eos_token_id':'0'}|eos_token_id: expected an integer",
        "{'eos_token_id':[0.5]}|eos_token_id: expected an integer",
        "{'intermediate_size':99999999}|intermediate_size: expected an integer",
      })
  void aConfigurationThatCannotBeUsedIsNamed(String changes, String named) throws IOException {
    config(changes);
    refused(named);
  }

  @Test
  void aConfigurationThatIsNoJsonObjectIsNamed() throws IOException {
    Path file = dir.resolve("config.json");
    refused("not a model folder: it has no config.json");
    for (String text :
        List.of(
            "",
            "[]",
            "{\"vocab_size\":12,\"vocab_size\":13}",
            "{\"a\":",
            "{} {}",
            "[".repeat(100_000),
            "\u0000",
            "{\"a\":\"\n\"}")) {
      Files.writeString(file, text);
      refused("config.json: content");
    }
    Files.write(file, new byte[] {'{', '"', (byte) 0xff, (byte) 0xc0, '"', ':', '1', '}'});
    refused("config.json: content");
    Files.write(file, new byte[(16 << 20) + 1]);
    refused("config.json: size: expected at most");
  }

  @Test
  void everyTruncationOfAConfigurationIsRefused() throws IOException {
    config("{'rope_parameters':{'rope_theta':10000}}");
    byte[] whole = Files.readAllBytes(dir.resolve("config.json"));
    for (int length = 0; length < whole.length; length++) {
      Files.write(dir.resolve("config.json"), Arrays.copyOf(whole, length));
      refused("config.json: content");
    }
  }

  @Test
  void aFolderWithoutWeightsIsNamed() throws IOException {
    config("{}");
    refused(
        "expected model.safetensors or pytorch_model.bin, or the index of its shards, found"
            + " neither");
  }

  @Test
  void aMissingTensorIsNamed() throws IOException {
    config("{}");
    Map<String, List<Long>> tensors = tinyTensors();
    tensors.remove("gpt_neox.layers.0.mlp.dense_h_to_4h.bias");
    weights("model.safetensors", tensors, Dtype.F32);
    refused(
        "model.safetensors: tensor \"gpt_neox.layers.0.mlp.dense_h_to_4h.bias\": expected shape"
            + " [64] by config.json",
        "found no such tensor");
  }

  @Test
  void aSurplusTensorIsNamedButOldBuffersAreNot() throws IOException {
    config("{}");
    Map<String, List<Long>> tensors = tinyTensors();
    tensors.put("gpt_neox.layers.0.attention.bias", List.of(1L, 1L, 8L, 8L));
    tensors.put("gpt_neox.layers.0.attention.masked_bias", List.of());
    tensors.put("gpt_neox.layers.0.attention.rotary_emb.inv_freq", List.of(1L));
    weights("model.safetensors", tensors, Dtype.F32);
    HfFolder.open(dir).close();
    tensors.put("gpt_neox.layers.1.input_layernorm.bias", List.of(16L));
    weights("model.safetensors", tensors, Dtype.F32);
    refused(
        "tensor \"gpt_neox.layers.1.input_layernorm.bias\": expected none of this name by"
            + " config.json, found shape [16]");
  }

  @Test
  void aWrongShapeIsNamed() throws IOException {
    config("{'vocab_size':13}");
    weights("model.safetensors", tinyTensors(), Dtype.F32);
    refused(
        "model.safetensors: tensor \"gpt_neox.embed_in.weight\": expected shape [13, 16]",
        "found shape [12, 16]");
  }

  @Test
  void weightsThatAreNoFloatingPointNumbersAreNamed() throws IOException {
    config("{}");
    weights("model.safetensors", tinyTensors(), Dtype.I8);
    refused("tensor \"gpt_neox.embed_in.weight\": expected F32, BF16, F16 or F64, found I8");
  }

  @Test
  void aTiedHeadMayBeSavedWhenItIsTheEmbedding() throws IOException {
    config("{'tie_word_embeddings':true}");
    weights("model.safetensors", tinyTensors(), Dtype.F32);
    HfFolder.open(dir).close();
    byte[] bytes = Files.readAllBytes(dir.resolve("model.safetensors"));
    bytes[bytes.length - 1] = 1; // embed_out.weight is the last
    Files.write(dir.resolve("model.safetensors"), bytes);
    refused("tensor \"embed_out.weight\": expected none");
  }

  private void index(Map<String, String> weightMap) throws IOException {
    Files.write(
        dir.resolve("model.safetensors.index.json"),
        JSON.writeValueAsBytes(Map.of("weight_map", weightMap)));
  }

  /** The tiny model in two shards; returns the index's map. */
  private Map<String, String> shards() throws IOException {
    config("{}");
    Map<String, String> weightMap = new LinkedHashMap<>();
    Map<String, List<Long>> first = new LinkedHashMap<>();
    Map<String, List<Long>> second = new LinkedHashMap<>();
    tinyTensors().forEach((name, shape) -> (first.size() < 5 ? first : second).put(name, shape));
    first.keySet().forEach(name -> weightMap.put(name, "a.safetensors"));
    second.keySet().forEach(name -> weightMap.put(name, "b.safetensors"));
    weights("a.safetensors", first, Dtype.F16);
    weights("b.safetensors", second, Dtype.F16);
    index(weightMap);
    return weightMap;
  }

  @Test
  void shardsAreOneModel() throws IOException {
    shards();
    try (HfFolder folder = HfFolder.open(dir)) {
      assertThat(folder.files()).hasSize(2);
      assertThat(folder.tensors()).hasSameSizeAs(CanonicalNames.of(TINY));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../a.safetensors",
        "/a.safetensors",
        "x/a.safetensors",
        "..\\\\a.safetensors",
        "..",
        "",
        ".a.safetensors",
        "a.bin",
        "c:a.safetensors",
        "a.safetensors\u0000",
        "a\n.safetensors"
      })
  void shardsOutsideTheFolderAreRefused(String shard) throws IOException {
    Map<String, String> weightMap = shards();
    weightMap.put("embed_out.weight", shard);
    index(weightMap);
    refused(
        "index.json: weight_map.embed_out.weight: expected a plain file name ending in"
            + " .safetensors, found");
  }

  @Test
  void shardsAndTensorsThatAreNotWhereTheIndexSaysAreNamed() throws IOException {
    Map<String, String> weightMap = shards();
    weightMap.put("embed_out.weight", "a.safetensors");
    index(weightMap);
    refused(
        "weight_map, \"embed_out.weight\": expected b.safetensors, where it is, found"
            + " a.safetensors");
    weightMap.remove("embed_out.weight");
    index(weightMap);
    refused("weight_map, \"embed_out.weight\": expected b.safetensors, where it is, found nothing");
    weightMap.put("embed_out.weight", "b.safetensors");
    weightMap.put("extra", "a.safetensors");
    index(weightMap);
    refused("a.safetensors: tensor \"extra\": expected as the index says, found no such tensor");
    weightMap.remove("extra");
    weightMap.put("embed_out.weight", "c.safetensors");
    index(weightMap);
    refusedWith(StorageException.class, "c.safetensors: cannot be read: no such file or folder");
    weightMap.put("embed_out.weight", "b.safetensors");
    index(weightMap);
    Files.delete(dir.resolve("b.safetensors"));
    refusedWith(StorageException.class, "b.safetensors: cannot be read: no such file or folder");
  }

  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aShardThatIsAFifoIsRefusedAtOnce() throws Exception {
    shards();
    Path shard = dir.resolve("b.safetensors");
    Files.delete(shard);
    assertThat(new ProcessBuilder("mkfifo", shard.toString()).start().waitFor()).isZero();
    refused("b.safetensors: kind: expected a regular file, found a FIFO");
  }

  @Test
  void anIndexThatIsNoneIsNamed() throws IOException {
    shards();
    Path index = dir.resolve("model.safetensors.index.json");
    Files.writeString(index, "{}");
    refused("index.json: weight_map: expected an object of tensor name to file, found nothing");
    Files.writeString(index, "{\"weight_map\":{\"a\":7}}");
    refused("index.json: weight_map.a: expected text, found 7");
    Files.writeString(index, "{\"weight_map\":{}}");
    refused("index.json: tensor \"gpt_neox.embed_in.weight\"");
    Files.writeString(index, "{\"weight_map\":[");
    refused("index.json: content, byte 15: not valid JSON");
  }

  @Test
  void theTokenizerSaysHowManyIdsAreUsed() throws IOException {
    config("{}");
    Path tokenizer = dir.resolve("tokenizer.json");
    Files.writeString(
        tokenizer,
        "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":9,\"content\":\"<|e|>\",\"special\":true}],"
            + "\"model\":{\"type\":\"BPE\",\"merges\":[[\"a\",\"b\"]],\"vocab\":{\"a\":0,\"ab\":6}}}");
    assertThat(HfFolder.spec(dir).vocabulary().used()).isEqualTo(10);
    assertThat(TokenizerIds.token(Files.readString(tokenizer), tokenizer, 9)).contains("<|e|>");
    assertThat(TokenizerIds.token(Files.readString(tokenizer), tokenizer, 6)).contains("ab");
    assertThat(TokenizerIds.token(Files.readString(tokenizer), tokenizer, 5)).isEmpty();
    config("{'vocab_size':9}");
    assertThat(HfFolder.spec(dir).vocabulary().used()).as("one token has no row").isEqualTo(9);
    config("{}");
    Files.writeString(
        tokenizer,
        "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":"
            + "[[\"<unk>\",0],[\"a\",-1.5],[\"b\",-2,{\"more\":[1]}]]}}");
    assertThat(HfFolder.spec(dir).vocabulary().used()).as("Unigram").isEqualTo(3);
    assertThat(TokenizerIds.token(Files.readString(tokenizer), tokenizer, 1)).contains("a");
    assertThat(TokenizerIds.id(tokenizer, "b")).contains(2);
    Files.writeString(tokenizer, "{\"model\":{\"vocab\":[[\"a\",0],7]}}");
    refused("tokenizer.json: model.vocab[1]: expected an array, found VALUE_NUMBER_INT");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'eos_token_id':[7,8]}||7|7,8",
        "{'eos_token_id':[7,8]}|{'eos_token_id':9}|7|9",
        "{'eos_token_id':7}|{'eos_token_id':[7,10,11]}|7|7,10,11",
        "{'eos_token_id':7}|{'eos_token_id':null}|7|7",
        "{'eos_token_id':7}|{}|7|7",
        "{'eos_token_id':null}|{'eos_token_id':[9,8]}|9|9,8",
        "{'eos_token_id':null}|{}|-1|",
      })
  void theIdsThatEndATextAreThoseOfGenerationConfig(
      String changes, String generation, int endOfText, String ends) throws IOException {
    config(changes);
    if (generation != null) {
      Files.writeString(dir.resolve("generation_config.json"), generation.replace('\'', '"'));
    }
    Vocabulary vocabulary = HfFolder.spec(dir).vocabulary();
    assertThat(vocabulary.endOfText()).isEqualTo(endOfText);
    assertThat(vocabulary.ends())
        .hasToString("[" + (ends == null ? "" : ends.replace(",", ", ")) + "]");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'_from_model_config':true,'eos_token_id':0}||||",
        "{'temperature':0.6,'top_p':0.9,'top_k':20}||||",
        "{'do_sample':false,'temperature':0.6,'repetition_penalty':1.1}||||1.1",
        "{'do_sample':true,'temperature':0.6,'top_p':0.9,'top_k':20}|0.6|20|0.9|",
        "{'do_sample':true,'top_k':-1,'top_p':1,'temperature':null}|1.0|0|1.0|",
        "{'do_sample':true}|1.0|||",
      })
  void generationConfigSaysHowTokensAreDrawn(
      String json, Double temperature, Integer topK, Double topP, Double penalty)
      throws IOException {
    Files.writeString(dir.resolve("generation_config.json"), json.replace('\'', '"'));
    SamplingDefaults found = GenerationConfig.sampling(dir);
    assertThat(found.temperature().stream().boxed().toList())
        .isEqualTo(Stream.ofNullable(temperature).toList());
    assertThat(found.topK().stream().boxed().toList()).isEqualTo(Stream.ofNullable(topK).toList());
    assertThat(found.topP().stream().boxed().toList()).isEqualTo(Stream.ofNullable(topP).toList());
    assertThat(found.repetitionPenalty().stream().boxed().toList())
        .isEqualTo(Stream.ofNullable(penalty).toList());
  }

  @Test
  void wrongValuesOfGenerationConfigAreNamed() throws IOException {
    for (String wrong : List.of("'top_p':1.5", "'temperature':-1", "'top_k':'a'")) {
      Files.writeString(
          dir.resolve("generation_config.json"),
          ("{'do_sample':true," + wrong + "}").replace('\'', '"'));
      assertThatThrownBy(() -> GenerationConfig.sampling(dir))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("generation_config.json: " + wrong.split("'")[1] + ": expected ");
    }
  }

  @Test
  void buffersNeedNoPlaceInTheIndex() throws IOException {
    config("{}");
    Map<String, List<Long>> tensors = tinyTensors();
    weights("model-1.safetensors", tensors, Dtype.F32);
    Map<String, Object> map = new LinkedHashMap<>();
    tensors.keySet().forEach(name -> map.put(name, "model-1.safetensors"));
    tensors.put("gpt_neox.layers.0.attention.masked_bias", List.of());
    tensors.put("gpt_neox.layers.0.attention.rotary_emb.inv_freq", List.of(4L));
    weights("model-1.safetensors", tensors, Dtype.F32);
    map.put("gpt_neox.layers.1.attention.bias", "model-1.safetensors"); // which is nowhere
    Files.write(
        dir.resolve("model.safetensors.index.json"), JsonObject.write(Map.of("weight_map", map)));
    HfFolder.open(dir).close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "{}",
        "{\"model\":{\"vocab\":{}}}",
        "{\"model\":{\"vocab\":{\"a\":-1}}}",
        "{\"model\":{\"vocab\":{\"a\":1.5}}}",
        "{\"model\":{\"vocab\":{\"a\":2147483647}}}",
        "{\"model\":{\"vocab\":{\"a\":99999999999999999999}}}",
        "{\"model\":{\"vocab\":{\"a\":{}}}}",
        "{\"model\":{\"vocab\":[]}}",
        "{\"added_tokens\":[7]}",
        "{\"added_tokens\":[{\"id\":\"x\"}]}",
        "{\"model\":{\"vocab\":{\"a\":1",
        "{\"added_tokens\":[",
        "{\"added_tokens\":[{\"id\":1}"
      })
  void aTokenizerThatCannotBeReadIsNamed(String content) throws IOException {
    config("{}");
    Files.writeString(dir.resolve("tokenizer.json"), content);
    refused("tokenizer.json: ");
  }
}
