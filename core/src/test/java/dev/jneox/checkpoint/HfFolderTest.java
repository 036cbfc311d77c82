package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.tensor.Tensors;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HfFolderTest {
  static Path parity(String name) {
    return Path.of("src/test/resources/parity", name);
  }

  @Test
  void configurationOfTheParityFixturesIsUnderstood() {
    ModelConfig parallel = HfFolder.config(parity("neox-parallel"));
    assertThat(parallel)
        .isEqualTo(
            new ModelConfig(
                512, 512, 64, 3, 4, 256, 128, new Position.Rotary(4, 10000, false), Residual.PARALLEL, Activation.GELU, 1e-5,
                ModelConfig.everywhere(3), true, true, true, false, false, 0));
    assertThat(HfFolder.config(parity("neox-20b-like")).activation()).isEqualTo(Activation.GELU_TANH);
    ModelConfig serial = HfFolder.config(parity("neox-serial-tied"));
    assertThat(serial.residual()).isEqualTo(Residual.SERIAL);
    assertThat(serial.tiedHead()).isTrue();
    assertThat(serial.position()).isEqualTo(new Position.Rotary(16, 10000, false));
  }

  @ParameterizedTest
  @ValueSource(strings = {"neox-parallel", "neox-20b-like", "neox-serial-tied"})
  void everyTensorIsAViewOfTheMappedFile(String name) {
    try (HfFolder folder = HfFolder.open(parity(name))) {
      Safetensors file = folder.files().iterator().next();
      assertThat(folder.tensors().keySet())
          .containsExactlyElementsOf(folder.config().tensors().stream().map(ModelConfig.TensorSpec::name).toList());
      for (ModelConfig.TensorSpec spec : folder.config().tensors()) {
        String hf = spec.name().startsWith("embed_out") ? spec.name() : "gpt_neox." + spec.name();
        try (Tensor tensor = folder.tensor(spec.name())) {
          assertThat(Tensors.shape(tensor)).isEqualTo(spec.shape());
          assertThat(Tensors.segment(tensor).address()).isEqualTo(file.data(hf).address());
          assertThat(Tensors.floats(tensor)).isEqualTo(file.data(hf).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED));
        }
      }
    }
  }
}
