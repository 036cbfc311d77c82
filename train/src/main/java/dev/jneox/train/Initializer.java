package dev.jneox.train;

import dev.jneox.model.ParamId;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/**
 * Draws the first weights: normally distributed matrices, zero biases, norm weights of 1. Each
 * tensor of {@link CanonicalNames} has its own random stream, which depends only on the seed and
 * its name.
 *
 * @param inputDeviation standard deviation of all matrices but the following, see {@link
 *     ModelSection#initStd}
 * @param outputDeviation standard deviation of the two matrices of a block that write to the
 *     residual stream, see {@link ModelSection#outputInitStd}
 */
public record Initializer(double inputDeviation, double outputDeviation) {
  /** Sets every weight, and rounds them for the products. */
  public void fill(Parameters parameters, long seed) {
    for (TensorExpression tensor : CanonicalNames.of(parameters.spec())) {
      ParamId first = tensor.first();
      parameters
          .weights()
          .write(
              tensor.params(),
              data -> {
                if (tensor.isMatrix()) {
                  double deviation =
                      first.part().writesResidual() ? outputDeviation : inputDeviation;
                  long stream = seed * 0x9E3779B97F4A7C15L + tensor.name().hashCode();
                  normal(data, tensor, deviation, stream);
                } else {
                  float value = first.part().isNorm() && !first.isBias() ? 1 : 0;
                  for (long i = 0; i < tensor.elements(); i++) {
                    data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
                  }
                }
              });
    }
    parameters.refresh();
  }

  private static void normal(
      MemorySegment data, TensorExpression tensor, double deviation, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] order = tensor.order().rows(tensor.params()).orElse(null);
    int columns = tensor.columns();
    for (int r = 0; r < tensor.rows(); r++) {
      long row = (long) (order == null ? r : order[r]) * columns;
      for (int c = 0; c < columns; c++) {
        data.setAtIndex(
            ValueLayout.JAVA_FLOAT, row + c, (float) (deviation * random.nextGaussian()));
      }
    }
  }
}
