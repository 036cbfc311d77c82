package dev.jneox.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.jneox.io.JneoxException;
import dev.jneox.io.JsonObject;
import dev.jneox.weights.GgmlType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Headers with every cut and every flipped bit: each is read as what it then says, or refused in
 * one line that names it. {@code CoreFuzzTest} has random changes.
 */
class BrokenGgufTest {
  private static final Path NAME = Path.of("fuzzed.gguf");
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir Path dir;

  private int inputs;
  private int refused;

  @BeforeAll
  static void loadLibraries() {
    // So that these are not counted as the memory of the first input.
    JsonObject.quoted("");
  }

  private byte[] sample() throws IOException {
    Path file = dir.resolve("sample.gguf");
    GgufFileTest.write(
        file,
        GgufFileTest.everyType(),
        GgufFileTest.tensor("token_embd.weight", GgmlType.Q4_0, 3, 64),
        GgufFileTest.tensor("blk.0.attn_norm.weight", GgmlType.F32, 64),
        GgufFileTest.tensor("x", GgmlType.Q6_K, 1, 256));
    return Files.readAllBytes(file);
  }

  private void read(byte[] bytes) {
    inputs++;
    long before = THREADS.getCurrentThreadAllocatedBytes();
    JneoxException error = null;
    try {
      GgufHeader.read(NAME, MemorySegment.ofArray(bytes));
    } catch (JneoxException e) {
      error = e;
    }
    assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(1 << 20);
    if (error != null) {
      refused++;
      assertThat(error.getMessage())
          .startsWith("fuzzed.gguf: ")
          .doesNotContainPattern("\\p{Cntrl}");
      assertThat(error.getMessage().length()).isLessThan(1000);
    }
  }

  @Test
  void everyCutIsRefused() throws IOException {
    byte[] whole = sample();
    for (int length = 0; length < whole.length; length++) {
      // The last bytes are padding after the last tensor.
      read(Arrays.copyOf(whole, length));
    }
    int padding = inputs - refused;
    assertThat(padding).isLessThan(32);
    assertThat(inputs).isGreaterThan(1000);
  }

  @Test
  void everyBitFlipAndEveryAbsurdNumberIsReadOrRefused() throws IOException {
    byte[] whole = sample();
    int header = header(whole);
    for (int bit = 0; bit < header * 8; bit++) {
      byte[] bytes = whole.clone();
      bytes[bit / 8] ^= (byte) (1 << bit % 8);
      read(bytes);
    }
    long[] absurd = {0, -1, Long.MIN_VALUE, 1L << 62, 1L << 31, whole.length};
    for (int at = 0; at + Long.BYTES <= header; at++) {
      for (long number : absurd) {
        byte[] bytes = whole.clone();
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(at, number);
        read(bytes);
        bytes = whole.clone();
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(at, (int) number);
        read(bytes);
      }
    }
    assertThat(inputs).isGreaterThan(10_000);
    assertThat(refused).isGreaterThan(inputs / 4);
  }

  /** Where the data begins. */
  private static int header(byte[] whole) {
    return (int)
        GgufHeader.read(NAME, MemorySegment.ofArray(whole))
            .entries()
            .values()
            .iterator()
            .next()
            .begin();
  }
}
