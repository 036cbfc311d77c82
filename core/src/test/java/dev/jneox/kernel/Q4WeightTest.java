package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class Q4WeightTest {
  @Provide
  Arbitrary<Kernels> kernels() {
    return Arbitraries.of(Kernels.available());
  }

  @Property(tries = 300)
  void productsAreTheScalarOnesToTheLastBit(
      @ForAll @IntRange(min = 1, max = 200) int out,
      @ForAll @IntRange(min = 1, max = 2500) int in,
      @ForAll @IntRange(min = 0, max = 20) int rows,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    assertProducts(out, in, rows, kernels, random);
  }

  @Property(tries = 50)
  void productsOfManyRowsAreTheScalarOnesToo(
      @ForAll @IntRange(min = 1, max = 70) int out,
      @ForAll @IntRange(min = 1, max = 300) int in,
      @ForAll @IntRange(min = 60, max = 200) int rows,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    assertProducts(out, in, rows, kernels, random);
  }

  private static void assertProducts(int out, int in, int rows, Kernels kernels, Random random) {
    Q4Weight weight = pack(out, in, gguf(out, in, random));
    float[] x = activations(rows * in, random);
    InputRows activations = new InputRows(rows + 3, in, kernels, weight.form());
    // What was in it before, in other rows and another number of them, is of no account.
    int before = random.nextInt(rows + 3) + 1;
    activations.set(activations(before * in, random), 0, in, before);
    activations.set(x, 0, in, rows);
    InputRows plain = new InputRows(Math.max(rows, 1), in, new ScalarKernels(), weight.form());
    plain.set(x, 0, in, rows);
    int from = random.nextInt(weight.blocks() + 1);
    int to = from + random.nextInt(weight.blocks() - from + 1);
    int at = 3;
    int ldy = out + 2;
    float[] y = activations(at + rows * ldy, random);
    float[] expected = y.clone();
    weight.multiply(activations, y, at, ldy, from, to);
    // Blocks and rows one by one, as they come to the same however they are shared out.
    for (int b = from; b < to; b++) {
      for (int r = 0; r < rows; r++) {
        plain.set(x, r * in, in, 1);
        weight.multiply(plain, expected, at + r * ldy, ldy, b, b + 1);
      }
    }
    assertThat(y).isEqualTo(expected);
  }

  @Property(tries = 50)
  void onlyTheRoundingOfActivationsSeparatesItFromTheTrueProduct(
      @ForAll @IntRange(min = 1, max = 100) int out,
      @ForAll @IntRange(min = 1, max = 300) int in,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    MemorySegment gguf = gguf(out, in, random);
    Q4Weight weight = pack(out, in, gguf);
    float[] x = activations(in, random);
    InputRows activations = new InputRows(1, in, kernels, weight.form());
    activations.set(x, 0, in, 1);
    float[] y = new float[out];
    weight.multiply(activations, y, 0, out, 0, weight.blocks());
    for (int o = 0; o < out; o++) {
      double sum = 0;
      double bound = 0;
      for (int g = 0; g < (in + 31) / 32; g++) {
        double max = 0;
        double weights = 0;
        for (int i = 32 * g; i < Math.min(in, 32 * g + 32); i++) {
          double w = code(gguf, o, in, i) * (double) scale(gguf, o, in, g);
          sum += w * x[i];
          weights += Math.abs(w);
          max = Math.max(max, Math.abs(x[i]));
        }
        bound += weights * max * (0.5 / 127 + 1e-5); // half a code, and fp32
      }
      assertThat((double) y[o]).isBetween(sum - bound, sum + bound);
    }
  }

  @Property(tries = 100)
  void packingAndUnpackingGivesTheSameBytes(
      @ForAll @IntRange(min = 1, max = 200) int out,
      @ForAll @IntRange(min = 1, max = 300) int in,
      @ForAll Random random) {
    MemorySegment gguf = gguf(out, in, random);
    MemorySegment back = Arena.ofAuto().allocate(gguf.byteSize());
    Q4Layout.unpack(pack(out, in, gguf), back);
    assertThat(back.mismatch(gguf)).isEqualTo(-1);
  }

  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void theExtremeCodesOfWeightsAndActivationsDoNotOverflow(Kernels kernels) {
    MemorySegment gguf = gguf(1, 32, new Random(1));
    gguf.asSlice(2).fill((byte) 0);
    gguf.set(ValueLayout.JAVA_SHORT_UNALIGNED, 0, Float.floatToFloat16(1));
    float[] x = new float[32];
    for (float value : new float[] {127, -127}) {
      Arrays.fill(x, value);
      InputRows activations = new InputRows(1, 32, kernels, InputRows.Form.INT8);
      activations.set(x, 0, 32, 1);
      float[] y = new float[1];
      pack(1, 32, gguf).multiply(activations, y, 0, 1, 0, 1);
      assertThat(y[0]).isEqualTo(-8 * 32 * value);
    }
  }

  @Test
  void memoryThatWasFreedAndBlocksThatAreNotThereAreRefused() {
    Q4Weight weight;
    InputRows x = new InputRows(1, 32, InputRows.Form.INT8);
    x.begin(1);
    try (Arena arena = Arena.ofShared()) {
      MemorySegment data = arena.allocate(Q4Weight.bytes(64, 32), 64);
      weight = new Q4Weight(64, 32, data);
      assertThatThrownBy(() -> weight.multiply(x, new float[128], 0, 64, 0, 2))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
    assertThatThrownBy(() -> weight.multiply(x, new float[64], 0, 64, 0, 1))
        .hasMessageContaining("freed");
    assertThatThrownBy(() -> new Q4Weight(64, 32, MemorySegment.ofArray(new byte[1152])))
        .hasMessageContaining("native memory");
  }

  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void whatIsNoNumberStaysNone(Kernels kernels) {
    Q4Weight weight = pack(70, 64, gguf(70, 64, new Random(1)));
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      for (int rows : new int[] {1, 20}) {
        float[] x = activations(64 * rows, new Random(2));
        x[40] = bad;
        InputRows activations = new InputRows(rows, 64, kernels, weight.form());
        activations.set(x, 0, 64, rows);
        float[] y = new float[70 * rows];
        weight.multiply(activations, y, 0, 70, 0, 2);
        for (int i = 0; i < y.length; i++) {
          // Of the row alone; and not infinite with one provider and NaN with another.
          assertThat(Float.isNaN(y[i])).isEqualTo(i < 70);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void valuesTooSmallToScaleCountAsZero(Kernels kernels) {
    Q4Weight weight = pack(3, 32, gguf(3, 32, new Random(1)));
    float[] x = new float[32];
    x[5] = Float.MIN_VALUE;
    InputRows activations = new InputRows(1, 32, kernels, weight.form());
    activations.set(x, 0, 32, 1);
    float[] y = {1, 2, 3};
    weight.multiply(activations, y, 0, 3, 0, 1);
    assertThat(y).containsExactly(1, 2, 3);
  }

  @Test
  void aScaleThatIsNoNumberIsRefusedWithItsPlace() {
    MemorySegment gguf = gguf(80, 96, new Random(1));
    gguf.set(ValueLayout.JAVA_SHORT_UNALIGNED, (71 * 3 + 2) * 18, (short) 0x7E01);
    assertThatThrownBy(() -> pack(80, 96, gguf)).hasMessageContaining("row 71, input 64");
  }

  @Test
  void aWrongSizeIsRefused() {
    assertThatThrownBy(() -> new Q4Weight(64, 32, MemorySegment.ofArray(new byte[1151])))
        .hasMessageContaining("1152");
    assertThatThrownBy(() -> pack(64, 32, MemorySegment.ofArray(new byte[1151])))
        .hasMessageContaining("1152");
  }

  private static MemorySegment gguf(int out, int in, Random random) {
    int groups = (in + 31) / 32;
    byte[] bytes = new byte[out * groups * 18];
    random.nextBytes(bytes);
    MemorySegment gguf = Arena.ofAuto().allocate(bytes.length);
    gguf.copyFrom(MemorySegment.ofArray(bytes));
    for (int block = 0; block < out * groups; block++) {
      // Of either sign, and down to where half precision has no full mantissa.
      float scale = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(7) - 6));
      gguf.set(ValueLayout.JAVA_SHORT_UNALIGNED, block * 18L, Float.floatToFloat16(scale));
    }
    return gguf;
  }

  private static Q4Weight pack(int out, int in, MemorySegment gguf) {
    MemorySegment data = Arena.ofAuto().allocate(Q4Weight.bytes(out, in), 64);
    int half = (out + 63) / 64 / 2;
    Q4Layout.pack(out, in, gguf, data, 0, half);
    Q4Layout.pack(out, in, gguf, data, half, (out + 63) / 64);
    return new Q4Weight(out, in, data);
  }

  static float[] activations(int n, Random random) {
    float[] x = new float[n];
    double size = Math.pow(10, random.nextInt(9) - 4);
    for (int i = 0; i < n; i++) {
      x[i] = random.nextInt(40) == 0 ? 0 : (float) (random.nextGaussian() * size);
    }
    return x;
  }

  /** Code minus 8. */
  private static int code(MemorySegment gguf, int o, int in, int i) {
    int group = o * ((in + 31) / 32) + i / 32;
    int bits = gguf.get(ValueLayout.JAVA_BYTE, group * 18L + 2 + i % 16);
    return (i % 32 < 16 ? bits & 15 : bits >>> 4 & 15) - 8;
  }

  private static float scale(MemorySegment gguf, int o, int in, int g) {
    return Float.float16ToFloat(
        gguf.get(ValueLayout.JAVA_SHORT_UNALIGNED, (o * ((in + 31) / 32) + g) * 18L));
  }
}
