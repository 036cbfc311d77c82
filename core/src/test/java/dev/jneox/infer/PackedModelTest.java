package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.convert.SyntheticModel;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.gguf.GgufExport;
import dev.jneox.format.hf.FamilyFolder;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.io.Progress;
import dev.jneox.kernel.DenseWeight;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Workers;
import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.ParamId;
import dev.jneox.model.PlainForward;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models on disk, whatever wrote them, as inference reads them. */
@Tag("slow")
class PackedModelTest {
  @TempDir Path dir;

  /** The logits of every position of a text. */
  private static float[] logits(PackedModel model, int[] ids) {
    KvPool pool = new KvPool(KvFormat.of(model.spec(), KvPrecision.F32), 10);
    int vocab = model.spec().vocabulary().rows();
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
      strings = {
        "neox-parallel",
        "neox-20b-like",
        "neox-serial-tied",
        "gptj",
        "gpt-neo",
        "gpt2",
        "llama"
      })
  void logitsOfEveryFamilyAreThoseOfHfTransformers(String name) {
    Path folder = Path.of("src/test/resources/parity", name);
    try (StoredModel stored = ModelFiles.open(folder);
        PackedModel model = PackedModel.of(stored, Precision.STORED);
        Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"))) {
      int[] ids = Parity.ints(expected, "input_ids");
      float[] logits = Parity.floats(expected, "logits");
      for (int row = 0; row < 2; row++) {
        float[] found = logits(model, Arrays.copyOfRange(ids, 41 * row, 41 * row + 41));
        float[] expectedRow =
            Arrays.copyOfRange(logits, row * found.length, (row + 1) * found.length);
        assertThat(found).containsExactly(expectedRow, within(1e-4f));
      }
    }
  }

  /** The model that a residual goes with in llama.cpp's graphs. */
  private static ModelSpec spec(String residual) {
    Norm norm = new Norm.Layer(1e-5);
    boolean one = residual.equals("PARALLEL_ONE_NORM");
    boolean serial = residual.equals("SERIAL");
    return ModelSpec.of(
        Vocabulary.of(96, 5),
        64,
        new Embedding(serial),
        2,
        new BlockSpec(
            serial
                ? new Residual.Serial(norm, norm)
                : one ? new Residual.ParallelOneNorm(norm) : new Residual.Parallel(norm, norm),
            Attention.of(4, 16, serial ? new Position.None() : new Position.Rotary(8, 500, one))
                .withBiases(!one, true),
            new FeedForward.Plain(128, Activation.GELU_TANH, true)),
        new Head(false, one),
        64);
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
      GgmlType type, String residual, Precision precision, String kernel, double tolerance) {
    ModelSpec spec = spec(residual);
    Path file = dir.resolve("model.gguf");
    int[] ids = new Random(1).ints(40, 0, 96).toArray();
    {
      new GgufExport(file, spec, type, null, Map.of())
          .write(new RandomWeights(spec, 4), bytes -> {});
      try (StoredModel stored = ModelFiles.open(file);
          PackedModel packed = PackedModel.of(stored, precision)) {
        for (PackedModel.Layer layer : packed.layers) {
          for (PackedLinear linear : layer.linears()) {
            PackedWeight weight = linear.weight();
            assertThat(
                    weight instanceof DenseWeight dense
                        ? dense.type().name()
                        : weight.getClass().getSimpleName())
                .isEqualTo(kernel);
          }
        }
        Map<ParamId, float[]> values = new HashMap<>();
        stored.spec().parameters().forEach(p -> values.put(p.id(), stored.floats(p.id())));
        double[][] expected = new PlainForward(stored.spec(), values).logits(ids);
        assertThat(relativeError(logits(packed, ids), expected)).isLessThan(tolerance);
      }
    }
  }

  private static double relativeError(float[] found, double[][] expected) {
    double difference = 0;
    double whole = 0;
    int width = expected[0].length;
    for (int i = 0; i < found.length; i++) {
      double wanted = expected[i / width][i % width];
      difference += Math.pow(found[i] - wanted, 2);
      whole += wanted * wanted;
    }
    return Math.sqrt(difference / whole);
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpt_neox", "gptj", "gpt2", "gpt_neo", "llama", "jneox"})
  void progressCountsEveryParameterOnceAndATiedHeadTwice(String type) {
    ModelSpec spec = FamilyFolder.tiny(type);
    Counter counter = new Counter();
    SyntheticModel weights = new SyntheticModel(dir, spec, 0.1, 0.1, Dtype.F32, 1, null);
    PackedModel.of(weights, Precision.BF16, counter).close();
    long head = (long) spec.vocabulary().rows() * spec.width();
    assertThat(counter.done())
        .isEqualTo(counter.total())
        .isEqualTo(spec.parameterCount() + (spec.head().tied() ? head : 0));
  }

  private static final class Counter extends Progress {
    Counter() {
      super(-1);
    }
  }
}
