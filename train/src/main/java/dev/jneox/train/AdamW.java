package dev.jneox.train;

import dev.jneox.kernel.Workers;
import dev.jneox.torch.AdamWUpdate;
import dev.jneox.torch.Matrix;
import dev.jneox.weights.Dtype;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Updates the weights by AdamW (Loshchilov and Hutter 2019), in one pass over the flat arrays of
 * {@link Parameters}. It reads each gradient once and writes the new weight, both moments and the
 * weight in the precision of the products:
 *
 * <pre>{@code
 * m = b1 m + (1-b1) g     v = b2 v + (1-b2) g^2
 * p = p (1 - lr decay) - lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)
 * }</pre>
 *
 * <p>Parameters on a device are updated by {@link AdamWUpdate}, the same formula in libtorch's
 * operations.
 */
public final class AdamW {
  private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  /**
   * Elements that are given to a thread at a time. Each chunk has its own sum, so that the norm
   * does not depend on the number of threads.
   */
  private static final int CHUNK = 1 << 16;

  private final Parameters parameters;
  private final double beta1;
  private final double beta2;
  private final double eps;
  private final double decay;
  private final List<Parameters.Own> chunks;
  private final List<Parameters.Own> counted; // chunks of the gradient's norm
  private final List<List<Parameters.Own>> countedParts = new ArrayList<>(); // by part
  private long steps;

  /**
   * Makes the optimizer, at update 0.
   *
   * @param beta1 decay rate of the first moment
   * @param beta2 decay rate of the second moment
   * @param eps added to the root of the second moment
   * @param decay weight decay of every parameter that {@link Parameters.Slot#decays}
   */
  public AdamW(Parameters parameters, double beta1, double beta2, double eps, double decay) {
    this.parameters = parameters;
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.eps = eps;
    this.decay = decay;
    chunks = chunks(parameters.own());
    counted = chunks(parameters.counted());
    for (int part = 0; part < parameters.spec().layers() + 2; part++) {
      countedParts.add(chunks(parameters.counted(part)));
    }
  }

  private static List<Parameters.Own> chunks(List<Parameters.Own> ranges) {
    List<Parameters.Own> chunks = new ArrayList<>();
    for (Parameters.Own own : ranges) {
      for (long at = own.from(); at < own.end(); at += CHUNK) {
        long end = Math.min(own.end(), at + CHUNK);
        chunks.add(new Parameters.Own(at, end, own.moments() + at - own.from()));
      }
    }
    return chunks;
  }

  /** Returns the number of updates made so far: t in the formula. */
  public long steps() {
    return steps;
  }

  /** Sets the number of updates made so far, for a run that is resumed. */
  public void resume(long steps) {
    this.steps = steps;
  }

  /** Computes the L2 norm of the whole gradient; infinite or NaN if any element is. */
  public double gradientNorm() {
    return Math.sqrt(gradientSquares());
  }

  /**
   * Sums the squares of the gradients that this process updates, but for parameters that several
   * ranks have and that count on another one.
   */
  double gradientSquares() {
    return gradientSquares(counted);
  }

  /** Sums the same squares for each part of the model: embedding, each block, norm and head. */
  double[] partSquares() {
    return countedParts.stream().mapToDouble(this::gradientSquares).toArray();
  }

  private double gradientSquares(List<Parameters.Own> chunks) {
    if (!parameters.onHost()) {
      double sum = 0;
      for (Parameters.Own own : chunks) {
        double norm = parameters.gradients().tensor().norm(own.from(), own.end() - own.from());
        sum += norm * norm;
      }
      return sum;
    }
    MemorySegment g = parameters.gradients().memory();
    double[] sums = new double[chunks.size()];
    Workers.all()
        .forEach(
            sums.length,
            (from, to, thread) -> {
              for (int c = from; c < to; c++) {
                sums[c] = squares(g, chunks.get(c).from(), chunks.get(c).end());
              }
            });
    return Arrays.stream(sums).sum();
  }

  private static double squares(MemorySegment g, long from, long to) {
    VectorSpecies<Double> d = DoubleVector.SPECIES_PREFERRED;
    DoubleVector low = DoubleVector.zero(d);
    DoubleVector high = DoubleVector.zero(d);
    for (long i = from; i < to; i += F.length()) {
      FloatVector v = FloatVector.fromMemorySegment(F, g, i * 4, ORDER);
      DoubleVector a = (DoubleVector) v.convertShape(VectorOperators.F2D, d, 0);
      DoubleVector b = (DoubleVector) v.convertShape(VectorOperators.F2D, d, 1);
      low = a.fma(a, low);
      high = b.fma(b, high);
    }
    double sum = 0; // not by reduceLanes, whose order of additions changes when it is compiled
    for (double lane : low.add(high).toArray()) {
      sum += lane;
    }
    return sum;
  }

  /**
   * Updates the weights and sets the gradients to zero.
   *
   * @param lr learning rate
   * @param scale factor of every gradient: that of clipping, divided by the loss scale
   */
  public void step(double lr, double scale) {
    steps++;
    double rate = lr / (1 - Math.pow(beta1, steps));
    double inverse = 1 / Math.sqrt(1 - Math.pow(beta2, steps));
    if (!parameters.onHost()) {
      stepOnDevice(new AdamWUpdate(beta1, beta2, eps, scale, rate, inverse), 1 - lr * decay);
      return;
    }
    float step = (float) rate;
    float correction = (float) inverse;
    // A chunk may span several runs, which are in order; each chunk walks those it meets.
    Parameters.Run[] runs = parameters.runs().toArray(new Parameters.Run[0]);
    Workers.all()
        .forEach(
            chunks.size(),
            (from, to, thread) -> {
              for (int c = from, r = 0; c < to; c++) {
                Parameters.Own chunk = chunks.get(c);
                r = c == from || runs[r].offset() > chunk.from() ? 0 : r;
                for (long at = chunk.from(); at < chunk.end(); r++) {
                  if (runs[r].end() > at) {
                    long stop = Math.min(runs[r].end(), chunk.end());
                    float keep = (float) (runs[r].decays() ? 1 - lr * decay : 1);
                    long moments = chunk.moments() + at - chunk.from();
                    update(at, stop, moments, keep, step, correction, (float) scale);
                    at = stop;
                    if (at == chunk.end()) {
                      break;
                    }
                  }
                }
              }
            });
    if (parameters.compute() == Dtype.F16) {
      parameters.refresh(); // bf16 is written on the way
    }
  }

  private void stepOnDevice(AdamWUpdate update, double keep) {
    for (Parameters.Own own : parameters.own()) {
      for (Parameters.Run run : parameters.runs()) {
        long from = Math.max(own.from(), run.offset());
        long end = Math.min(own.end(), run.end());
        if (from < end) {
          update.apply(
              parameters.weights().tensor(),
              parameters.gradients().tensor(),
              parameters.firstMoments().tensor(),
              parameters.secondMoments().tensor(),
              from,
              end,
              own.moments() + from - own.from(),
              run.decays() ? keep : 1);
        }
      }
    }
  }

  private void update(
      long from, long to, long moments, float keep, float step, float correction, float scale) {
    MemorySegment weights = parameters.weights().memory();
    MemorySegment gradients = parameters.gradients().memory();
    MemorySegment first = parameters.firstMoments().memory();
    MemorySegment second = parameters.secondMoments().memory();
    MemorySegment rounded = parameters.rounded();
    boolean bf16 = parameters.compute() == Dtype.BF16;
    boolean carried = parameters.carrier() == Dtype.F32;
    float b1 = (float) beta1;
    float b2 = (float) beta2;
    float oneMinusB1 = (float) (1 - beta1);
    float oneMinusB2 = (float) (1 - beta2);
    float e = (float) eps;
    FloatVector zero = FloatVector.zero(F);
    for (long i = from; i < to; i += F.length()) {
      long j = moments + i - from;
      FloatVector g = FloatVector.fromMemorySegment(F, gradients, i * 4, ORDER).mul(scale);
      FloatVector m =
          FloatVector.fromMemorySegment(F, first, j * 4, ORDER).mul(b1).add(g.mul(oneMinusB1));
      FloatVector v =
          FloatVector.fromMemorySegment(F, second, j * 4, ORDER)
              .mul(b2)
              .add(g.mul(g).mul(oneMinusB2));
      FloatVector p = FloatVector.fromMemorySegment(F, weights, i * 4, ORDER).mul(keep);
      p = p.sub(m.mul(step).div(v.sqrt().mul(correction).add(e)));
      m.intoMemorySegment(first, j * 4, ORDER);
      v.intoMemorySegment(second, j * 4, ORDER);
      p.intoMemorySegment(weights, i * 4, ORDER);
      zero.intoMemorySegment(gradients, i * 4, ORDER);
      if (bf16 && carried) {
        Matrix.bf16(p).intoMemorySegment(rounded, i * 4, ORDER);
      } else if (bf16) {
        Matrix.narrow(p, rounded, i * 2);
      }
    }
  }
}
