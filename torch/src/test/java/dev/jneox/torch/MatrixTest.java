package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.weights.Dtype;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MatrixTest {
  private static final int COLS = 101;
  private static final float[] CORNERS = {
    0,
    -0f,
    1,
    1 + 0x1p-8f,
    1 + 0x3p-8f,
    1 + 0x1p-11f,
    1 + 0x3p-11f,
    0x1p-24f,
    0x1p-25f,
    0x3p-25f,
    65504,
    65519,
    65520,
    1e38f,
    Float.MAX_VALUE,
    Float.MIN_VALUE,
    Float.POSITIVE_INFINITY,
    Float.NEGATIVE_INFINITY,
    Float.NaN,
    Float.intBitsToFloat(0x7FFF_FFFF), // whose rounding carries into the sign
    Float.intBitsToFloat(0x7F80_0001) // whose rounding is infinity
  };

  /** libtorch's own cast says what the numbers of a type are. */
  @ParameterizedTest
  @EnumSource(
      value = Dtype.class,
      names = {"F32", "BF16", "F16"})
  void roundsAsLibtorchCasts(Dtype dtype) {
    float[] values = values();
    float[] expected = Tensors.floats(Tensors.of(values, COLS).to(Tensors.type(dtype)));
    for (Dtype carrier : new Dtype[] {dtype, Dtype.F32}) {
      Matrix matrix = Matrix.of(dtype, carrier, 3, COLS);
      matrix.store(1, values);
      assertThat(Tensors.floats(matrix.tensor.select(0, 1)))
          .as("stored in " + carrier)
          .isEqualTo(expected);
      assertThat(loaded(matrix, 1)).isEqualTo(expected);
      // A product that is not rounded yet, if fp32 carries it.
      matrix.tensor.select(0, 1).copy_(Tensors.of(values, COLS));
      assertThat(loaded(matrix, 1)).as("loaded from " + carrier).isEqualTo(expected);
      assertThat(loaded(matrix.slice(1, 2), 0)).isEqualTo(expected);
    }
  }

  private static float[] loaded(Matrix matrix, int row) {
    float[] values = new float[COLS];
    matrix.load(row, values);
    return values;
  }

  private static float[] values() {
    Random random = new Random(4);
    float[] values = new float[COLS];
    for (int i = 0; i < COLS; i++) {
      values[i] =
          i < CORNERS.length
              ? CORNERS[i]
              : (float) (random.nextGaussian() * Math.exp(4 * random.nextGaussian()));
    }
    values[COLS - 1] = CORNERS[CORNERS.length - 1]; // past the last whole vector
    values[COLS - 2] = CORNERS[CORNERS.length - 2];
    return values;
  }
}
