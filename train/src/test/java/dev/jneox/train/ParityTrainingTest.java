package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Both training steps and the optimizer, in fp32, against PyTorch's over HF transformers: the same
 * weights, the same batch.
 */
@ParameterizedClass
@CsvSource({
  "neox-parallel, AUTOGRAD", "neox-20b-like, AUTOGRAD", "neox-serial-tied, AUTOGRAD",
  "neox-parallel, WRITTEN_OUT", "neox-20b-like, WRITTEN_OUT", "neox-serial-tied, WRITTEN_OUT",
  "neox-parallel, RECOMPUTED", "neox-20b-like, RECOMPUTED", "neox-serial-tied, RECOMPUTED",
  "gptj, AUTOGRAD", "gpt-neo, AUTOGRAD", "gpt2, AUTOGRAD",
  "gptj, WRITTEN_OUT", "gpt-neo, WRITTEN_OUT", "gpt2, WRITTEN_OUT",
  "gptj, RECOMPUTED", "gpt-neo, RECOMPUTED", "gpt2, RECOMPUTED",
  "llama, AUTOGRAD", "llama, WRITTEN_OUT", "llama, RECOMPUTED",
})
@Tag("slow")
class ParityTrainingTest {
  /** The fixtures of the core's own parity tests, read where they are. */
  private static final Path FIXTURES = Path.of("..", "core", "src", "test", "resources", "parity");

  private static final double TOLERANCE = 1e-4;

  enum Kind {
    AUTOGRAD(parameters -> new AutogradStep(parameters, false)),
    WRITTEN_OUT(parameters -> GradientStep.of(parameters, false)),
    RECOMPUTED(parameters -> GradientStep.of(parameters, true));

    private final Function<Parameters, GradientStep> step;

    Kind(Function<Parameters, GradientStep> step) {
      this.step = step;
    }
  }

  @TempDir Path written;

  private final Path dir;
  private final Kind kind;
  private JsonNode expected;
  private Parameters parameters;
  private GradientStep step;
  private GradientStep.Batch batch;

  ParityTrainingTest(String name, Kind kind) {
    this.dir = FIXTURES.resolve(name);
    this.kind = kind;
  }

  @BeforeEach
  void load() throws IOException {
    expected = new ObjectMapper().readTree(dir.resolve("expected.json").toFile());
    try (HfFolder folder = HfFolder.open(dir);
        Safetensors file = Safetensors.open(dir.resolve("expected.safetensors"))) {
      parameters = new Parameters(folder.spec(), Dtype.F32);
      parameters.load(folder);
      step = kind.step.apply(parameters);
      int[] ids =
          Arrays.stream(
                  file.data("input_ids").orElseThrow().toArray(ValueLayout.JAVA_LONG_UNALIGNED))
              .mapToInt(Math::toIntExact)
              .toArray();
      batch =
          GradientStep.Batch.of(
              new int[][] {Arrays.copyOf(ids, 41), Arrays.copyOfRange(ids, 41, 82)});
    }
  }

  @AfterEach
  void close() {
    step.close();
    parameters.close();
  }

  @Test
  void lossAndTheGradientNormOfEveryParameter() {
    assertThat(step.gradient(batch, 1))
        .isCloseTo(expected.get("loss").doubleValue(), within(TOLERANCE));
    // Written as weights are, they have the names and the shapes that HF's parameters have.
    new HfFolderWriter(written, parameters.spec(), Dtype.F32).write(parameters.gradients());
    JsonNode norms = expected.get("grad_norms");
    try (Safetensors file = Safetensors.open(written.resolve("model.safetensors"))) {
      assertThat(norms.size()).isEqualTo(file.names().size());
      for (String name : file.names()) {
        JsonNode norm = norms.get(name.equals("embed_out.weight") ? "lm_head.weight" : name);
        double squares = 0;
        for (float g : file.data(name).orElseThrow().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED)) {
          squares += (double) g * g;
        }
        assertThat(Math.sqrt(squares)).as(name).isCloseTo(norm.doubleValue(), within(TOLERANCE));
      }
    }
  }

  @Test
  void twelveStepsOfAdamW() {
    AdamW adam = new AdamW(parameters, 0.9, 0.95, 1e-8, 0.1);
    JsonNode steps = expected.get("adamw_lr1e-3_b0.9_0.95_eps1e-8_wd0.1on2d_clip1.0");
    assertThat(steps.size()).isEqualTo(12);
    for (int i = 0; i < steps.size(); i++) {
      double loss = step.gradient(batch, 1);
      double norm = adam.gradientNorm();
      assertThat(loss)
          .as("loss of step %d", i)
          .isCloseTo(steps.get(i).get(0).doubleValue(), within(TOLERANCE));
      assertThat(norm)
          .as("gradient norm of step %d", i)
          .isCloseTo(steps.get(i).get(1).doubleValue(), within(TOLERANCE));
      adam.step(1e-3, Math.min(1, 1 / norm));
    }
  }
}
