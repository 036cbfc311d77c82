package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.weights.Dtype;
import java.util.Random;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProductsTest {
  /**
   * libtorch's own product of 16-bit numbers, fp32 carrying them, and the exact product of the
   * rounded operands in fp64.
   */
  @ParameterizedTest
  @CsvSource({
    "BFloat16, 1, 1, 1, true", "BFloat16, 7, 37, 29, true", "BFloat16, 33, 129, 65, false",
    "Half, 1, 1, 1, false", "Half, 7, 37, 29, true", "Half, 33, 129, 65, false",
  })
  void carriedOrNotTheProductIsTheSameWithinARounding(
      ScalarType dtype, long rows, long in, long out, boolean biased) {
    double precision = dtype == ScalarType.Half ? 0x1p-11 : 0x1p-8;
    try (PointerScope _ = new PointerScope()) {
      torch.manual_seed(1);
      Tensor x = torch.randn(rows, 1, in);
      Tensor weight = torch.randn(out, in).to(dtype);
      Tensor bias = biased ? torch.randn(out).to(dtype) : null;
      float[] own = Tensors.floats(Products.linear(x, weight, bias, dtype));
      Tensor product = Products.linear(x, weight, bias, ScalarType.Float);
      float[] carried = Tensors.floats(product);
      assertThat(product.scalar_type().intern()).isEqualTo(ScalarType.Float);
      assertThat(Tensors.shape(product)).containsExactly(rows, 1, out);
      assertThat(Tensors.floats(product.to(dtype))).as("rounded to " + dtype).isEqualTo(carried);

      Tensor rounded = x.to(dtype).to(ScalarType.Double);
      float[] exact =
          Tensors.floats(
              Products.linear(
                  rounded,
                  weight.to(ScalarType.Double),
                  biased ? bias.to(ScalarType.Double) : null));
      float[] sizes =
          Tensors.floats(Products.linear(rounded.abs(), weight.to(ScalarType.Double).abs(), null));
      for (int i = 0; i < exact.length; i++) {
        double sums = sizes[i] * in * 0x1p-24; // what the order of fp32 sums may change
        assertThat((double) carried[i])
            .isCloseTo(exact[i], within(precision * Math.abs(exact[i]) + sums));
        assertThat((double) carried[i])
            .isCloseTo(own[i], within(4 * precision * Math.abs(exact[i]) + sums));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"BFloat16", "Half"})
  void gradientsPassThroughTheRounding(ScalarType dtype) {
    try (PointerScope _ = new PointerScope()) {
      torch.manual_seed(1);
      Tensor weight = torch.randn(5, 11).to(dtype).requires_grad_(true);
      Tensor x = torch.randn(3, 11).requires_grad_(true);
      Products.linear(x, weight, null, ScalarType.Float).sum().backward();
      float[] expected = Tensors.floats(weight.to(ScalarType.Float).sum(0)); // of each row of x
      float[] found = Tensors.floats(x.grad().select(0, 2));
      for (int i = 0; i < expected.length; i++) {
        assertThat(found[i]).isCloseTo(expected[i], within(0.02f));
      }
      assertThat(weight.grad().scalar_type().intern()).isEqualTo(dtype);
    }
  }

  /** The three products of a linear map, against plain loops. */
  @Test
  void matricesAreMultipliedAsTheyLieAndTransposed() {
    Matrix a = matrix(3, 5, 1);
    Matrix b = matrix(5, 4, 2);
    Matrix bt = matrix(4, 5, 3);
    Matrix at = matrix(5, 3, 4);
    Matrix y = Matrix.of(Dtype.F32, 3, 4);
    Products.multiply(a, b, y);
    assertProduct(y, (i, k) -> value(a, i, k), (k, j) -> value(b, k, j));
    Products.multiplyTransposed(a, bt, y);
    assertProduct(y, (i, k) -> value(a, i, k), (k, j) -> value(bt, j, k));
    Products.transposedMultiply(at, b, y);
    assertProduct(y, (i, k) -> value(at, k, i), (k, j) -> value(b, k, j));
  }

  private interface Element {
    double at(int row, int column);
  }

  private static void assertProduct(Matrix y, Element a, Element b) {
    for (int i = 0; i < y.rows; i++) {
      for (int j = 0; j < y.cols; j++) {
        double sum = 0;
        for (int k = 0; k < 5; k++) {
          sum += a.at(i, k) * b.at(k, j);
        }
        assertThat(value(y, i, j)).isCloseTo(sum, within(1e-5));
      }
    }
  }

  private static Matrix matrix(int rows, int cols, long seed) {
    Matrix matrix = Matrix.of(Dtype.F32, rows, cols);
    Random random = new Random(seed);
    for (int r = 0; r < rows; r++) {
      float[] row = new float[cols];
      for (int c = 0; c < cols; c++) {
        row[c] = random.nextFloat();
      }
      matrix.store(r, row);
    }
    return matrix;
  }

  private static double value(Matrix matrix, int row, int col) {
    float[] values = new float[matrix.cols];
    matrix.load(row, values);
    return values[col];
  }

  @Test
  void theInstructionsOfTheCpuDecide() {
    Set<String> zen3 = Set.of("avx2", "f16c", "fma");
    Set<String> cascadeLake = Set.of("avx2", "avx512f", "avx512bw", "avx512_vnni");
    Set<String> zen4 = Set.of("avx512f", "avx512_bf16");
    Set<String> sapphireRapids = Set.of("avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16");
    for (Set<String> without : Set.of(Set.<String>of(), zen3, cascadeLake)) {
      assertThat(Products.carrier(Dtype.BF16, without)).isEqualTo(Dtype.F32);
      assertThat(Products.carrier(Dtype.F16, without)).isEqualTo(Dtype.F32);
    }
    assertThat(Products.carrier(Dtype.BF16, zen4)).isEqualTo(Dtype.BF16);
    assertThat(Products.carrier(Dtype.F16, zen4)).isEqualTo(Dtype.F32);
    assertThat(Products.carrier(Dtype.F16, sapphireRapids)).isEqualTo(Dtype.F16);
    assertThat(Products.carrier(Dtype.F32)).isEqualTo(Dtype.F32);
    assertThat(Products.carrier(Dtype.F64)).isEqualTo(Dtype.F64);
    assertThat(Products.carrier(Dtype.F16, new Device(Device.Kind.CUDA, 0))).isEqualTo(Dtype.F16);
    assertThat(Products.carrier(Dtype.F16, Device.CPU)).isEqualTo(Products.carrier(Dtype.F16));
  }
}
