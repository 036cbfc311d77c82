package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class InputFileTest {
  @TempDir Path dir;

  private Path fifo() throws Exception {
    Path fifo = dir.resolve("fifo");
    assertThat(new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor()).isZero();
    return fifo;
  }

  private Path sparse(long size) throws IOException {
    Path file = dir.resolve("sparse");
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      out.setLength(size);
    }
    return file;
  }

  @Test
  void aFileOfTheSizeAllowedIsReadAndALargerOneRefused() throws IOException {
    Path file = Files.writeString(dir.resolve("a"), "äbc");
    assertThat(InputFile.text(file, 4)).isEqualTo("äbc");
    assertThatThrownBy(() -> InputFile.text(file, 3))
        .isInstanceOf(InputException.class)
        .hasMessage(file + ": size: expected at most 3 bytes, found 4 bytes");
    assertThatThrownBy(() -> InputFile.stream(file, 3)).hasMessageContaining("at most 3 bytes");
    Path sparse = sparse(3L << 30);
    assertThatThrownBy(() -> InputFile.text(sparse, InputFile.MAX_TOKENIZER))
        .hasMessageContaining("found 3221225472 bytes");
  }

  @Test
  void whatIsNoTextOrNotThereIsToldApart() throws IOException {
    Path file = Files.write(dir.resolve("a"), new byte[] {(byte) 0xFF});
    assertThatThrownBy(() -> InputFile.text(file, 9)).isInstanceOf(CharacterCodingException.class);
    assertThatThrownBy(() -> InputFile.text(dir.resolve("b"), 9))
        .isInstanceOf(NoSuchFileException.class);
  }

  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aFifoThatNobodyWritesToIsRefusedAtOnce() throws Exception {
    Path fifo = fifo();
    assertThatThrownBy(() -> InputFile.bytes(fifo, 9))
        .isInstanceOf(InputException.class)
        .hasMessage(fifo + ": kind: expected a regular file, found a FIFO, socket or device");
    assertThatThrownBy(() -> MappedFile.open(fifo, Arena.ofAuto()))
        .isInstanceOf(InputException.class);
  }

  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aFifoThatTheUserNamedIsReadToItsEnd() throws Exception {
    Path fifo = fifo();
    Process writer = new ProcessBuilder("sh", "-c", "printf abc >'" + fifo + "'").start();
    assertThat(InputFile.stream(fifo, 9)).isEqualTo("abc");
    assertThat(writer.waitFor(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void aTextThatIsNoPathIsNamedWithItsPlace() {
    assertThat(InputFile.path(dir, "a", "b")).isEqualTo(Path.of("b"));
    assertThatThrownBy(() -> InputFile.path(Path.of("f.yml"), "save", "x\0y"))
        .isInstanceOf(InputException.class)
        .hasMessage("f.yml: save: expected a path, found \"x\\u0000y\"");
  }

  @Test
  void aMappedFileThatIsChangedInPlaceIsNoticed() throws IOException {
    Path file = Files.write(dir.resolve("a"), new byte[20_000]);
    try (Arena arena = Arena.ofShared()) {
      MappedFile mapped = MappedFile.open(file, arena);
      mapped.check();
      try (RandomAccessFile cut = new RandomAccessFile(file.toFile(), "rw")) {
        cut.setLength(10);
      }
      assertThatThrownBy(mapped::check)
          .isInstanceOf(StorageException.class)
          .hasMessageStartingWith(file + ": was changed while it was in use: expected 20000 bytes")
          .hasMessageContaining("found 10 of ");
    }
    try (Arena arena = Arena.ofShared()) {
      MappedFile mapped = MappedFile.open(file, arena);
      Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000));
      assertThatThrownBy(mapped::check).hasMessageContaining("was changed while it was in use");
    }
  }

  @Test
  void aMappedFileThatIsReplacedOrDeletedStaysAsItWas() throws IOException {
    Path file = Files.writeString(dir.resolve("a"), "old");
    try (Arena arena = Arena.ofShared()) {
      MappedFile mapped = MappedFile.open(file, arena);
      Path other = Files.writeString(dir.resolve("b"), "other");
      Files.move(other, file, StandardCopyOption.ATOMIC_MOVE);
      mapped.check();
      Files.delete(file);
      mapped.check();
      assertThat(mapped.memory().get(java.lang.foreign.ValueLayout.JAVA_BYTE, 0))
          .isEqualTo((byte) 'o');
    }
  }
}
