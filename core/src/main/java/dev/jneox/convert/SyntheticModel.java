package dev.jneox.convert;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Generates the weights of a model at random when they are read: matrices are normal, as at the
 * start of training, biases 0, the weights of norms 1. It replaces a trained model of the same
 * shape where size and speed matter and text does not.
 *
 * <p>Each value is a function of the seed, the tensor's name ({@link CanonicalNames}) and the index
 * alone. Any thread can therefore generate any tensor, with the same bytes. {@code values[i] =
 * quantile(bits)}, where {@code bits} are 16 of the 64 that SplitMix64 (Steele, Lea and Flood 2014)
 * gives for {@code i / 4}.
 */
public final class SyntheticModel implements StoredModel {
  /** Elements that one task generates; a multiple of four. */
  private static final long CHUNK = 1 << 18;

  private static final long GOLDEN = 0x9E3779B97F4A7C15L;
  private static final long LOW = 0xFFFFFFFFL;
  private static final ValueLayout.OfLong PAIR =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final double[] QUANTILES = quantiles();

  private final Path path;
  private final ModelSpec spec;
  private final List<StoredTensor> tensors = new ArrayList<>();
  private final int[] values;
  private final int[] outputValues;
  private final Dtype dtype;
  private final long seed;
  private final @Nullable String tokenizerJson;

  /**
   * Describes the model; generates nothing yet.
   *
   * @param path the source of the shape
   * @param spec the model
   * @param deviation standard deviation of embeddings, query-key-value, the first matrix of the MLP
   *     and the head
   * @param outputDeviation standard deviation of the matrices that write to the residual stream:
   *     the output of attention and the second matrix of the MLP
   * @param dtype F32, BF16 or F16
   * @param seed of the generator
   * @param tokenizerJson text of the tokenizer to include, or null
   */
  public SyntheticModel(
      Path path,
      ModelSpec spec,
      double deviation,
      double outputDeviation,
      Dtype dtype,
      long seed,
      @Nullable String tokenizerJson) {
    if (dtype != Dtype.F32 && dtype != Dtype.BF16 && dtype != Dtype.F16) {
      throw new IllegalArgumentException("random weights are not made as " + dtype);
    }
    this.path = path;
    this.spec = spec;
    this.dtype = dtype;
    this.values = values(deviation);
    this.outputValues = values(outputDeviation);
    this.seed = seed;
    this.tokenizerJson = tokenizerJson;
    CanonicalNames.of(spec).forEach(tensor -> tensors.add(new Random(tensor)));
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public ModelSpec spec() {
    return spec;
  }

  @Override
  public List<StoredTensor> tensors() {
    return Collections.unmodifiableList(tensors);
  }

  @Override
  public Optional<String> tokenizerJson() {
    return Optional.ofNullable(tokenizerJson);
  }

  /** Represents a tensor that is generated when it is read. */
  private final class Random implements StoredTensor {
    private final TensorExpression expression;

    Random(TensorExpression expression) {
      this.expression = expression;
    }

    @Override
    public TensorExpression expression() {
      return expression;
    }

    @Override
    public String type() {
      return dtype.name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.empty();
    }

    @Override
    public MappedTensor read(Arena arena) {
      long elements = expression.elements();
      MappedTensor made = new MappedTensor(dtype, arena.allocate(elements * dtype.bits() / 8, 64));
      ParamId id = expression.first();
      if (!expression.isMatrix()) {
        if (id.part().isNorm() && !id.isBias()) {
          for (long i = 0; i < elements; i++) {
            made.set(i, 1);
          }
        }
        return made;
      }
      int[] table = id.part().writesResidual() ? outputValues : values;
      long stream = mix(mix(seed) + expression.name().hashCode());
      LongStream.range(0, Math.ceilDiv(elements, CHUNK))
          .parallel()
          .forEach(
              chunk ->
                  fill(
                      made.data(),
                      chunk * CHUNK,
                      Math.min(elements, (chunk + 1) * CHUNK),
                      stream,
                      table));
      return made;
    }
  }

  private void fill(MemorySegment data, long from, long to, long stream, int[] values) {
    long whole = to & -4L;
    if (dtype == Dtype.F32) {
      for (long i = from; i < whole; i += 4) {
        long bits = mix(stream + (i >> 2) * GOLDEN);
        data.set(
            PAIR,
            i * 4,
            values[(int) bits & 0xFFFF] & LOW | (long) values[(int) (bits >>> 16) & 0xFFFF] << 32);
        data.set(
            PAIR,
            i * 4 + 8,
            values[(int) (bits >>> 32) & 0xFFFF] & LOW | (long) values[(int) (bits >>> 48)] << 32);
      }
    } else {
      for (long i = from; i < whole; i += 4) {
        long bits = mix(stream + (i >> 2) * GOLDEN);
        int low = values[(int) bits & 0xFFFF] | values[(int) (bits >>> 16) & 0xFFFF] << 16;
        int high = values[(int) (bits >>> 32) & 0xFFFF] | values[(int) (bits >>> 48)] << 16;
        data.set(PAIR, i * 2, low & LOW | (long) high << 32);
      }
    }
    for (long i = whole; i < to; i++) {
      int value = values[(int) (mix(stream + (i >> 2) * GOLDEN) >>> 16 * (i & 3)) & 0xFFFF];
      if (dtype == Dtype.F32) {
        data.set(ValueLayout.JAVA_INT_UNALIGNED, i * 4, value);
      } else {
        data.set(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2, (short) value);
      }
    }
  }

  /** Applies SplitMix64's finaliser: every bit of the result depends on every bit of {@code z}. */
  private static long mix(long z) {
    z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }

  /**
   * Returns the bits of 65,536 equally likely values of a normal distribution, in the type of the
   * weights.
   */
  private int[] values(double deviation) {
    int[] values = new int[QUANTILES.length];
    for (int i = 0; i < values.length; i++) {
      float value = (float) (deviation * QUANTILES[i]);
      values[i] =
          switch (dtype) {
            case F32 -> Float.floatToRawIntBits(value);
            case BF16 -> MappedTensor.bfloat16(value) & 0xFFFF;
            default -> Float.floatToFloat16(value) & 0xFFFF;
          };
    }
    return values;
  }

  /**
   * Computes the standard normal's quantiles of {@code (i + 1/2) / 65536}. Each follows from the
   * one below it by Newton's method on {@code P(0 < X < x) = phi(x) (x + x^3/3 + x^5/(3 5) + ...)}.
   */
  private static double[] quantiles() {
    int half = 1 << 15;
    double[] quantiles = new double[2 * half];
    double x = 0;
    for (int i = 0; i < half; i++) {
      double p = (i + 0.5) / (2 * half);
      for (int step = 0; step < 4; step++) {
        double density = StrictMath.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
        double sum = 0;
        double term = x;
        for (int k = 3; term > 1e-18 * sum; k += 2) {
          sum += term;
          term *= x * x / k;
        }
        x += p / density - sum;
      }
      quantiles[half + i] = x;
      quantiles[half - 1 - i] = -x;
    }
    return quantiles;
  }

  /** Does nothing: no resource is held. */
  @Override
  public void close() {}
}
