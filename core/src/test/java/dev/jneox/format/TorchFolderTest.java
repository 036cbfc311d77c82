package dev.jneox.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Folders of HF transformers whose weights PyTorch wrote: GPT-2 as the hub has had it since 2019 (a
 * stream; names without a prefix, the causal mask among them), and a GPT-NeoX in two shards of fp16
 * with all the buffers of its day.
 */
class TorchFolderTest {
  private static final Path FILES = Path.of("src/test/resources/torch");

  @TempDir Path dir;

  @Test
  void anAlignedTensorIsMappedAsItLies() {
    try (StoredModel model = ModelFiles.open(FILES.resolve("neox-bin-shards"))) {
      StoredTensor embedding = model.holder(ParamId.weight(Part.EMBEDDING));
      assertThat(embedding.type()).isEqualTo("F16");
      assertThat(embedding.inPlace()).isPresent();
      assertThat(embedding.inPlace().get().size()).isEqualTo(40 * 8);
      assertThat(embedding.inPlace().get().data().isMapped()).isTrue();
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
    assertThatThrownBy(() -> ModelFiles.open(dir))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(shard + ": byte ")
        .hasMessageContaining("the file is cut short");
    Files.delete(shard);
    assertThatThrownBy(() -> ModelFiles.open(dir))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining(shard.toString());
  }
}
