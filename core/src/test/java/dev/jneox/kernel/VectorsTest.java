package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The functions of rows on every provider, against the scalar one and against doubles. */
class VectorsTest {
  private static final Kernels SCALAR = new ScalarKernels();

  @Provide
  Arbitrary<Kernels> kernels() {
    return Arbitraries.of(Kernels.available());
  }

  /** Rows of many sizes of values, with room behind {@code n} of them for a whole vector. */
  private static float[] row(int at, int n, Random random) {
    float[] row = new float[at + Vectors.padded(n) + 3];
    for (int i = 0; i < row.length; i++) {
      row[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(5) - 2));
    }
    return row;
  }

  /** The function of a row of one provider. */
  private interface Function {
    void apply(Kernels kernels, float[] row, int at, int n);
  }

  /** What is behind the values, up to a whole vector, is of no account; all else stays. */
  private static float[] same(Kernels kernels, float[] row, int at, int n, Function function) {
    float[] expected = row.clone();
    float[] found = row.clone();
    function.apply(SCALAR, expected, at, n);
    function.apply(kernels, found, at, n);
    assertThat(Arrays.copyOf(found, at + n)).isEqualTo(Arrays.copyOf(expected, at + n));
    int end = at + Vectors.padded(n);
    assertThat(Arrays.copyOfRange(found, end, row.length))
        .isEqualTo(Arrays.copyOfRange(row, end, row.length));
    return found;
  }

  @Property(tries = 300)
  void activationsAreTheScalarOnesToTheBitAndTheTrueOnesNearly(
      @ForAll @IntRange(min = 0, max = 70) int n,
      @ForAll @IntRange(min = 0, max = 20) int at,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    float[] row = row(at, n, random);
    float[] gelu = same(kernels, row, at, n, Kernels::gelu);
    float[] tanh = same(kernels, row, at, n, Kernels::geluTanh);
    float[] silu = same(kernels, row, at, n, Kernels::silu);
    for (int i = at; i < at + n; i++) {
      double x = row[i];
      double z = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
      double logistic = 1 / (1 + Math.exp(-x));
      assertThat((double) tanh[i])
          .isCloseTo(x * 0.5 * (1 + Math.tanh(z)), offset(2e-6 * (1 + Math.abs(x))));
      assertThat((double) silu[i]).isCloseTo(x * logistic, offset(1e-6 * (1 + Math.abs(x))));
      assertThat((double) gelu[i]).isCloseTo(x * phi(x), offset(1e-6 * (1 + Math.abs(x))));
    }
  }

  /** The normal distribution function, integrated. */
  private static double phi(double x) {
    double bounded = Math.max(-9, Math.min(9, x));
    int steps = 2000;
    double h = bounded / steps;
    double sum = 0;
    for (int i = 0; i < steps; i++) {
      double middle = (i + 0.5) * h;
      sum += Math.exp(-middle * middle / 2);
    }
    return 0.5 + sum * h / Math.sqrt(2 * Math.PI);
  }

  @Property(tries = 200)
  void derivativesAreTheScalarOnesToTheBitAndTheSlopesNearly(
      @ForAll @IntRange(min = 0, max = 70) int n,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    float[] x = row(0, n, random);
    float[] ones = new float[x.length];
    Arrays.fill(ones, 1);
    float[] gelu = same(kernels, ones, 0, n, (k, row, at, m) -> k.geluBackward(x, row, m));
    float[] tanh = same(kernels, ones, 0, n, (k, row, at, m) -> k.geluTanhBackward(x, row, m));
    for (int i = 0; i < n; i++) {
      double v = x[i];
      assertThat((double) gelu[i])
          .isCloseTo(
              phi(v) + v * Math.exp(-v * v / 2) / Math.sqrt(2 * Math.PI),
              offset(2e-6 * (1 + Math.abs(v))));
      double h = 1e-4;
      assertThat((double) tanh[i])
          .isCloseTo((tanh(v + h) - tanh(v - h)) / (2 * h), offset(1e-5 * (1 + Math.abs(v))));
    }
  }

  private static double tanh(double x) {
    double z = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
    return x * 0.5 * (1 + Math.tanh(z));
  }

  @Property(tries = 200)
  void sumsAndProductsOfRowsAreThoseOfTheirValues(
      @ForAll @IntRange(min = 0, max = 70) int n,
      @ForAll @IntRange(min = 0, max = 5) int at,
      @ForAll @IntRange(min = 0, max = 5) int from,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    float[] a = row(at, n, random);
    float[] b = row(from, n, random);
    float[] sum = a.clone();
    float[] product = a.clone();
    float[] scaled = a.clone();
    for (int i = 0; i < n; i++) {
      sum[at + i] += b[from + i];
      product[at + i] *= b[from + i];
      scaled[at + i] *= 3;
    }
    float[] added = a.clone();
    float[] multiplied = a.clone();
    float[] tripled = a.clone();
    kernels.add(added, at, b, from, n);
    kernels.multiply(multiplied, at, b, from, n);
    Vectors.multiply(tripled, at, 3, n);
    assertThat(added).isEqualTo(sum);
    assertThat(multiplied).isEqualTo(product);
    assertThat(tripled).isEqualTo(scaled);
  }

  /**
   * Sums are taken in other orders. Each of the n roundings is at most half an ulp of the sum of
   * the absolute values (Higham, 2002, section 3.1).
   */
  @Property(tries = 300)
  void sumsAreTheTrueOnesWithinTheRoundingOfFloats(
      @ForAll @IntRange(min = 0, max = 300) int n,
      @ForAll @IntRange(min = 0, max = 5) int at,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    float[] a = row(at, n, random);
    float[] b = row(2, n, random);
    float mean = 0.25f;
    double[] sums = new double[3];
    double[] sizes = new double[3];
    float max = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < n; i++) {
      double d = (double) a[at + i] - mean;
      double[] terms = {a[at + i], (double) a[at + i] * b[2 + i], d * d};
      for (int t = 0; t < terms.length; t++) {
        sums[t] += terms[t];
        sizes[t] += Math.abs(terms[t]);
      }
      max = Math.max(max, a[at + i]);
    }
    double bound = (n + 3) * 0x1p-23;
    assertThat((double) kernels.sum(a, at, n)).isCloseTo(sums[0], offset(bound * sizes[0]));
    assertThat((double) kernels.dot(a, at, b, 2, n)).isCloseTo(sums[1], offset(bound * sizes[1]));
    assertThat((double) kernels.squares(a, at, mean, n))
        .isCloseTo(sums[2], offset(bound * sizes[2]));
    assertThat(kernels.max(a, at, n)).isEqualTo(max);
  }

  @Property(tries = 200)
  void exponentialsAreTheScalarOnesToTheBitAndTheirSumNearly(
      @ForAll @IntRange(min = 1, max = 200) int n,
      @ForAll @IntRange(min = 0, max = 20) int at,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    float[] row = row(at, n, random);
    float max = kernels.max(row, at, n);
    float[] expected = row.clone();
    float[] found = row.clone();
    SCALAR.expAndSum(expected, at, max, n);
    float sum = kernels.expAndSum(found, at, max, n);
    assertThat(found).isEqualTo(expected); // zeros behind it included
    double total = 0;
    for (int i = at; i < at + n; i++) {
      double e = Math.exp((double) row[i] - max);
      total += found[i];
      // The difference is rounded before its exponential is taken.
      double bound = e * (0x1p-22 + Math.abs((double) row[i] - max) * 0x1p-24) + 1e-37;
      assertThat((double) found[i]).isCloseTo(e, offset(bound));
    }
    assertThat((double) sum).isCloseTo(total, offset(total * n * 0x1p-23));
    for (int i = at + n; i < at + Vectors.padded(n); i++) {
      assertThat(found[i]).isZero();
    }
  }

  @Property(tries = 200)
  void theGradientOfASoftmaxIsTheScalarOneToTheBit(
      @ForAll @IntRange(min = 0, max = 70) int n,
      @ForAll @IntRange(min = 0, max = 5) int at,
      @ForAll("kernels") Kernels kernels,
      @ForAll Random random) {
    float[] scores = row(at, n, random);
    float[] gradients = row(at, n, random);
    float[] probabilities =
        same(
            kernels,
            scores,
            at,
            n,
            (k, row, a, m) -> k.softmaxBackward(row, gradients.clone(), a, 1.5f, 0.25f, m));
    float[] found =
        same(
            kernels,
            gradients,
            at,
            n,
            (k, row, a, m) -> k.softmaxBackward(scores.clone(), row, a, 1.5f, 0.25f, m));
    for (int i = at; i < at + n; i++) {
      assertThat(found[i]).isEqualTo(probabilities[i] * (gradients[i] - 0.25f));
    }
  }

  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void activationsOfExtremesAndOfWhatIsNoNumber(Kernels kernels) {
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
      -Float.MAX_VALUE,
      Float.NEGATIVE_INFINITY,
      -0f
    };
    int n = values.length;
    float[] row = Arrays.copyOf(values, Vectors.padded(n));
    float[] exact = same(kernels, row, 0, n, Kernels::gelu);
    float[] tanh = same(kernels, row, 0, n, Kernels::geluTanh);
    float[] silu = same(kernels, row, 0, n, Kernels::silu);
    assertThat(silu[0]).isNaN();
    assertThat(silu[1]).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(silu[2]).isBetween(-1e-30f, -0f);
    assertThat(exact[0]).isNaN();
    assertThat(tanh[7]).isEqualTo(200);
    assertThat(exact[2]).isEqualTo(-0f);
    assertThat(kernels.max(values, 1, n - 1)).isEqualTo(Float.POSITIVE_INFINITY);
    for (int i = 1; i < 40; i++) {
      float[] broken = new float[40];
      broken[i] = Float.NaN;
      assertThat(kernels.max(broken, 0, 40)).isNaN();
    }
  }

  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void aPlaceOutsideOfTheRowIsRefused(Kernels kernels) {
    assertThatThrownBy(() -> kernels.gelu(new float[16], 1, 16))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> kernels.geluTanh(new float[16], -1, 8))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> kernels.silu(new float[16], 9, 8))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }

  /** The definition, with StrictMath. */
  private static double logSumOfExp(float[] logits, int at, int n) {
    double max = IntStream.range(at, at + n).mapToDouble(i -> logits[i]).max().getAsDouble();
    double sum =
        IntStream.range(at, at + n).mapToDouble(i -> StrictMath.exp(logits[i] - max)).sum();
    return max + StrictMath.log(sum);
  }

  @Property(tries = 500)
  void theLogarithmOfASumOfExponentialsIsThatOfTheDefinition(
      @ForAll @IntRange(min = 1, max = 300) int n,
      @ForAll @IntRange(min = 0, max = 20) int at,
      @ForAll("kernels") Kernels kernels,
      @ForAll long seed) {
    Random random = new Random(seed);
    float[] logits = new float[at + n + 9];
    double scale = Math.pow(10, random.nextInt(4));
    for (int i = 0; i < logits.length; i++) {
      boolean impossible = i > at && random.nextInt(20) == 0;
      logits[i] = impossible ? Float.NEGATIVE_INFINITY : (float) (random.nextGaussian() * scale);
    }
    double expected = logSumOfExp(logits, at, n);
    assertThat(kernels.logSumOfExp(logits, at, n))
        .isCloseTo(expected, offset(1e-15 * (10 + Math.abs(expected))));
  }

  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void logitsThatAreNoNumbersGiveNone(Kernels kernels) {
    for (float broken : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      for (int n = 1; n < 40; n++) {
        for (int i = 0; i < n; i++) {
          float[] logits = new float[n];
          logits[i] = broken;
          assertThat(kernels.logSumOfExp(logits, 0, n)).as("%d of %d", i, n).isNaN();
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void aHundredThousandLogitsKeepTheirPrecision(Kernels kernels) {
    float[] logits = new float[100_000];
    assertThat(kernels.logSumOfExp(logits, 0, logits.length)).isEqualTo(StrictMath.log(100_000));
  }

  @Tag("slow")
  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void oneNumberWithAllTheBitsIsFoundWhereverItIs(Kernels kernels) {
    MemorySegment block = Arena.ofAuto().allocate(Vectors.BLOCK_BYTES);
    Random random = new Random(1);
    for (int size : List.of(2, 4, 8)) {
      for (int tries = 0; tries < 50; tries++) {
        block.fill((byte) 0);
        assertThat(kernels.anyWithBits(block, size, 0x7C00)).isFalse();
        long at = random.nextInt(Vectors.BLOCK_BYTES / size) * (long) size;
        block.set(ValueLayout.JAVA_BYTE, at + 1, (byte) 0x78);
        assertThat(kernels.anyWithBits(block, size, 0x7C00)).isFalse();
        block.set(ValueLayout.JAVA_BYTE, at + 1, (byte) 0xFC);
        assertThat(kernels.anyWithBits(block, size, 0x7C00)).isTrue();
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.jneox.kernel.Kernels#available")
  void memoryIsSummedInLongs(Kernels kernels) {
    MemorySegment block = Arena.ofAuto().allocate(MemoryRate.READ_BLOCK, 8);
    Random random = new Random(1);
    long sum = 0;
    for (long i = 0; i < MemoryRate.READ_BLOCK / 8; i++) {
      long value = random.nextLong();
      block.setAtIndex(ValueLayout.JAVA_LONG, i, value);
      sum += value;
    }
    assertThat(kernels.sumOfLongs(block)).isEqualTo(sum);
  }
}
