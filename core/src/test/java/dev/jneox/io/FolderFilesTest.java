package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FolderFilesTest {
  @TempDir private Path folder;

  private Path file(String name) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, name);
  }

  @Test
  void filesAreListedByNameWithoutHiddenOnes() throws IOException {
    Path weights = file("model.safetensors");
    Path layer = file("global_step1/layers/layer_00.pt");
    Path config = file("config.json");
    file(".cache/huggingface/record");
    file(".hidden");
    assertThat(FolderFiles.of(folder)).containsExactly(config, layer, weights);
    assertThat(FolderFiles.of(weights)).containsExactly(weights);
  }

  @Test
  void linksToFoldersAreFollowed() throws IOException {
    file("real/deep/b.txt");
    Path links = Files.createDirectory(folder.resolve("links"));
    Path link = Files.createSymbolicLink(links.resolve("link"), folder.resolve("real"));
    Path file = link.resolve("deep/b.txt");
    assertThat(FolderFiles.of(links)).containsExactly(file);
    assertThat(FolderFiles.deep(links)).containsExactly(file);
    assertThat(FolderFiles.deep(link)).containsExactly(file);
  }

  @Test
  void aFolderThatLinksToItselfIsRefusedByName() throws IOException {
    Files.createSymbolicLink(folder.resolve("loop"), folder);
    assertThatThrownBy(() -> FolderFiles.deep(folder))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining("links to one that it is in: " + folder.resolve("loop"));
  }
}
