package dev.jneox.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.hf.HfFolderTest;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.format.safetensors.Safetensors;
import dev.jneox.model.ParamId;
import dev.jneox.model.PlainForward;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.StoredModel;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Computes logits from the files of other tools by {@link PlainForward}, which knows no format:
 * they are theirs when every value was read to its place.
 */
class ParityFolderTest {
  private static final Path RESOURCES = Path.of("src/test/resources");

  @TempDir Path dir;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "parity/neox-parallel",
        "parity/neox-20b-like",
        "parity/neox-serial-tied",
        "parity/gptj",
        "parity/gpt-neo",
        "parity/gpt2",
        "parity/llama",
        "parity/llama-tied",
        "parity/neox-native-tp2",
        "torch/gpt2-hub-2019",
        "torch/neox-bin-shards"
      })
  void logitsAreThoseOfTheToolThatWroteTheFiles(String name) {
    Path folder = RESOURCES.resolve(name);
    try (StoredModel model = ModelFiles.open(folder)) {
      assertLogits(model, folder);
    }
  }

  private static void assertLogits(ModelWeights model, Path folder) {
    try (Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"))) {
      int seq = (int) expected.shape("input_ids")[1];
      int vocabulary = model.spec().vocabulary().rows();
      int[] ids =
          Arrays.stream(
                  expected.data("input_ids").orElseThrow().toArray(ValueLayout.JAVA_LONG_UNALIGNED))
              .mapToInt(Math::toIntExact)
              .toArray();
      float[] theirs =
          new MappedTensor(expected.dtype("logits"), expected.data("logits").orElseThrow())
              .floats();
      assertThat(theirs).hasSize(ids.length * vocabulary);
      Map<ParamId, float[]> values = new HashMap<>();
      model.spec().parameters().forEach(p -> values.put(p.id(), model.floats(p.id())));
      PlainForward forward = new PlainForward(model.spec(), values);
      for (int row = 0; row < ids.length / seq; row++) {
        double[][] logits = forward.logits(Arrays.copyOfRange(ids, row * seq, (row + 1) * seq));
        for (int s = 0; s < seq; s++) {
          for (int v = 0; v < vocabulary; v++) {
            assertThat(logits[s][v])
                .as("row %d, position %d, id %d", row, s, v)
                .isCloseTo(theirs[(row * seq + s) * vocabulary + v], within(1e-4));
          }
        }
      }
    }
  }

  /** What {@link HfFolderWriter} makes of Llama is the same model again. */
  @ParameterizedTest
  @ValueSource(strings = {"llama", "llama-tied"})
  void llamaWrittenAgainHasTheSameLogits(String name) {
    Path folder = HfFolderTest.parity(name);
    try (StoredModel model = ModelFiles.open(folder)) {
      assertThat(HfFolder.modelType(model.spec())).isEqualTo("llama");
      new HfFolderWriter(dir.resolve("copy"), model.spec(), Dtype.F32).write(model);
      try (StoredModel copy = ModelFiles.open(dir.resolve("copy"))) {
        assertThat(copy.spec()).isEqualTo(model.spec());
        assertLogits(copy, folder);
      }
    }
  }
}
