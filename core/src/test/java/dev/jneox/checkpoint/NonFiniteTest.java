package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.tensor.Tensors;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

class NonFiniteTest {
  private static final ScalarType[] TYPES = {
    ScalarType.Float, ScalarType.Double, ScalarType.Half, ScalarType.BFloat16
  };

  /**
   * Values of every exponent that is finite, among them a few that are not; sizes on both sides of
   * a block and of a share.
   */
  @Property(tries = 60)
  void everyValueThatIsNoNumberIsCounted(
      @ForAll long seed,
      @ForAll @IntRange(max = 3) int type,
      @ForAll @IntRange(max = 5) int broken,
      @ForAll @IntRange(max = 3) int size) {
    Random random = new Random(seed);
    int n = new int[] {1, 40_000, 70_001, 2_200_000}[size];
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) ((random.nextFloat() - 0.5) * Math.pow(2, random.nextInt(-14, 15)));
    }
    for (int i = 0; i < broken; i++) {
      values[random.nextInt(n)] =
          new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}
              [random.nextInt(3)];
    }
    long nans = 0;
    long infinities = 0;
    long first = -1;
    for (int i = 0; i < n; i++) {
      nans += Float.isNaN(values[i]) ? 1 : 0;
      infinities += Float.isInfinite(values[i]) ? 1 : 0;
      first = first < 0 && !Float.isFinite(values[i]) ? i : first;
    }
    try (Tensor floats = Tensors.of(values, n);
        Tensor tensor = floats.to(TYPES[type])) {
      assertThat(NonFinite.in(tensor)).isEqualTo(new NonFinite(nans, infinities, first));
    }
  }

  @Property(tries = 20)
  void aTransposedTensorIsCountedInItsOwnOrder(
      @ForAll @IntRange(max = 5) int row, @ForAll @IntRange(max = 6) int column) {
    float[] values = new float[6 * 7];
    values[row * 7 + column] = Float.NaN;
    try (Tensor tensor = Tensors.of(values, 6, 7);
        Tensor transposed = tensor.t()) {
      assertThat(NonFinite.in(transposed)).isEqualTo(new NonFinite(1, 0, column * 6 + row));
    }
  }

  @Property(tries = 1)
  void integersAreRefused() {
    try (Tensor tensor = Tensors.zeros(ScalarType.Int, 4)) {
      assertThatThrownBy(() -> NonFinite.in(tensor))
          .hasMessageContaining("I32 is no weight's type");
    }
  }
}
