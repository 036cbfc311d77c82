package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFileTest {
  @TempDir private Path dir;

  @Test
  void theFileAppearsWithTheCommitAndNothingElseDoes() throws IOException {
    Path target = dir.resolve("deep/data.bin");
    try (AtomicFile file = new AtomicFile(target)) {
      Files.writeString(file.path(), "whole");
      assertThat(target).doesNotExist();
      file.commit();
    }
    assertThat(target).hasContent("whole");
    assertThat(target.getParent()).isDirectoryNotContaining(path -> !path.equals(target));
  }

  @Test
  void withoutACommitTheOldOneStays() throws IOException {
    Path target = Files.writeString(dir.resolve("data.bin"), "old");
    try (AtomicFile file = new AtomicFile(target)) {
      Files.writeString(file.path(), "half");
    }
    assertThat(target).hasContent("old");
    assertThat(dir).isDirectoryNotContaining(path -> !path.equals(target));
  }

  /**
   * The first writer's unfinished bytes never get the final name from the second, nor are they
   * deleted by it.
   */
  @Test
  void aSecondWriterIsRefusedAndLeavesTheFirstAlone() throws IOException {
    Path target = dir.resolve("data.bin");
    try (AtomicFile first = new AtomicFile(target)) {
      Files.writeString(first.path(), "first");
      CompletableFuture.runAsync(
              () ->
                  assertThatThrownBy(() -> new AtomicFile(target))
                      .isInstanceOf(StorageException.class)
                      .hasMessageContaining("data.bin: is being written by this process"))
          .join();
      assertThat(first.path()).hasContent("first");
      first.commit();
    }
    assertThat(target).hasContent("first");
  }

  @Test
  void whatKilledWritersLeftIsRemovedAndTheirNeighboursStay() throws IOException {
    Path target = dir.resolve("data.bin");
    for (String left : List.of("data.bin.partial", "data.bin.123-00ab34ef.partial")) {
      Files.writeString(dir.resolve(left), "half");
    }
    for (String other :
        List.of("data.bin.x.partial", "data.bin2.partial", "data.idx.123-00ab34ef.partial")) {
      Files.writeString(dir.resolve(other), "of another");
    }
    try (AtomicFile file = new AtomicFile(target)) {
      Files.writeString(file.path(), "whole");
      file.commit();
    }
    try (var files = Files.list(dir)) {
      assertThat(files.map(path -> path.getFileName().toString()))
          .containsExactlyInAnyOrder(
              "data.bin",
              "data.bin.x.partial",
              "data.bin2.partial",
              "data.idx.123-00ab34ef.partial");
    }
  }

  @Test
  void smallFilesWrittenAtOnceAreAlwaysWhole() throws Exception {
    Path target = dir.resolve("latest");
    List<Future<?>> all = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
      for (int t = 0; t < 4; t++) {
        byte[] text = String.valueOf(t).repeat(1000 * (t + 1)).getBytes();
        all.add(
            pool.submit(
                () -> {
                  for (int i = 0; i < 50; i++) {
                    AtomicFile.write(target, text);
                  }
                }));
      }
      for (Future<?> each : all) {
        each.get();
      }
    }
    String found = Files.readString(target);
    assertThat(found).isEqualTo(found.substring(0, 1).repeat(1000 * (found.charAt(0) - '0' + 1)));
    assertThat(dir).isDirectoryNotContaining(path -> !path.equals(target));
  }

  @Test
  void aNameOfTheGreatestLengthIsWritten() throws IOException {
    Path target = dir.resolve("n".repeat(255));
    AtomicFile.write(target, new byte[] {1});
    assertThat(target).hasBinaryContent(new byte[] {1});
  }

  @Test
  void aFolderThatIsNoneIsNamed() throws IOException {
    Path file = Files.writeString(dir.resolve("file"), "");
    assertThatThrownBy(() -> new AtomicFile(file.resolve("inside")))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining("inside: cannot be written");
    assertThatThrownBy(() -> AtomicFile.write(file.resolve("inside"), new byte[0]))
        .isInstanceOfSatisfying(
            StorageException.class,
            e -> {
              assertThat(e.path()).contains(file.resolve("inside"));
              assertThat(e.what()).isEqualTo("cannot be written");
              assertThat(e)
                  .hasMessage(file.resolve("inside") + ": cannot be written: " + e.reason());
              assertThat(e).hasCauseInstanceOf(IOException.class);
            });
    assertThatThrownBy(() -> AtomicFile.write(Path.of("/"), new byte[0]))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("/: expected the name of a file");
  }
}
