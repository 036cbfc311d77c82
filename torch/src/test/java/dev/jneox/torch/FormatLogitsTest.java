package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.format.ModelFiles;
import dev.jneox.format.gguf.GgufExport;
import dev.jneox.format.safetensors.Safetensors;
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
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Computes logits by the reference from files of every format: those of the tool that wrote the
 * file, or of the model that we wrote into it.
 */
@Tag("slow")
class FormatLogitsTest {
  private static final Path RESOURCES = Path.of("../core/src/test/resources");

  @TempDir Path dir;

  /** The reference's logits {@code [B,S,V]} in fp32. */
  private static float[] reference(ModelWeights model, int[] ids, int batch) {
    try (PointerScope _ = new PointerScope();
        CausalLM network = CausalLM.of(model, type -> Dtype.F32, Device.CPU)) {
      return Tensors.floats(network.forward(Tensors.of(ids, batch, ids.length / batch)));
    }
  }

  private static float[] logits(ModelWeights model) {
    return reference(model, new int[] {5, 17, 80, 3, 3, 41, 0, 95}, 1);
  }

  /** Of Hugging Face's transformers, and of GPT-NeoX's own converter from two ranks. */
  @ParameterizedTest
  @ValueSource(strings = {"torch/gpt2-hub-2019", "torch/neox-bin-shards", "parity/neox-native-tp2"})
  void logitsAreThoseOfTheToolThatWroteTheFiles(String name) {
    Path folder = RESOURCES.resolve(name);
    try (StoredModel model = ModelFiles.open(folder);
        Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"))) {
      long[] ids =
          expected.data("input_ids").orElseThrow().toArray(ValueLayout.JAVA_LONG_UNALIGNED);
      float[] logits =
          reference(
              model,
              Arrays.stream(ids).mapToInt(Math::toIntExact).toArray(),
              (int) expected.shape("input_ids")[0]);
      MappedTensor theirs =
          new MappedTensor(expected.dtype("logits"), expected.data("logits").orElseThrow());
      assertThat(logits).containsExactly(theirs.floats(), within(1e-4f));
    }
  }

  private static ModelSpec spec(
      Position position, Residual residual, boolean qkvBias, boolean headBias, boolean tied) {
    return ModelSpec.of(
        Vocabulary.of(96, 5),
        64,
        new Embedding(position instanceof Position.None),
        2,
        new BlockSpec(
            residual,
            Attention.of(4, 16, position).withBiases(qkvBias, true),
            new FeedForward.Plain(128, Activation.GELU_TANH, true)),
        new Head(tied, headBias),
        32);
  }

  private static final Norm NORM = new Norm.Layer(1e-5);
  private static final Residual SERIAL = new Residual.Serial(NORM, NORM);
  private static final Residual PARALLEL = new Residual.Parallel(NORM, NORM);
  private static final Residual ONE_NORM = new Residual.ParallelOneNorm(NORM);
  private static final Position HALVES = new Position.Rotary(8, 10000, false);
  private static final Position PAIRS = new Position.Rotary(8, 500, true);
  private static final Position LEARNED = new Position.None();

  /** All that llama.cpp has graphs for. */
  static final List<ModelSpec> KINDS =
      List.of(
          spec(HALVES, PARALLEL, true, false, false),
          spec(HALVES, SERIAL, false, false, true),
          spec(LEARNED, SERIAL, true, false, true),
          spec(LEARNED, SERIAL, true, false, false),
          spec(PAIRS, ONE_NORM, false, true, false),
          spec(HALVES, ONE_NORM, true, true, false),
          spec(PAIRS, ONE_NORM, false, true, true),
          spec(PAIRS, ONE_NORM, false, false, true));

  private StoredModel gguf(ModelWeights weights, GgmlType type) {
    Path file = dir.resolve("model.gguf");
    new GgufExport(file, weights.spec(), type, null, Map.of()).write(weights, bytes -> {});
    return ModelFiles.open(file);
  }

  private static void close(float[] found, float[] expected, double error) {
    assertThat(found).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      assertThat((double) found[i]).isCloseTo(expected[i], within(error));
    }
  }

  @ParameterizedTest
  @FieldSource("KINDS")
  void everyArchitectureOfGgufComputesTheSameFromItsFile(ModelSpec spec) {
    RandomWeights weights = values(spec);
    try (StoredModel model = gguf(weights, GgmlType.F32)) {
      close(logits(model), logits(weights), 2e-5);
    }
  }

  /** Of a size at which rounding stays small beside the tolerance. */
  private static RandomWeights values(ModelSpec spec) {
    Random random = new Random(3);
    return new RandomWeights(
        spec,
        Dtype.F32,
        param ->
            (param.id().part().isNorm() && !param.id().isBias() ? 1 : 0)
                + 0.2f * (float) random.nextGaussian());
  }

  @ParameterizedTest
  @CsvSource({"Q8_0, 0.2", "Q4_0, 3"})
  void aQuantisedModelIsCloseToItsSource(GgmlType type, double error) {
    RandomWeights weights = values(KINDS.getFirst());
    try (StoredModel model = gguf(weights, type)) {
      close(logits(model), logits(weights), error);
    }
  }
}
