package dev.jneox.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PublicationTest {
  @TempDir private Path dir;

  private Path model() throws IOException {
    Path model = Files.createDirectory(dir.resolve("model"));
    Files.writeString(model.resolve("config.json"), "{}");
    Files.writeString(model.resolve("model.safetensors"), "weights");
    Files.writeString(model.resolve("optimizer.pt"), "state");
    Files.writeString(model.resolve("LICENSE"), "free");
    return model;
  }

  @Test
  void aFolderHasTheModelACardAndTheHashesOfAll() throws IOException {
    Path out = dir.resolve("out");
    Publication done = Publication.prepare(model(), out, "card", true, Progress.Display.SILENT);
    assertThat(done.files())
        .containsExactly(
            ".gitattributes",
            "LICENSE",
            "README.md",
            "SHA256SUMS",
            "config.json",
            "model.safetensors");
    assertThat(done.leftOut()).containsExactly("optimizer.pt");
    assertThat(done.surplus()).isEmpty();
    assertThat(done.keptCard()).isFalse();
    assertThat(out.resolve("README.md")).hasContent("card");
    assertThat(KnownHashes.of(out))
        .hasSize(5)
        .allSatisfy(
            (file, known) -> {
              assertThat(known.source()).isEqualTo("SHA256SUMS");
              assertThat(known.hash()).isEqualTo(Sha256.of(file, Progress.silent()));
            });
    assertThat(KnownHashes.of(out.resolve("config.json"))).hasSize(1);
  }

  @Test
  void theModelsOwnCardIsPublishedOrReplaced() throws IOException {
    Path model = model();
    Files.writeString(model.resolve("README.md"), "its own");
    Path kept = dir.resolve("kept");
    assertThat(Publication.prepare(model, kept, "new", true, Progress.Display.SILENT).keptCard())
        .isTrue();
    assertThat(kept.resolve("README.md")).hasContent("its own");
    Path written = dir.resolve("written");
    assertThat(
            Publication.prepare(model, written, "new", false, Progress.Display.SILENT).keptCard())
        .isFalse();
    assertThat(written.resolve("README.md")).hasContent("new");
  }

  @Test
  void aFolderWithoutWeightsIsRefused() throws IOException {
    Path model = model();
    Files.delete(model.resolve("model.safetensors"));
    Path out = dir.resolve("out");
    assertThatThrownBy(() -> Publication.prepare(model, out, "card", true, Progress.Display.SILENT))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected a folder of HF transformers or a GGUF file");
    assertThat(out).doesNotExist();
  }
}
