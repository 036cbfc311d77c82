package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig.TensorSpec;
import dev.jneox.tensor.Tensors;
import java.nio.file.Path;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A checkpoint of two ranks in fp16, and what GPT-NeoX's own converter made of it. */
class NeoxCheckpointTest {
  private static final Path DIR = Path.of("src/test/resources/parity/neox-native-tp2");

  private PointerScope scope;

  @BeforeEach
  void openScope() {
    scope = new PointerScope();
  }

  @AfterEach
  void closeScope() {
    scope.close();
  }

  private static String hfName(String canonical) {
    return "hf." + (canonical.startsWith("embed_out") ? "" : "gpt_neox.") + canonical;
  }

  @Test
  void mergedTensorsAreThoseOfTheConverter() {
    try (StoredModel model = StoredModel.open(DIR);
        Safetensors expected = Safetensors.open(DIR.resolve("expected.safetensors"))) {
      assertThat(model).isInstanceOf(NeoxCheckpoint.class);
      assertThat(model.config().tensors()).hasSize(40);
      for (TensorSpec spec : model.config().tensors()) {
        Tensor tensor = model.tensor(spec.name());
        assertThat(model.storedAs(spec.name())).isEqualTo("F16");
        assertThat(Tensors.shape(tensor)).as(spec.name()).containsExactly(spec.shape());
        assertThat(Tensors.floats(tensor)).as(spec.name()).containsExactly(Tensors.floats(expected.tensor(hfName(spec.name()))));
      }
    }
  }

  @Test
  void logitsAreThoseOfTheConvertedModel() {
    try (StoredModel stored = StoredModel.open(DIR.resolve("global_step10"));
        Safetensors expected = Safetensors.open(DIR.resolve("expected.safetensors"))) {
      var tensors = stored.tensors();
      tensors.replaceAll((name, tensor) -> tensor.to(ScalarType.Float));
      try (CausalLM model = new CausalLM(stored.config(), tensors)) {
        float[] logits = Tensors.floats(model.forward(expected.tensor("input_ids")));
        assertThat(logits).containsExactly(Tensors.floats(expected.tensor("logits")), within(1e-4f));
      }
    }
  }
}
