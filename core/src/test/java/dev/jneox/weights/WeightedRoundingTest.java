package dev.jneox.weights;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WeightedRoundingTest {
  private static final GgmlType Q4 = GgmlType.Q4_0;

  private static float[] weighted(float[] row, float[] importance) {
    MemorySegment blocks = MemorySegment.ofArray(new byte[(int) Q4.rowBytes(row.length)]);
    new WeightedRounding(importance).row(row, blocks);
    float[] rounded = new float[row.length];
    GgmlBlocks.read(Q4, blocks, row.length, rounded, 0);
    return rounded;
  }

  private static float[] plain(float[] row) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment padded = arena.allocate(Math.ceilDiv(row.length, 32) * 128L);
      MemorySegment.copy(row, 0, padded, ValueLayout.JAVA_FLOAT, 0, row.length);
      MemorySegment blocks = arena.allocate(Q4.rowBytes(row.length));
      GgmlBlocks.quantise(Q4, padded, blocks);
      float[] rounded = new float[row.length];
      GgmlBlocks.read(Q4, blocks, row.length, rounded, 0);
      return rounded;
    }
  }

  private static double error(float[] row, float[] rounded, float[] importance) {
    double error = 0;
    for (int i = 0; i < row.length; i++) {
      error += importance[i] * Math.pow(row[i] - rounded[i], 2);
    }
    return error;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 31, 32, 33, 256, 1000})
  void theErrorThatCountsIsSmallerThanWithoutTheImportance(int columns) {
    Random random = new Random(columns);
    double weighted = 0;
    double plain = 0;
    for (int n = 0; n < 50; n++) {
      float[] row = new float[columns];
      float[] importance = new float[columns];
      for (int i = 0; i < columns; i++) {
        row[i] = (float) (0.02 * random.nextGaussian());
        importance[i] = (float) Math.exp(3 * random.nextGaussian());
      }
      weighted += error(row, weighted(row, importance), importance);
      plain += error(row, plain(row), importance);
    }
    assertThat(weighted).isLessThan(columns < 31 ? 1e-9 + plain : 0.75 * plain);
  }

  @Test
  void valuesThatFitKeepTheirBits() {
    Random random = new Random(1);
    float[] row = new float[64];
    float[] importance = new float[64];
    for (int i = 0; i < row.length; i++) {
      row[i] = (random.nextInt(16) - 8) * 0.125f;
      importance[i] = random.nextFloat();
    }
    row[3] = -1;
    row[40] = -1;
    assertThat(weighted(row, importance)).isEqualTo(row);
  }

  @Test
  void zerosAndTextsThatSayNothingAreNoTrouble() {
    assertThat(weighted(new float[40], new float[40])).containsOnly(0);
    float[] row = new float[32];
    row[5] = 1e-12f; // its scale is none of fp16
    row[6] = 0.5f;
    float[] rounded = weighted(row, new float[32]);
    assertThat(rounded[6]).isBetween(0.49f, 0.51f);
    assertThat(weighted(new float[] {1e-12f}, new float[] {1})).containsExactly(0);
  }
}
