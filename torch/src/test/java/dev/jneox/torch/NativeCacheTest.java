package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.torch.NativeCache.Unused;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeCacheTest {
  @TempDir private Path dir;

  private Path library(String folder, String bytes) throws IOException {
    Path path = Files.createDirectories(dir.resolve(folder));
    Files.writeString(path.resolve("libtorch.so"), bytes);
    return path;
  }

  @Test
  void onlyFoldersOfTheSamePlatformThatAreNotLoadedAreUnused() throws IOException {
    Path loaded = library("natives/linux-x86_64-pytorch-2.10.0-abc", "12345");
    Path old = library("natives/linux-x86_64-pytorch-2.9.0-def", "123");
    library("natives/linux-arm64-pytorch-2.9.0-def", "1");
    Path javaCpp = dir.resolve("javacpp");
    assertThat(NativeCache.unused(loaded, javaCpp)).containsExactly(new Unused(old, 3));
    library("javacpp", "12");
    assertThat(NativeCache.unused(loaded, javaCpp))
        .containsExactly(new Unused(old, 3), new Unused(javaCpp, 2));
  }
}
