package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.InputException;
import dev.jneox.model.CausalLM;
import dev.jneox.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Folders of HF transformers whose weights PyTorch wrote: GPT-2 as the hub has had it since 2019 (a
 * stream; names without a prefix, the causal mask among them), and a GPT-NeoX in two shards of fp16
 * with all the buffers of its day.
 */
class TorchFolderTest {
  private static final Path FILES = Path.of("src/test/resources/torch");

  @TempDir Path dir;

  @ParameterizedTest
  @ValueSource(strings = {"gpt2-hub-2019", "neox-bin-shards"})
  void logitsAreThoseOfTransformers(String name) {
    Path folder = FILES.resolve(name);
    try (PointerScope _ = new PointerScope();
        StoredModel stored = StoredModel.open(folder);
        Safetensors expected = Safetensors.open(folder.resolve("expected.safetensors"))) {
      var tensors = stored.tensors();
      tensors.replaceAll((n, tensor) -> tensor.to(ScalarType.Float));
      try (CausalLM model = new CausalLM(stored.config(), tensors)) {
        float[] logits = Tensors.floats(model.forward(expected.tensor("input_ids")));
        assertThat(logits)
            .containsExactly(Tensors.floats(expected.tensor("logits")), within(1e-4f));
      }
    }
  }

  @Test
  void anAlignedTensorIsMappedAsItLies() {
    try (StoredModel model = StoredModel.open(FILES.resolve("neox-bin-shards"))) {
      assertThat(model.storedAs("embed_in.weight")).isEqualTo("F16");
      assertThat(model.mapped("embed_in.weight")).isPresent();
      assertThat(model.mapped("embed_in.weight").get().size()).isEqualTo(40 * 8);
    }
  }

  @Test
  void aShardThatIsCutOrMissingIsNamed() throws IOException {
    try (Stream<Path> files = Files.list(FILES.resolve("neox-bin-shards"))) {
      for (Path file : files.toList()) {
        Files.copy(file, dir.resolve(file.getFileName()));
      }
    }
    Path shard = dir.resolve("pytorch_model-00002-of-00002.bin");
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, java.util.Arrays.copyOf(bytes, bytes.length / 2));
    assertThatThrownBy(() -> StoredModel.open(dir))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(shard + ": byte ")
        .hasMessageContaining("the file is cut short");
    Files.delete(shard);
    assertThatThrownBy(() -> StoredModel.open(dir))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(shard.toString());
  }
}
