package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("slow")
@net.jqwik.api.Tag("slow")
class Q8WeightTest {
  @Provide
  Arbitrary<Kernels> kernels() {
    return Arbitraries.of(Kernels.available());
  }

  @Property(tries = 300)
  void productsAreTheScalarOnesToTheLastBit(
      @ForAll @IntRange(min = 1, max = 200) int out,
      @ForAll @IntRange(min = 1, max = 700) int in,
      @ForAll @IntRange(min = 0, max = 10) int rows,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    Q8Weight weight = pack(out, in, gguf(out, in, random));
    float[] x = Q4WeightTest.activations(rows * in, random);
    InputRows activations = new InputRows(10, in, kernels, weight.form());
    activations.set(x, 0, in, rows);
    InputRows plain = new InputRows(1, in, new ScalarKernels(), weight.form());
    int from = random.nextInt(weight.blocks() + 1);
    int to = from + random.nextInt(weight.blocks() - from + 1);
    int at = 3;
    int ldy = out + 2;
    float[] y = Q4WeightTest.activations(at + rows * ldy, random);
    float[] expected = y.clone();
    weight.multiply(activations, y, at, ldy, from, to);
    for (int b = from; b < to; b++) {
      for (int r = 0; r < rows; r++) {
        plain.set(x, r * in, in, 1);
        weight.multiply(plain, expected, at + r * ldy, ldy, b, b + 1);
      }
    }
    assertThat(y).isEqualTo(expected);
  }

  @Property(tries = 50)
  void productsAreTheTrueOnesWithinTheRoundingOfFloats(
      @ForAll @IntRange(min = 1, max = 100) int out,
      @ForAll @IntRange(min = 1, max = 300) int in,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    MemorySegment gguf = gguf(out, in, random);
    Q8Weight weight = pack(out, in, gguf);
    float[] x = Q4WeightTest.activations(in, random);
    InputRows activations = new InputRows(1, in, kernels, weight.form());
    activations.set(x, 0, in, 1);
    float[] y = new float[out];
    weight.multiply(activations, y, 0, out, 0, weight.blocks());
    for (int o = 0; o < out; o++) {
      double sum = 0;
      double size = 0;
      for (int i = 0; i < in; i++) {
        double product = (double) x[i] * code(gguf, o, in, i) * scale(gguf, o, in, i / 32);
        sum += product;
        size += Math.abs(product);
      }
      double bound = size * (in + 2) * 0x1p-23;
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
    Q8Layout.unpack(pack(out, in, gguf), back);
    assertThat(back.mismatch(gguf)).isEqualTo(-1);
  }

  @Test
  void aScaleThatIsNoNumberIsRefusedWithItsPlace() {
    MemorySegment gguf = gguf(80, 96, new Random(1));
    gguf.set(ValueLayout.JAVA_SHORT_UNALIGNED, (71 * 3 + 2) * 34, (short) 0xFC00);
    assertThatThrownBy(() -> pack(80, 96, gguf)).hasMessageContaining("row 71, input 64");
  }

  @Test
  void aWrongSizeIsRefused() {
    assertThatThrownBy(() -> new Q8Weight(64, 32, MemorySegment.ofArray(new byte[2175])))
        .hasMessageContaining("2176");
    assertThatThrownBy(() -> pack(64, 32, MemorySegment.ofArray(new byte[2175])))
        .hasMessageContaining("2176");
  }

  private static MemorySegment gguf(int out, int in, Random random) {
    int groups = (in + 31) / 32;
    byte[] bytes = new byte[out * groups * 34];
    random.nextBytes(bytes);
    MemorySegment gguf = Arena.ofAuto().allocate(bytes.length);
    gguf.copyFrom(MemorySegment.ofArray(bytes));
    for (int block = 0; block < out * groups; block++) {
      float scale = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(7) - 6));
      gguf.set(ValueLayout.JAVA_SHORT_UNALIGNED, block * 34L, Float.floatToFloat16(scale));
    }
    return gguf;
  }

  private static Q8Weight pack(int out, int in, MemorySegment gguf) {
    MemorySegment data = Arena.ofAuto().allocate(Q8Weight.bytes(out, in), 64);
    int half = (out + 63) / 64 / 2;
    Q8Layout.pack(out, in, gguf, data, 0, half);
    Q8Layout.pack(out, in, gguf, data, half, (out + 63) / 64);
    return new Q8Weight(out, in, data);
  }

  private static int code(MemorySegment gguf, int o, int in, int i) {
    return gguf.get(ValueLayout.JAVA_BYTE, (o * ((in + 31) / 32) + i / 32) * 34L + 2 + i % 32);
  }

  private static float scale(MemorySegment gguf, int o, int in, int g) {
    return Float.float16ToFloat(
        gguf.get(ValueLayout.JAVA_SHORT_UNALIGNED, (o * ((in + 31) / 32) + g) * 34L));
  }
}
