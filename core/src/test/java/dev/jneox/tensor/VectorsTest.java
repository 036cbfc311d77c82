package dev.jneox.tensor;

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

  @Test
  void geluOfExtremesAndOfWhatIsNoNumber() {
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
    Vectors.gelu(exact, 0, values.length);
    Vectors.geluTanh(tanh, 0, values.length);
    float[] expectedExact = row.clone();
    float[] expectedTanh = row.clone();
    Vectors.geluInJava(expectedExact, 0, values.length);
    Vectors.geluTanhInJava(expectedTanh, 0, values.length);
    assertThat(exact).isEqualTo(expectedExact);
    assertThat(tanh).isEqualTo(expectedTanh);
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
  }
}
