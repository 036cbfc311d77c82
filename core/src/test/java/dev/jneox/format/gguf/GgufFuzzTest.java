package dev.jneox.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.jneox.format.ModelFiles;
import dev.jneox.io.JneoxException;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Broken files: each is read as what it then says, or refused in one line that names it; never
 * more.
 */
class GgufFuzzTest {
  private static final Path NAME = Path.of("fuzzed.gguf");
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir Path dir;

  private int inputs;
  private int refused;

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
    try {
      GgufHeader.read(NAME, MemorySegment.ofArray(bytes));
    } catch (JneoxException e) {
      refused++;
      assertThat(e.getMessage()).startsWith("fuzzed.gguf: ").doesNotContainPattern("\\p{Cntrl}");
      assertThat(e.getMessage().length()).isLessThan(1000);
    }
    assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(1 << 20);
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

  @Test
  void randomChangesAreReadOrRefused() throws IOException {
    byte[] whole = sample();
    int header = header(whole);
    Random random = new Random(5);
    for (int i = 0; i < 10_000; i++) {
      byte[] bytes =
          Arrays.copyOf(
              whole, random.nextInt(4) == 0 ? random.nextInt(whole.length) : whole.length);
      for (int change = random.nextInt(1, 6); change > 0 && bytes.length > 0; change--) {
        bytes[random.nextInt(Math.min(header, bytes.length))] = (byte) random.nextInt(256);
      }
      read(bytes);
    }
    assertThat(refused).isGreaterThan(5_000);
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

  @Test
  void brokenModelsAreUsedOrRefused() throws IOException {
    ModelSpec spec = ModelSpec.neox(300, 32, 1, 2, 8);
    Path file = dir.resolve("model.gguf");
    new GgufExport(file, spec, GgmlType.Q8_0, GgufTokenizerTest.trained(300), Map.of())
        .write(new RandomWeights(spec, Dtype.F32, param -> 0), bytes -> {});
    byte[] whole = Files.readAllBytes(file);
    int header = header(whole);
    Random random = new Random(9);
    int used = 0;
    for (int i = 0; i < 250; i++) {
      byte[] bytes = whole.clone();
      for (int change = random.nextInt(1, 3); change > 0; change--) {
        // Mostly among the keys that make the model's shape, which come first.
        bytes[random.nextInt(random.nextBoolean() ? Math.min(900, header) : header)] ^=
            (byte) (1 << random.nextInt(8));
      }
      Path broken = dir.resolve("broken.gguf");
      Files.write(broken, bytes);
      try (Arena arena = Arena.ofShared();
          StoredModel model = ModelFiles.open(broken)) {
        model.tensors().forEach(tensor -> tensor.read(arena).floats());
        try (Tokenizer tokenizer = Tokenizer.parse(model.tokenizerJson().orElse("{}"), broken)) {
          tokenizer.encode("some text");
        }
        used++;
      } catch (JneoxException e) {
        assertThat(e.getMessage())
            .startsWith(broken.toString())
            .doesNotContainPattern("\\p{Cntrl}");
      }
    }
    assertThat(used).isBetween(25, 225);
  }
}
