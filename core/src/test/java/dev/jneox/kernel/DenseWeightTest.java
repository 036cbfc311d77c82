package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.kernel.DenseWeight.Type;
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
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("slow")
@net.jqwik.api.Tag("slow")
class DenseWeightTest {
  @Provide
  Arbitrary<Kernels> kernels() {
    return Arbitraries.of(Kernels.available());
  }

  @Property(tries = 200)
  void productsAddToWhatStandsInTheBlocksAskedForAndNowhereElse(
      @ForAll @IntRange(min = 1, max = 200) int out,
      @ForAll @IntRange(min = 1, max = 150) int in,
      @ForAll @IntRange(min = 0, max = 5) int rows,
      @ForAll boolean half,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    DenseWeight weight = random(out, in, half, random);
    float[] x = random(rows * in, random);
    InputRows activations = new InputRows(5, in, kernels, weight.form());
    activations.set(x, 0, in, rows);
    int from = random.nextInt(weight.blocks() + 1);
    int to = from + random.nextInt(weight.blocks() - from + 1);
    int at = 3;
    int ldy = out + 2;
    float[] before = random(at + rows * ldy, random);
    float[] y = before.clone();
    weight.multiply(activations, y, at, ldy, from, to);
    for (int i = 0; i < y.length; i++) {
      int o = (i - at) % ldy;
      if (i < at || o >= out || o / PackedWeight.BLOCK < from || o / PackedWeight.BLOCK >= to) {
        assertThat(y[i]).isEqualTo(before[i]);
        continue;
      }
      int r = (i - at) / ldy;
      double sum = before[i];
      double size = Math.abs(sum);
      for (int k = 0; k < in; k++) {
        double product = (double) x[r * in + k] * value(weight, o * in + k);
        sum += product;
        size += Math.abs(product);
      }
      // Each of the n roundings of a sum is at most half an ulp of the sum of the absolute values
      // (Higham, 2002, section 3.1).
      assertThat((double) y[i]).isBetween(sum - size * in * 0x1p-23, sum + size * in * 0x1p-23);
    }
  }

  @Property(tries = 50)
  void theSumsOfARowDoNotDependOnTheOtherRows(
      @ForAll boolean half, @ForAll("kernels") Kernels kernels, @ForAll Random random) {
    DenseWeight weight = random(130, 100, half, random);
    float[] x = random(7 * 100, random);
    InputRows activations = new InputRows(7, 100, kernels, weight.form());
    activations.set(x, 0, 100, 7);
    float[] together = new float[7 * 130];
    weight.multiply(activations, together, 0, 130, 0, weight.blocks());
    for (int r = 0; r < 7; r++) {
      activations.set(x, r * 100, 100, 1);
      float[] alone = new float[130];
      weight.multiply(activations, alone, 0, 130, 0, 1);
      weight.multiply(activations, alone, 0, 130, 1, weight.blocks());
      assertThat(alone).isEqualTo(Arrays.copyOfRange(together, r * 130, (r + 1) * 130));
    }
  }

  /** The Vector API has their sums only where a vector holds eight values. */
  @Property(tries = 100)
  void scalarJavaAndMachineCodeAgreeToTheBit(
      @ForAll @IntRange(min = 1, max = 80) int out,
      @ForAll @IntRange(min = 1, max = 300) int in,
      @ForAll @IntRange(min = 0, max = 6) int rows,
      @ForAll boolean half,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    boolean same =
        kernels instanceof MachineCodeKernels
            || kernels instanceof VectorKernels && Lanes.F.length() == 8;
    DenseWeight weight = random(out, in, half, random);
    float[] x = random(rows * in, random);
    float[] before = random(rows * out, random);
    float[] expected = before.clone();
    float[] y = before.clone();
    multiply(weight, new ScalarKernels(), x, rows, expected);
    multiply(weight, same ? kernels : new ScalarKernels(), x, rows, y);
    assertThat(y).isEqualTo(expected);
  }

  private static void multiply(
      DenseWeight weight, Kernels kernels, float[] x, int rows, float[] y) {
    InputRows activations = new InputRows(6, weight.in(), kernels, weight.form());
    activations.set(x, 0, weight.in(), rows);
    weight.multiply(activations, y, 0, weight.out(), 0, weight.blocks());
  }

  @Test
  void activationsMadeForAnotherWeightAreRefused() {
    DenseWeight weight = random(4, 10, false, new Random(1));
    InputRows activations = new InputRows(1, 12, weight.form());
    assertThatThrownBy(() -> weight.multiply(activations, new float[4], 0, 4, 0, 1))
        .hasMessageContaining("12")
        .hasMessageContaining("10");
    assertThatThrownBy(() -> activations.set(new float[24], 0, 12, 2))
        .hasMessageContaining("room for 1");
    assertThatThrownBy(() -> new DenseWeight(4, 10, Type.F32, MemorySegment.ofArray(new float[39])))
        .hasMessageContaining("156 bytes");
  }

  private static DenseWeight random(int out, int in, boolean half, Random random) {
    MemorySegment data = Arena.ofAuto().allocate((half ? 2L : 4L) * out * in, 64);
    for (int i = 0; i < out * in; i++) {
      float value = (float) random.nextGaussian();
      if (half) {
        data.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
      } else {
        data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      }
    }
    return new DenseWeight(out, in, half ? Type.BF16 : Type.F32, data);
  }

  private static float value(DenseWeight weight, int i) {
    return weight.type() == Type.F32
        ? weight.data().getAtIndex(ValueLayout.JAVA_FLOAT, i)
        : Float.intBitsToFloat(weight.data().getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
  }

  private static float[] random(int n, Random random) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}
