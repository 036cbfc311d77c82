package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MappedMemoryTest {
  private static final int BYTES = 64 << 20;

  @TempDir Path dir;

  @Test
  void whatWasGivenBackIsNoLongerResidentAndReadsTheSameAgain() throws IOException {
    byte[] content = new byte[BYTES];
    new Random(1).nextBytes(content);
    Path file = Files.write(dir.resolve("file"), content);
    try (Arena arena = Arena.ofConfined();
        FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, BYTES, arena);
      MappedMemory.fetch(mapped);
      long sum = sum(mapped);
      long resident = resident();
      MappedMemory.release(mapped.asSlice(1001, 1000)); // less than a page: nothing to give back
      MappedMemory.release(mapped);
      if (resident > 0) {
        assertThat(resident - resident()).isGreaterThan(BYTES / 2);
      }
      assertThat(sum(mapped)).isEqualTo(sum);
      assertThat(mapped.asSlice(12_345, 1000).toArray(ValueLayout.JAVA_BYTE))
          .isEqualTo(java.util.Arrays.copyOfRange(content, 12_345, 13_345));
    }
  }

  private static long sum(MemorySegment segment) {
    long sum = 0;
    for (long at = 0; at < segment.byteSize(); at += 8) {
      sum += segment.get(ValueLayout.JAVA_LONG, at);
    }
    return sum;
  }

  /** Bytes of files in this process's memory, by Linux; 0 elsewhere. */
  private static long resident() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (!Files.exists(status)) {
      return 0;
    }
    String line =
        Files.readAllLines(status).stream()
            .filter(l -> l.startsWith("RssFile:"))
            .findFirst()
            .orElseThrow();
    return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
  }

  @Test
  void onlyAFileMappedForReadingCanBeGivenBack() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(1 << 20);
      assertThatThrownBy(() -> MappedMemory.release(memory))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> MappedMemory.release(MemorySegment.ofArray(new long[9])))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
