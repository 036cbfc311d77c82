package dev.jneox.format.neox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.FamilyFolder;
import dev.jneox.format.torch.TorchFile;
import dev.jneox.io.InputException;
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
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What we write in GPT-NeoX's format, read back. */
@Tag("slow")
class NeoxCheckpointWriterTest {
  private static final Path TWO_RANKS = Path.of("src/test/resources/parity/neox-native-tp2");

  @TempDir Path dir;

  private Path out() {
    return dir.resolve("run");
  }

  private static final Norm NORM = new Norm.Layer(1e-6);
  private static final Position ROTARY = new Position.Rotary(2, 10000, false);

  private static ModelSpec spec(
      Residual residual, boolean tied, Position position, Activation activation) {
    return ModelSpec.of(
        Vocabulary.of(120, -1),
        24,
        new Embedding(position instanceof Position.None),
        2,
        new BlockSpec(
            residual, Attention.of(12, 2, position), new FeedForward.Plain(36, activation, true)),
        new Head(tied, false),
        50);
  }

  private static ModelSpec neox() {
    return spec(new Residual.Parallel(NORM, NORM), false, ROTARY, Activation.GELU_TANH);
  }

  /** Values of many sizes, down to the subnormal ones of fp16. */
  private static RandomWeights weights(ModelSpec spec, Dtype dtype) {
    Random random = new Random(7);
    return new RandomWeights(
        spec, dtype, param -> random.nextGaussian() * Math.pow(2, -random.nextInt(24)));
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
    ModelSpec spec = neox();
    RandomWeights weights = weights(spec, dtype);
    List<Long> progress = new ArrayList<>();
    NeoxCheckpointWriter writer =
        new NeoxCheckpointWriter(out(), spec, dtype)
            .tensorParallel(ranks)
            .iteration(7)
            .progress(progress::add);
    if (newNames) {
      writer.newMlpNames();
    }
    writer.write(weights);
    try (NeoxCheckpoint model = NeoxCheckpoint.open(out())) {
      assertThat(model.ranks()).isEqualTo(ranks);
      assertThat(model.spec()).isEqualTo(spec);
      StoredTensor embedding = model.holder(ParamId.weight(Part.EMBEDDING));
      assertThat(embedding.type()).isEqualTo(dtype.name());
      assertThat(embedding.inPlace().isPresent()).isEqualTo(ranks == 1);
      RandomWeights.assertSame(model, weights);
    }
    assertThat(progress.stream().mapToLong(n -> n).sum()).isEqualTo(writer.bytes());
    assertThat(out().resolve("latest")).hasContent("global_step7");
  }

  static final List<Residual> RESIDUALS =
      List.of(
          new Residual.Serial(NORM, NORM),
          new Residual.Parallel(NORM, NORM),
          new Residual.ParallelOneNorm(NORM));

  @ParameterizedTest
  @FieldSource("RESIDUALS")
  void everyKindOfBlock(Residual residual) {
    for (boolean tied : new boolean[] {true, false}) {
      for (Position position : List.of(new Position.None(), new Position.Rotary(2, 1e6, false))) {
        ModelSpec spec = spec(residual, tied, position, Activation.GELU);
        RandomWeights weights = weights(spec, Dtype.F32);
        new NeoxCheckpointWriter(out(), spec, Dtype.F32).tensorParallel(3).write(weights);
        try (NeoxCheckpoint model = NeoxCheckpoint.open(out())) {
          assertThat(model.spec()).isEqualTo(spec);
          RandomWeights.assertSame(model, weights);
        }
      }
    }
  }

  @Test
  void biasesOfASerialModelAreNotDivided() {
    ModelSpec spec =
        spec(new Residual.Serial(NORM, NORM), false, new Position.None(), Activation.GELU);
    RandomWeights weights = weights(spec, Dtype.F32);
    new NeoxCheckpointWriter(out(), spec, Dtype.F32).tensorParallel(2).write(weights);
    try (TorchFile file =
        TorchFile.open(
            out().resolve("global_step1").resolve("layer_02-model_01-model_states.pt"))) {
      RandomWeights.assertSame(
          "bias",
          new MappedTensor(Dtype.F32, file.data("attention.dense.bias").orElseThrow()),
          weights.values(ParamId.bias(0, Part.ATTENTION_OUT)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void theCheckpointOfGptNeoxWrittenAgain(int ranks) {
    try (StoredModel source = ModelFiles.open(TWO_RANKS)) {
      new NeoxCheckpointWriter(out(), source.spec(), Dtype.F16)
          .tensorParallel(ranks)
          .iteration(10)
          .write(source);
      try (StoredModel copy = ModelFiles.open(out())) {
        assertThat(copy.spec()).isEqualTo(source.spec());
        RandomWeights.assertSame(copy, source);
      }
    }
    try (TorchFile ours =
            TorchFile.open(out().resolve("global_step10/layer_03-model_00-model_states.pt"));
        TorchFile theirs =
            TorchFile.open(TWO_RANKS.resolve("global_step10/layer_03-model_00-model_states.pt"))) {
      assertThat(ours.names()).containsExactlyInAnyOrderElementsOf(theirs.names());
      assertThat(ours.dtype(NeoxNames.ROTARY_BUFFER)).isEqualTo(Dtype.F16);
      assertThat(theirs.dtype(NeoxNames.ROTARY_BUFFER)).isEqualTo(Dtype.F16);
      assertThat(
              ours.data(NeoxNames.ROTARY_BUFFER)
                  .orElseThrow()
                  .mismatch(theirs.data(NeoxNames.ROTARY_BUFFER).orElseThrow()))
          .isEqualTo(-1);
    }
  }

  @Test
  void aModelThatCannotBeDividedOrThatGptNeoxDoesNotHaveIsRefused() {
    NeoxCheckpointWriter writer = new NeoxCheckpointWriter(out(), neox(), Dtype.F32);
    assertThatThrownBy(() -> writer.tensorParallel(5))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(
            "that divide 12 heads, MLP width 36 and 120 rows of the vocabulary, found 5");
    ModelSpec gptJ =
        spec(
            new Residual.ParallelOneNorm(NORM),
            false,
            new Position.Rotary(2, 10000, true),
            Activation.GELU);
    assertThatThrownBy(() -> new NeoxCheckpointWriter(out(), gptJ, Dtype.F32))
        .isInstanceOf(InputException.class);
    assertThatThrownBy(() -> writer.iteration(0)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void whatFailsLeavesTheFormerCheckpoint() throws IOException {
    ModelSpec spec = neox();
    RandomWeights weights = weights(spec, Dtype.F32);
    NeoxCheckpointWriter writer =
        new NeoxCheckpointWriter(out(), spec, Dtype.F32).tensorParallel(2);
    writer.write(weights);
    assertThatThrownBy(
            () ->
                writer.write(
                    new ModelWeights() {
                      private final RandomWeights others = new RandomWeights(spec, 1);

                      @Override
                      public ModelSpec spec() {
                        return spec;
                      }

                      @Override
                      public List<StoredTensor> tensors() {
                        return others.tensors();
                      }

                      @Override
                      public MappedTensor read(TensorExpression expression, Arena arena) {
                        if (expression.first().equals(ParamId.weight(Part.FINAL_NORM))) {
                          throw new IllegalStateException("killed");
                        }
                        return others.read(expression, arena);
                      }
                    }))
        .hasMessage("killed");
    try (StoredModel model = ModelFiles.open(out())) {
      RandomWeights.assertSame(model, weights);
    }
    try (Stream<Path> files = Files.list(out())) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder("global_step1", "latest");
    }
  }

  /** Heads of 4 that share keys by threes or not at all, a gated MLP of 12, no biases. */
  private static ModelSpec llama(int kvHeads, boolean biases, Activation activation) {
    Norm norm = new Norm.Rms(1e-6);
    return ModelSpec.of(
        Vocabulary.of(120, -1),
        24,
        new Embedding(false),
        2,
        new BlockSpec(
            new Residual.Serial(norm, norm),
            Attention.of(6, 4, new Position.Rotary(4, 500000, false))
                .withKvHeads(kvHeads)
                .withBiases(biases, biases),
            new FeedForward.Gated(12, activation, biases)),
        new Head(biases, false),
        50);
  }

  @ParameterizedTest
  @CsvSource({
    "2,1,F32,false,SILU",
    "2,2,F32,false,SILU",
    "2,2,BF16,true,GELU",
    "6,1,F16,false,SILU",
    "6,2,F32,true,SILU",
    "6,3,F16,false,GELU",
    "3,3,F64,true,SILU"
  })
  void llamasShapeComesBack(
      int kvHeads, int ranks, Dtype dtype, boolean biases, Activation activation) {
    ModelSpec spec = llama(kvHeads, biases, activation);
    RandomWeights weights = weights(spec, dtype);
    NeoxCheckpointWriter writer =
        new NeoxCheckpointWriter(out(), spec, dtype).tensorParallel(ranks);
    writer.write(weights);
    try (NeoxCheckpoint model = NeoxCheckpoint.open(out())) {
      assertThat(model.ranks()).isEqualTo(ranks);
      assertThat(model.spec()).isEqualTo(spec);
      RandomWeights.assertSame(model, weights);
    }
  }

  private static float[] values(TorchFile file, String name) {
    return new MappedTensor(file.dtype(name), file.data(name).orElseThrow()).floats();
  }

  /** The rows from {@code from} on of a parameter whose rows have so many values. */
  private static float[] rows(float[] values, int columns, int from, int rows) {
    return Arrays.copyOfRange(values, from * columns, (from + rows) * columns);
  }

  private static float[] joined(float[]... parts) {
    float[] all = new float[Arrays.stream(parts).mapToInt(part -> part.length).sum()];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    return all;
  }

  /** Each of two ranks has its queries, keys and values in turn, and of the MLP [up; gate]. */
  @Test
  void ranksOfLlamasShapeHoldWhatGptNeoxExpects() throws IOException {
    ModelSpec spec = llama(2, false, Activation.SILU);
    RandomWeights weights = weights(spec, Dtype.F32);
    new NeoxCheckpointWriter(out(), spec, Dtype.F32).tensorParallel(2).write(weights);
    Path step = out().resolve("global_step1");
    for (int rank = 0; rank < 2; rank++) {
      try (TorchFile file = TorchFile.open(step.resolve(NeoxNames.file(3, rank)))) {
        assertThat(file.names())
            .containsExactlyInAnyOrder(
                "input_layernorm.scale",
                "post_attention_layernorm.scale",
                "attention.query_key_value.weight",
                "attention.dense.weight",
                "mlp.linear1.weight",
                "mlp.linear2.weight");
        assertThat(file.shape("attention.query_key_value.weight")).containsExactly(12 + 4 + 4, 24);
        assertThat(values(file, "attention.query_key_value.weight"))
            .isEqualTo(
                joined(
                    rows(weights.floats(ParamId.weight(1, Part.QUERY)), 24, rank * 12, 12),
                    rows(weights.floats(ParamId.weight(1, Part.KEY)), 24, rank * 4, 4),
                    rows(weights.floats(ParamId.weight(1, Part.VALUE)), 24, rank * 4, 4)));
        assertThat(values(file, "mlp.linear1.weight"))
            .isEqualTo(
                joined(
                    rows(weights.floats(ParamId.weight(1, Part.UP)), 24, rank * 6, 6),
                    rows(weights.floats(ParamId.weight(1, Part.GATE)), 24, rank * 6, 6)));
        float[] down = weights.floats(ParamId.weight(1, Part.DOWN));
        float[] part = values(file, "mlp.linear2.weight");
        assertThat(file.shape("mlp.linear2.weight")).containsExactly(24, 6);
        for (int i = 0; i < part.length; i++) {
          assertThat(part[i]).isEqualTo(down[i / 6 * 12 + rank * 6 + i % 6]);
        }
        assertThat(values(file, "input_layernorm.scale"))
            .isEqualTo(weights.floats(ParamId.weight(1, Part.ATTENTION_NORM)));
      }
    }
    try (TorchFile file = TorchFile.open(step.resolve(NeoxNames.file(5, 1)))) {
      assertThat(file.names()).containsExactly("norm.scale");
    }
    assertThat(Files.readString(step.resolve("configs/neox.yml")))
        .contains(
            "\nnorm: rmsnorm\n",
            "\nrms_norm_epsilon: 0.000001\n",
            "\nactivation: swiglu\n",
            "\nnum_kv_heads: 2\n",
            // GPT-NeoX takes two thirds of it.
            "\nintermediate_size: 36\n",
            "\nmlp_multiple_of: 12\n",
            "\nuse_bias_in_mlp: false\n",
            "\nuse_bias_in_attn_linear: false\n",
            "\nrotary_emb_base: 500000\n");
  }

  /** The widths of GPT-NeoX's recipes for Llama and what Llama has. */
  @ParameterizedTest
  @CsvSource({
    "32768, 256, 11008",
    "40960, 256, 13824",
    "53248, 256, 17920",
    "65536, 256, 22016",
    "86016, 1, 28672",
    "14336, 14336, 14336"
  })
  void theWidthOfAGatedMlpIsTwoThirdsOfWhatIsAsked(int asked, int multiple, int width)
      throws IOException {
    Files.writeString(
        dir.resolve("model.yml"),
        String.join(
            "\n",
            "hidden_size: 64",
            "num_layers: 1",
            "num_attention_heads: 4",
            "max_position_embeddings: 16",
            "pos_emb: rotary",
            "norm: rmsnorm",
            "activation: swiglu",
            "use_bias_in_mlp: false",
            "intermediate_size: " + asked,
            "mlp_multiple_of: " + multiple));
    ModelSpec spec = NeoxSettings.read(dir).spec(10, 10, -1);
    assertThat(spec.finalNorm()).isEqualTo(new Norm.Rms(1e-8));
    assertThat(spec.first().feedForward())
        .isEqualTo(new FeedForward.Gated(width, Activation.SILU, false));
  }

  @Test
  void whatGptNeoxHasNoWordsForIsNamed() {
    ModelSpec llama = llama(2, false, Activation.SILU);
    refused(
        llama.mapBlocks(b -> b.withAttention(b.attention().withBiases(true, false))),
        "biases in only a part of the attention");
    refused(
        llama.mapBlocks(b -> b.withAttention(b.attention().withScale(0.3))),
        "unscaled attention scores");
    refused(llama.withWindows(List.of(0, 4)), "attention windows");
    refused(FamilyFolder.tiny("llama"), "heads that do not share the width evenly");
    refused(
        llama.mapBlocks(
            b -> b.withFeedForward(new FeedForward.Gated(12, Activation.GELU_TANH, false))),
        "a gate with the tanh form of GELU");
    refused(
        llama.mapBlocks(b -> b.withFeedForward(new FeedForward.Plain(12, Activation.SILU, true))),
        "an MLP of two matrices with SiLU or without biases");
    refused(llama.withHead(new Head(false, true)), "a bias in the head");
    assertThatThrownBy(() -> new NeoxCheckpointWriter(out(), llama, Dtype.F32).tensorParallel(3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("ranks that divide 2 heads, MLP width 12 and 120 rows");
  }

  private void refused(ModelSpec spec, String what) {
    assertThatThrownBy(() -> new NeoxCheckpointWriter(out(), spec, Dtype.F32))
        .isInstanceOf(InputException.class)
        .hasMessageEndingWith("GPT-NeoX has no such model, with " + what);
  }

  @Test
  void theTokenizerGoesAlong() {
    String tokenizer =
        """
        {"added_tokens": [{"id": 5, "content": "<|endoftext|>"}],
         "model": {"type": "BPE", "vocab": {"a": 0, "b": 99}, "merges": []}}
        """;
    ModelSpec spec = neox();
    RandomWeights weights = weights(spec, Dtype.F32);
    new NeoxCheckpointWriter(out(), spec, Dtype.F32).tokenizer(tokenizer).write(weights);
    try (StoredModel model = ModelFiles.open(out())) {
      assertThat(model.tokenizerJson()).contains(tokenizer);
      assertThat(model.spec().vocabulary()).isEqualTo(new Vocabulary(120, 100, 5));
    }
  }
}
