package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class Sha256Test {
  /** FIPS 180-2, appendix B.1. */
  private static final String OF_ABC =
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

  @TempDir private Path folder;

  @Test
  void filesAndMemoryHaveTheHashOfTheStandard() throws IOException {
    Path file = Files.writeString(folder.resolve("a"), "abc");
    Progress progress = Progress.silent();
    assertThat(Sha256.of(file, progress)).isEqualTo(OF_ABC);
    assertThat(progress.done()).isEqualTo(3);
    byte[] bytes = "abc".getBytes(StandardCharsets.US_ASCII);
    assertThat(Sha256.of(MemorySegment.ofArray(bytes), progress)).isEqualTo(OF_ABC);
  }

  /** What {@code git hash-object} says of a file with the line "hello". */
  @Test
  void aBlobHasGitsName() throws IOException {
    Path file = Files.writeString(folder.resolve("a"), "hello\n");
    assertThat(Sha256.gitBlob(file, Progress.silent()))
        .isEqualTo("ce013625030ba8dba906f756967f9e9ca394464a");
  }

  @Test
  void aFileThatIsNotThereIsNamed() {
    Path none = folder.resolve("none");
    assertThatThrownBy(() -> Sha256.of(none, Progress.silent()))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining(none.toString());
  }
}
