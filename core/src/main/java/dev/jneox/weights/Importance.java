package dev.jneox.weights;

import dev.jneox.model.ParamId;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Says how much each column of a model's matrices counts: the mean square of the activation that
 * the column is multiplied by, over a text. The error of a product {@code sum (w - w') a} is
 * smallest in the mean, as far as activations are uncorrelated, where the weights' squared errors
 * are weighed so.
 *
 * @param columns by the matrix; of query, key and value by each of them
 * @param tokens that were averaged over
 */
public record Importance(Map<ParamId, float[]> columns, long tokens) {
  /** Copies the map. */
  public Importance {
    columns = Map.copyOf(columns);
  }

  /** Returns the importance of the columns of a matrix; null where it was not measured. */
  public float @Nullable [] of(ParamId matrix) {
    return columns.get(matrix);
  }
}
