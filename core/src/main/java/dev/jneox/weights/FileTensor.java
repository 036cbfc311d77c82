package dev.jneox.weights;

import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * Stores parameters as one tensor of a file.
 *
 * @param expression the parameters it holds
 * @param file where it is
 * @param source its name in {@code file}
 */
public record FileTensor(TensorExpression expression, TensorFile file, String source)
    implements StoredTensor {
  @Override
  public String type() {
    return dtype().name();
  }

  /** Returns the element type in the file. */
  public Dtype dtype() {
    return file.dtype(source);
  }

  @Override
  public Optional<MappedTensor> inPlace() {
    return expression.transposed() && expression.isMatrix()
        ? Optional.empty()
        : file.data(source).map(data -> new MappedTensor(dtype(), data));
  }

  @Override
  public MappedTensor read(Arena arena) {
    MappedTensor values = new MappedTensor(dtype(), file.read(source, arena));
    return expression.transposed() && expression.isMatrix()
        ? RowGather.transposed(values, expression.columns(), expression.rows(), arena)
        : values;
  }
}
