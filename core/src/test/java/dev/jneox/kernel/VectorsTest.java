package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class VectorsTest {
  @Property(tries = 200)
  void geluIsTheSameInMachineCodeAndInJava(
      @ForAll @IntRange(min = 0, max = 70) int n,
      @ForAll @IntRange(min = 0, max = 20) int at,
      @ForAll Random random) {
    float[] row = new float[at + Vectors.padded(n)];
    for (int i = 0; i < row.length; i++) {
      row[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(5) - 2));
    }
    float[] exact = row.clone();
    float[] tanh = row.clone();
    float[] expectedExact = row.clone();
    float[] expectedTanh = row.clone();
    Vectors.gelu(exact, at, n);
    Vectors.geluTanh(tanh, at, n);
    Vectors.geluInJava(expectedExact, at, n);
    Vectors.geluTanhInJava(expectedTanh, at, n);
    // What is behind the values, up to a whole vector, is of no account.
    assertThat(Arrays.copyOf(exact, at + n)).isEqualTo(Arrays.copyOf(expectedExact, at + n));
    assertThat(Arrays.copyOf(tanh, at + n)).isEqualTo(Arrays.copyOf(expectedTanh, at + n));
    for (int i = at; i < at + n; i++) {
      double x = row[i];
      double z = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
      assertThat((double) tanh[i])
          .isCloseTo(x * 0.5 * (1 + Math.tanh(z)), offset(2e-6 * (1 + Math.abs(x))));
    }
  }

  @Property(tries = 200)
  void siluIsTheSameInMachineCodeAndInJava(
      @ForAll @IntRange(min = 0, max = 70) int n,
      @ForAll @IntRange(min = 0, max = 20) int at,
      @ForAll Random random) {
    float[] row = new float[at + Vectors.padded(n)];
    for (int i = 0; i < row.length; i++) {
      row[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(5) - 2));
    }
    float[] silu = row.clone();
    float[] expected = row.clone();
    Vectors.silu(silu, at, n);
    Vectors.siluInJava(expected, at, n);
    assertThat(Arrays.copyOf(silu, at + n)).isEqualTo(Arrays.copyOf(expected, at + n));
    for (int i = at; i < at + n; i++) {
      double x = row[i];
      assertThat((double) silu[i])
          .isCloseTo(x / (1 + Math.exp(-x)), offset(1e-6 * (1 + Math.abs(x))));
    }
  }

  @Property(tries = 100)
  void productsOfRowsAreThoseOfTheirValues(
      @ForAll @IntRange(min = 0, max = 70) int n,
      @ForAll @IntRange(min = 0, max = 5) int at,
      @ForAll @IntRange(min = 0, max = 5) int from,
      @ForAll Random random) {
    float[] a = new float[at + n + 3];
    float[] b = new float[from + n];
    for (int i = 0; i < a.length; i++) {
      a[i] = (float) random.nextGaussian();
    }
    for (int i = 0; i < b.length; i++) {
      b[i] = (float) random.nextGaussian();
    }
    float[] expected = a.clone();
    for (int i = 0; i < n; i++) {
      expected[at + i] *= b[from + i];
    }
    Vectors.multiply(a, at, b, from, n);
    assertThat(a).isEqualTo(expected);
  }

  @Test
  void activationsOfExtremesAndOfWhatIsNoNumber() {
    float[] values = {
      Float.NaN,
      Float.POSITIVE_INFINITY,
      -200,
      -88,
      -87,
      0,
      88,
      200,
      Float.MIN_VALUE,
      -Float.MAX_VALUE
    };
    float[] row = Arrays.copyOf(values, Vectors.padded(values.length));
    float[] exact = row.clone();
    float[] tanh = row.clone();
    float[] silu = row.clone();
    Vectors.gelu(exact, 0, values.length);
    Vectors.geluTanh(tanh, 0, values.length);
    Vectors.silu(silu, 0, values.length);
    float[] expectedExact = row.clone();
    float[] expectedTanh = row.clone();
    Vectors.geluInJava(expectedExact, 0, values.length);
    Vectors.geluTanhInJava(expectedTanh, 0, values.length);
    float[] expectedSilu = row.clone();
    Vectors.siluInJava(expectedSilu, 0, values.length);
    assertThat(exact).isEqualTo(expectedExact);
    assertThat(tanh).isEqualTo(expectedTanh);
    assertThat(silu).isEqualTo(expectedSilu);
    assertThat(silu[0]).isNaN();
    assertThat(silu[1]).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(silu[2]).isBetween(-1e-30f, -0f);
    assertThat(exact[0]).isNaN();
    assertThat(tanh[7]).isEqualTo(200);
    assertThat(exact[2]).isEqualTo(-0f);
  }

  @Test
  void aPlaceOutsideOfTheRowIsRefused() {
    assertThatThrownBy(() -> Vectors.gelu(new float[16], 1, 16))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> Vectors.geluTanh(new float[16], -1, 8))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> Vectors.silu(new float[16], 9, 8))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
