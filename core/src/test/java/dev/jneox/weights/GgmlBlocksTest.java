package dev.jneox.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Percentage.withPercentage;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * {@code ggml-blocks.bin} holds what ggml's own functions (quantize_row_*_ref, dequantize_row_*)
 * make of 24 blocks of 32 values with ties, zeros of both signs, equal magnitudes and subnormal
 * scales, and of 4 random blocks of each K type: the values, then for each type the blocks and what
 * they read as.
 */
class GgmlBlocksTest {
  private static final int BLOCKS = 24;
  private static final int K_BLOCKS = 4;

  private final MemorySegment all =
      MemorySegment.ofArray(Files.readAllBytes(Path.of("src/test/resources/gguf/ggml-blocks.bin")));
  private long at;

  GgmlBlocksTest() throws IOException {}

  private MemorySegment next(long bytes) {
    MemorySegment part = all.asSlice(at, bytes);
    at += bytes;
    return part;
  }

  private static MemorySegment bytes(long count) {
    return MemorySegment.ofArray(new byte[(int) count]);
  }

  @Test
  void blocksAreWrittenAndReadAsGgmlDoesBitByBit() {
    MemorySegment values = next(BLOCKS * 32L * Float.BYTES);
    for (GgmlType type : new GgmlType[] {GgmlType.Q4_0, GgmlType.Q8_0}) {
      MemorySegment blocks = next(BLOCKS * (long) type.blockBytes());
      MemorySegment written = bytes(blocks.byteSize());
      GgmlBlocks.quantise(type, values, written);
      assertThat(written.mismatch(blocks)).as("%s as ggml writes it", type).isEqualTo(-1);
      readsAs(type, blocks, next(values.byteSize()));
    }
    for (GgmlType type : new GgmlType[] {GgmlType.Q4_K, GgmlType.Q5_K, GgmlType.Q6_K}) {
      MemorySegment blocks = next(K_BLOCKS * (long) type.blockBytes());
      readsAs(type, blocks, next(K_BLOCKS * 256L * Float.BYTES));
    }
    assertThat(at).isEqualTo(all.byteSize());
  }

  /** {@code ggml-more-blocks.bin} is what {@code build/fixtures/ggml_blocks.py} writes. */
  @ParameterizedTest
  @CsvSource({"Q4_1, 0", "Q5_0, 1", "Q5_1, 2", "IQ4_NL, 3", "Q2_K, 4", "Q3_K, 5"})
  void otherTypesAreReadAsGgmlDoesBitByBit(GgmlType wanted, int place) throws IOException {
    MemorySegment more =
        MemorySegment.ofArray(
            Files.readAllBytes(Path.of("src/test/resources/gguf/ggml-more-blocks.bin")));
    long from = 0;
    for (GgmlType type :
        List.of(
            GgmlType.Q4_1,
            GgmlType.Q5_0,
            GgmlType.Q5_1,
            GgmlType.IQ4_NL,
            GgmlType.Q2_K,
            GgmlType.Q3_K)) {
      long stored = 8L * type.blockBytes();
      long read = 8L * type.blockValues() * Float.BYTES;
      if (type == wanted) {
        readsAs(type, more.asSlice(from, stored), more.asSlice(from + stored, read));
        return;
      }
      from += stored + read;
    }
  }

  private static void readsAs(GgmlType type, MemorySegment blocks, MemorySegment expected) {
    MemorySegment read = bytes(expected.byteSize());
    GgmlBlocks.dequantise(type, blocks, read);
    assertThat(read.mismatch(expected)).as("%s as ggml reads it", type).isEqualTo(-1);
  }

  @Property(tries = 200)
  void quantisedValuesAreWithinHalfAStep(
      @ForAll @Size(64) List<@FloatRange(min = -100, max = 100) Float> values) {
    for (int block = 0; block < values.size(); block += 32) {
      float[] one = new float[32];
      float largest = 0;
      for (int i = 0; i < one.length; i++) {
        one[i] = values.get(block + i);
        largest = Math.max(largest, Math.abs(one[i]));
      }
      // Half a step, and what fp16 rounds the scale by over as many steps as there are; -8 steps
      // reach further than +7.
      assertThat(worst(GgmlType.Q8_0, one))
          .isLessThanOrEqualTo(largest / 127 * 0.5 + largest / 1024 + 1e-5);
      assertThat(worst(GgmlType.Q4_0, one))
          .isLessThanOrEqualTo(largest / 8 + largest / 1024 + 1e-5);
    }
  }

  private static double worst(GgmlType type, float[] values) {
    MemorySegment blocks = bytes(type.bytes(values.length));
    GgmlBlocks.quantise(type, MemorySegment.ofArray(values), blocks);
    float[] back = new float[values.length];
    GgmlBlocks.dequantise(type, blocks, MemorySegment.ofArray(back));
    double worst = 0;
    for (int i = 0; i < values.length; i++) {
      worst = Math.max(worst, Math.abs(values[i] - back[i]));
    }
    return worst;
  }

  @Test
  void manyBlocksAreSharedAmongThreadsAndStayInOrder() {
    float[] values = new float[32 * 10_000];
    for (int i = 0; i < values.length; i++) {
      values[i] = i / 32;
    }
    MemorySegment blocks = bytes(GgmlType.Q8_0.bytes(values.length));
    GgmlBlocks.quantise(GgmlType.Q8_0, MemorySegment.ofArray(values), blocks);
    MemorySegment read = bytes(values.length * 4L);
    GgmlBlocks.dequantise(GgmlType.Q8_0, blocks, read);
    for (int i = 0; i < values.length; i += 997) {
      assertThat(read.get(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4L))
          .isCloseTo(values[i], withPercentage(0.1));
    }
  }
}
