package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.MemoryException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FlatTensorTest {
  private static final int N = 101;

  private static float[] random(long seed) {
    Random random = new Random(seed);
    float[] values = new float[N];
    for (int i = 0; i < N; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static FlatTensor of(float[] values) {
    FlatTensor flat = FlatTensor.zeros(Device.CPU, values.length);
    try (Arena arena = Arena.ofConfined()) {
      flat.write(0, arena.allocateFrom(ValueLayout.JAVA_FLOAT, values));
    }
    return flat;
  }

  private static float[] read(FlatTensor flat, long from, int n) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment into = arena.allocate(ValueLayout.JAVA_FLOAT, n);
      flat.read(from, into);
      return into.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  @Test
  void partsAreWrittenAndRead() {
    try (FlatTensor flat = FlatTensor.zeros(Device.CPU, 10);
        Arena arena = Arena.ofConfined()) {
      flat.write(3, arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3));
      assertThat(read(flat, 0, 10)).containsExactly(0, 0, 0, 1, 2, 3, 0, 0, 0, 0);
      assertThat(read(flat, 4, 2)).containsExactly(2, 3);
      assertThat(flat.norm()).isCloseTo(Math.sqrt(14), within(1e-12));
      flat.write(0, arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1e30f));
      assertThat(flat.norm()).as("squares beyond fp32").isCloseTo(1e30, within(1e24));
      flat.write(0, arena.allocateFrom(ValueLayout.JAVA_FLOAT, Float.NaN));
      assertThat(flat.norm()).isNaN();
      flat.clear();
      assertThat(read(flat, 0, 10)).containsOnly(0);
    }
  }

  @Test
  void moreThanTheMemoryIsAnErrorOfOneLine() {
    assertThatThrownBy(() -> FlatTensor.zeros(Device.CPU, 1L << 46))
        .isInstanceOf(MemoryException.class)
        .hasMessageStartingWith("libtorch: ")
        .hasMessageContaining("281474976710656 bytes")
        .message()
        .hasLineCount(1);
    RuntimeException cuda =
        new RuntimeException("CUDA out of memory. Tried to allocate 2 GiB.\nframe #0: c10");
    assertThat(Libtorch.explained(cuda))
        .isInstanceOf(MemoryException.class)
        .hasMessage("libtorch: CUDA out of memory. Tried to allocate 2 GiB.");
    RuntimeException other = new RuntimeException("mat1 and mat2 shapes cannot be multiplied");
    assertThat(Libtorch.explained(other)).isSameAs(other);
  }

  @Test
  void memoryIsViewedInPlace() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 3, 4);
      try (FlatTensor flat = FlatTensor.over(memory)) {
        assertThat(flat.norm()).isEqualTo(5);
        flat.clear();
      }
      assertThat(memory.toArray(ValueLayout.JAVA_FLOAT)).containsOnly(0);
    }
  }

  /** The formula in plain loops of fp64, on a part of the range. */
  @Test
  void adamWIsItsFormula() {
    float[] w = random(1);
    float[] g = random(2);
    float[] m = random(3);
    float[] v = random(4);
    for (int i = 0; i < N; i++) {
      v[i] *= v[i];
    }
    int from = 7;
    int to = 90;
    try (FlatTensor weights = of(w);
        FlatTensor gradients = of(g);
        FlatTensor first = of(m);
        FlatTensor second = of(v)) {
      new AdamWUpdate(0.9, 0.95, 1e-2, 0.5, 0.03, 1.7)
          .apply(weights, gradients, first, second, from, to, from, 0.99);
      float[] foundW = read(weights, 0, N);
      float[] foundG = read(gradients, 0, N);
      float[] foundM = read(first, 0, N);
      float[] foundV = read(second, 0, N);
      for (int i = 0; i < N; i++) {
        if (i < from || i >= to) {
          assertThat(new float[] {foundW[i], foundG[i], foundM[i], foundV[i]})
              .containsExactly(w[i], g[i], m[i], v[i]);
          continue;
        }
        double gradient = 0.5 * g[i];
        double moment = 0.9 * m[i] + 0.1 * gradient;
        double square = 0.95 * v[i] + 0.05 * gradient * gradient;
        double step = 0.03 * moment / (1.7 * Math.sqrt(square) + 1e-2);
        assertThat(foundG[i]).isZero();
        assertThat((double) foundM[i]).isCloseTo(moment, within(1e-6));
        assertThat((double) foundV[i]).isCloseTo(square, within(1e-6));
        assertThat((double) foundW[i]).isCloseTo(0.99 * w[i] - step, within(1e-5));
      }
    }
  }
}
