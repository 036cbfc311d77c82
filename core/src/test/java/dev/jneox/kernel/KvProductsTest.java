package dev.jneox.kernel;

import static dev.jneox.kernel.KvProducts.POSITIONS;
import static dev.jneox.kernel.KvProducts.QUERIES;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;

/** Scores and outputs of attention on every provider, against the scalar one and doubles. */
class KvProductsTest {
  private static final Kernels SCALAR = new ScalarKernels();

  @Provide
  Arbitrary<Kernels> kernels() {
    return Arbitraries.of(Kernels.available());
  }

  private static float[] random(int n, Random random) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** Pairs of bfloat16, whose values are those of {@link #low} and {@link #high}. */
  private static int[] pairs(int n, Random random) {
    int[] pairs = new int[n];
    for (int i = 0; i < n; i++) {
      int low = Float.floatToRawIntBits((float) random.nextGaussian()) >>> 16;
      pairs[i] = Float.floatToRawIntBits((float) random.nextGaussian()) & 0xFFFF0000 | low;
    }
    return pairs;
  }

  private static float low(int pair) {
    return Float.intBitsToFloat(pair << 16);
  }

  private static float high(int pair) {
    return Float.intBitsToFloat(pair & 0xFFFF0000);
  }

  /** Fails unless the first {@code n} of each row are, and all behind a page is untouched. */
  private static void assertScores(float[] found, float[] expected, int at, int ld, int n) {
    for (int i = 0; i < QUERIES; i++) {
      int row = at + i * ld;
      assertThat(Arrays.copyOfRange(found, row, row + n))
          .isEqualTo(Arrays.copyOfRange(expected, row, row + n));
    }
  }

  @Property(tries = 200)
  void scoresAreTheScalarOnesToTheBitAndTheTrueOnesNearly(
      @ForAll @IntRange(min = 1, max = 130) int dims,
      @ForAll @IntRange(min = 1, max = POSITIONS) int n,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    int at = 5;
    int ldq = dims + 3;
    int ldo = POSITIONS + 7;
    float[] q = random(2 + QUERIES * ldq, random);
    float[] keys = random(at + dims * POSITIONS, random);
    int rows = (dims + 1) / 2;
    int[] pairs = pairs(at + rows * POSITIONS, random);
    if (dims % 2 == 1) {
      for (int t = 0; t < POSITIONS; t++) {
        pairs[at + (rows - 1) * POSITIONS + t] &= 0xFFFF;
      }
    }
    float[] expected = new float[3 + QUERIES * ldo];
    float[] found = expected.clone();
    float[] expectedOfPairs = expected.clone();
    float[] ofPairs = expected.clone();
    for (int i = 0; i < QUERIES; i++) {
      SCALAR.scores(keys, at, q, 2 + i * ldq, dims, n, expected, 3 + i * ldo);
      SCALAR.scores(pairs, at, q, 2 + i * ldq, dims, n, expectedOfPairs, 3 + i * ldo);
      kernels.scores(keys, at, q, 2 + i * ldq, dims, n, found, 3 + i * ldo);
      kernels.scores(pairs, at, q, 2 + i * ldq, dims, n, ofPairs, 3 + i * ldo);
    }
    assertScores(found, expected, 3, ldo, n);
    assertScores(ofPairs, expectedOfPairs, 3, ldo, n);
    Arrays.fill(found, Float.NaN);
    Arrays.fill(ofPairs, Float.NaN);
    kernels.scores(keys, at, q, 2, ldq, dims, n, found, 3, ldo);
    kernels.scores(pairs, at, q, 2, ldq, dims, n, ofPairs, 3, ldo);
    assertScores(found, expected, 3, ldo, n);
    assertScores(ofPairs, expectedOfPairs, 3, ldo, n);
    for (int i = 0; i < QUERIES; i++) {
      for (int t = 0; t < n; t++) {
        double sum = 0;
        double size = 0;
        double sumOfPairs = 0;
        double sizeOfPairs = 0;
        for (int d = 0; d < dims; d++) {
          double x = q[2 + i * ldq + d];
          double product = x * keys[at + d * POSITIONS + t];
          sum += product;
          size += Math.abs(product);
          int pair = pairs[at + d / 2 * POSITIONS + t];
          product = x * (d % 2 == 0 ? low(pair) : high(pair));
          sumOfPairs += product;
          sizeOfPairs += Math.abs(product);
        }
        assertThat((double) found[3 + i * ldo + t]).isCloseTo(sum, offset(size * dims * 0x1p-23));
        assertThat((double) ofPairs[3 + i * ldo + t])
            .isCloseTo(sumOfPairs, offset(sizeOfPairs * dims * 0x1p-23));
      }
    }
  }

  @Property(tries = 200)
  void outputsAreTheScalarOnesToTheBitAndTheTrueOnesNearly(
      @ForAll @IntRange(min = 1, max = 130) int dims,
      @ForAll @IntRange(min = 1, max = POSITIONS) int n,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    int at = 5;
    int width = Vectors.padded(dims);
    int ldp = POSITIONS + 1;
    float[] p = random(2 + QUERIES * ldp, random);
    float[] values = random(at + POSITIONS * width, random);
    int[] pairs = pairs(at + POSITIONS / 2 * width, random);
    if (n % 2 == 1) {
      for (int d = 0; d < width; d++) {
        pairs[at + n / 2 * width + d] &= 0xFFFF;
      }
    }
    float[] before = random(3 + QUERIES * width, random);
    float[] expected = before.clone();
    float[] found = before.clone();
    float[] expectedOfPairs = before.clone();
    float[] ofPairs = before.clone();
    for (int i = 0; i < QUERIES; i++) {
      SCALAR.values(values, at, width, p, 2 + i * ldp, n, expected, 3 + i * width);
      SCALAR.values(pairs, at, width, p, 2 + i * ldp, n, expectedOfPairs, 3 + i * width);
      kernels.values(values, at, width, p, 2 + i * ldp, n, found, 3 + i * width);
      kernels.values(pairs, at, width, p, 2 + i * ldp, n, ofPairs, 3 + i * width);
    }
    assertThat(found).isEqualTo(expected);
    assertThat(ofPairs).isEqualTo(expectedOfPairs);
    found = before.clone();
    ofPairs = before.clone();
    kernels.values(values, at, width, p, 2, ldp, n, found, 3);
    kernels.values(pairs, at, width, p, 2, ldp, n, ofPairs, 3);
    assertThat(found).isEqualTo(expected);
    assertThat(ofPairs).isEqualTo(expectedOfPairs);
    for (int i = 0; i < QUERIES; i++) {
      for (int d = 0; d < dims; d++) {
        double sum = before[3 + i * width + d];
        double size = Math.abs(sum);
        double sumOfPairs = sum;
        double sizeOfPairs = size;
        for (int t = 0; t < n; t++) {
          double product = (double) p[2 + i * ldp + t] * values[at + t * width + d];
          sum += product;
          size += Math.abs(product);
          int pair = pairs[at + t / 2 * width + d];
          product = (double) p[2 + i * ldp + t] * (t % 2 == 0 ? low(pair) : high(pair));
          sumOfPairs += product;
          sizeOfPairs += Math.abs(product);
        }
        assertThat((double) found[3 + i * width + d])
            .isCloseTo(sum, offset(size * (n + 1) * 0x1p-23));
        assertThat((double) ofPairs[3 + i * width + d])
            .isCloseTo(sumOfPairs, offset(sizeOfPairs * (n + 1) * 0x1p-23));
      }
    }
  }
}
