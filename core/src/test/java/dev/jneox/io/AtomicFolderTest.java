package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFolderTest {
  @TempDir Path dir;
  private Path target;

  @BeforeEach
  void name() {
    target = dir.resolve("deep").resolve("model");
  }

  private void write(String text) throws IOException {
    try (AtomicFolder folder = new AtomicFolder(target)) {
      Files.createDirectories(folder.path().resolve("inner"));
      Files.writeString(folder.path().resolve("inner").resolve("a"), text);
      folder.commit();
    }
  }

  @Test
  void itAppearsWithTheCommitAndNothingElseDoes() throws IOException {
    try (AtomicFolder folder = new AtomicFolder(target)) {
      Files.writeString(folder.path().resolve("a"), "1");
      assertThat(target).doesNotExist();
      folder.commit();
    }
    assertThat(target.resolve("a")).hasContent("1");
    assertThat(target.getParent()).isDirectoryNotContaining(path -> !path.equals(target));
  }

  @Test
  void theOldOneIsReplacedWhole() throws IOException {
    Files.createDirectories(target);
    Files.writeString(target.resolve("old"), "old");
    write("new");
    assertThat(target.resolve("old")).doesNotExist();
    assertThat(target.resolve("inner/a")).hasContent("new");
    assertThat(target.getParent()).isDirectoryNotContaining(path -> !path.equals(target));
  }

  @Test
  void withoutACommitTheOldOneStaysAndTheNewOneGoes() throws IOException {
    write("old");
    assertThatThrownBy(
            () -> {
              try (AtomicFolder folder = new AtomicFolder(target)) {
                Files.writeString(folder.path().resolve("half"), "1");
                throw new IllegalStateException("the disk is full");
              }
            })
        .hasMessage("the disk is full");
    assertThat(target.resolve("inner/a")).hasContent("old");
    assertThat(target.getParent()).isDirectoryNotContaining(path -> !path.equals(target));
  }

  @Test
  void whatAKilledAttemptLeftIsCleared() throws IOException {
    write("old");
    Path partial = target.resolveSibling("model.4711-0123abcd.partial");
    Files.createDirectories(partial);
    Files.writeString(partial.resolve("half"), "1");
    write("new");
    assertThat(target.resolve("half")).doesNotExist();
    assertThat(target.resolve("inner/a")).hasContent("new");
    assertThat(partial).doesNotExist();
  }

  @Test
  void aSecondWriterIsRefused() throws IOException {
    try (AtomicFolder first = new AtomicFolder(target)) {
      Files.writeString(first.path().resolve("a"), "first");
      CompletableFuture.runAsync(
              () ->
                  assertThatThrownBy(() -> new AtomicFolder(target))
                      .isInstanceOf(StorageException.class)
                      .hasMessageContaining("model: is being written by this process"))
          .join();
      first.commit();
    }
    assertThat(target.resolve("a")).hasContent("first");
  }

  @Test
  void aKillBetweenTheTwoMovesLosesNothing() throws IOException {
    write("old");
    Files.move(target, target.resolveSibling("model.replaced"));
    try (AtomicFolder _ = new AtomicFolder(target)) {
      assertThat(target.resolve("inner/a")).hasContent("old");
    }
    assertThat(target.resolve("inner/a")).hasContent("old");
  }

  @Test
  void aFolderThatCannotBeMadeIsNamed() throws IOException {
    Files.writeString(dir.resolve("deep"), "a file");
    assertThatThrownBy(() -> new AtomicFolder(target))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining("cannot be written");
    assertThatThrownBy(() -> new AtomicFolder(Path.of("/"))).isInstanceOf(InputException.class);
  }
}
