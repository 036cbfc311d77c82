package dev.jneox.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.checkpoint.GgmlType;
import dev.jneox.checkpoint.GgufExport;
import dev.jneox.checkpoint.Safetensors;
import dev.jneox.checkpoint.StoredModel;
import dev.jneox.model.Activation;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.RandomModel;
import dev.jneox.model.Residual;
import dev.jneox.quant.DenseWeight;
import dev.jneox.quant.PackedWeight;
import dev.jneox.tensor.Tensors;
import dev.jneox.tensor.Workers;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models on disk, whatever wrote them, as inference reads them. */
class PackedModelTest {
  @TempDir Path dir;

  /** The logits of every position of a text. */
  private static float[] logits(PackedModel model, int[] ids) {
    KvPool pool = new KvPool(KvFormat.of(model.config(), KvPrecision.F32), 10);
    int vocab = model.config().vocabSize();
    float[] all = new float[ids.length * vocab];
    try (Workers workers = new Workers(2)) {
      Forward forward = new Forward(model, pool.format(), workers, ids.length);
      KvSequence text = new KvSequence(pool);
      text.reserve(ids.length);
      forward.begin();
      forward.add(text, ids, 0, ids.length);
      forward.run();
      int[] rows = IntStream.range(0, ids.length).toArray();
      for (int at = 0; at < ids.length; at += Forward.LOGIT_ROWS) {
        int n = Math.min(Forward.LOGIT_ROWS, ids.length - at);
        System.arraycopy(forward.logits(rows, at, n), 0, all, at * vocab, n * vocab);
      }
    }
    return all;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"neox-parallel", "neox-20b-like", "neox-serial-tied", "gptj", "gpt-neo", "gpt2"})
  void logitsOfEveryFamilyAreThoseOfHfTransformers(String name) {
    Path folder = Path.of("src/test/resources/parity", name);
    try (PointerScope _ = new PointerScope();
        StoredModel stored = StoredModel.open(folder);
        PackedModel model = PackedModel.of(stored, Precision.STORED);
        Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"))) {
      int[] ids =
          Arrays.stream(Tensors.longs(expected.tensor("input_ids")))
              .mapToInt(Math::toIntExact)
              .toArray();
      float[] logits = Tensors.floats(expected.tensor("logits"));
      for (int row = 0; row < 2; row++) {
        float[] found = logits(model, Arrays.copyOfRange(ids, 41 * row, 41 * row + 41));
        float[] expectedRow =
            Arrays.copyOfRange(logits, row * found.length, (row + 1) * found.length);
        assertThat(found).containsExactly(expectedRow, within(1e-4f));
      }
    }
  }

  private static ModelConfig config(Position position, Residual residual) {
    return new ModelConfig(
        96,
        96,
        64,
        2,
        4,
        128,
        64,
        position,
        residual,
        Activation.GELU_TANH,
        1e-5,
        ModelConfig.everywhere(2),
        true,
        residual != Residual.PARALLEL_ONE_NORM,
        true,
        residual == Residual.PARALLEL_ONE_NORM,
        false,
        5);
  }

  /**
   * Within the rounding of activations to 8 bits where weights have 4, and of weights to bf16 where
   * they have 8.
   */
  @ParameterizedTest
  @CsvSource({
    "F32, PARALLEL, STORED, F32, 1e-5",
    "F32, PARALLEL, BF16, BF16, 0.02",
    "F16, PARALLEL, STORED, F32, 1e-5",
    "F16, PARALLEL_ONE_NORM, STORED, F32, 1e-5",
    "BF16, SERIAL, STORED, BF16, 0.02",
    "BF16, PARALLEL_ONE_NORM, F32, F32, 1e-5",
    "Q4_0, PARALLEL, STORED, Q4Weight, 0.05",
    "Q4_0, PARALLEL_ONE_NORM, STORED, Q4Weight, 0.05",
    "Q4_0, SERIAL, STORED, Q4Weight, 0.05",
    "Q4_0, PARALLEL, F32, F32, 1e-5",
    "Q8_0, PARALLEL, STORED, Q8Weight, 0.05",
    "Q8_0, PARALLEL_ONE_NORM, BF16, BF16, 0.02",
    "Q8_0, SERIAL, F32, F32, 1e-5",
  })
  void ggufFilesAreMultipliedAsTheyAreStored(
      GgmlType type, Residual residual, Precision precision, String kernel, double tolerance) {
    Position position =
        residual == Residual.SERIAL
            ? new Position.Learned()
            : new Position.Rotary(8, 500, residual == Residual.PARALLEL_ONE_NORM);
    ModelConfig config = config(position, residual);
    Path file = dir.resolve("model.gguf");
    int[] ids = new Random(1).ints(40, 0, 96).toArray();
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 4)) {
      new GgufExport(file, config, type, null, Map.of()).write(model.weights()::get, bytes -> {});
      try (StoredModel stored = StoredModel.open(file);
          PackedModel packed = PackedModel.of(stored, precision);
          CausalLM reference = new CausalLM(stored.config(), fp32(stored.tensors()))) {
        for (PackedModel.Layer layer : packed.layers) {
          for (PackedLinear linear :
              new PackedLinear[] {layer.queryKeyValue(), layer.dense(), layer.up(), layer.down()}) {
            PackedWeight weight = linear.weight();
            assertThat(
                    weight instanceof DenseWeight dense
                        ? dense.type().name()
                        : weight.getClass().getSimpleName())
                .isEqualTo(kernel);
          }
        }
        float[] expected = Tensors.floats(reference.forward(Tensors.of(ids, 1, ids.length)));
        assertThat(relativeError(logits(packed, ids), expected)).isLessThan(tolerance);
      }
    }
  }

  private static Map<String, Tensor> fp32(Map<String, Tensor> tensors) {
    tensors.replaceAll((name, tensor) -> tensor.to(ScalarType.Float));
    return tensors;
  }

  private static double relativeError(float[] found, float[] expected) {
    double difference = 0;
    double whole = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(found[i] - expected[i], 2);
      whole += Math.pow(expected[i], 2);
    }
    return Math.sqrt(difference / whole);
  }
}
