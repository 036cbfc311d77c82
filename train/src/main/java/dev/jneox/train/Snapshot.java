package dev.jneox.train;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Keeps a copy in memory of weights and moments of the whole model, which is written while the
 * training goes on. The memory is taken once and used for every save.
 */
final class Snapshot implements Checkpoint.Source, AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final Copy weights;
  private final Copy first;
  private final Copy second;

  /**
   * Takes the memory.
   *
   * @param progress called with each tensor that is read or copied
   */
  Snapshot(ModelSpec model, Runnable progress) {
    weights = new Copy(model, arena, progress);
    first = new Copy(model, arena, progress);
    second = new Copy(model, arena, progress);
  }

  /** Returns the bytes of memory that a copy of a model takes. */
  static long bytes(ModelSpec model) {
    return Checkpoint.bytes(model);
  }

  /** Copies what a source has. */
  void take(Checkpoint.Source source) {
    source.weights(weights::take);
    source.moment(true, first::take);
    source.moment(false, second::take);
  }

  @Override
  public void weights(Consumer<ModelWeights> reader) {
    reader.accept(weights);
  }

  @Override
  public void moment(boolean isFirst, Consumer<ModelWeights> reader) {
    reader.accept(isFirst ? first : second);
  }

  @Override
  public void close() {
    arena.close();
  }

  private static final class Copy implements ModelWeights {
    private final ModelSpec model;
    private final Runnable progress;
    private final Map<ParamId, StoredTensor> tensors = new LinkedHashMap<>();

    Copy(ModelSpec model, Arena arena, Runnable progress) {
      this.model = model;
      this.progress = progress;
      for (Param param : model.parameters()) {
        tensors.put(
            param.id(), new Kept(param, arena.allocate(param.elements() * Float.BYTES, 64)));
      }
    }

    void take(ModelWeights source) {
      tensors.forEach(
          (id, tensor) -> {
            try (Arena scratch = Arena.ofShared()) {
              progress.run();
              tensor.read(scratch).data().copyFrom(source.holder(id).read(scratch).data());
            }
          });
    }

    @Override
    public ModelSpec spec() {
      return model;
    }

    @Override
    public List<StoredTensor> tensors() {
      return List.copyOf(tensors.values());
    }

    @Override
    public StoredTensor holder(ParamId id) {
      progress.run();
      StoredTensor tensor = tensors.get(id);
      if (tensor == null) {
        throw new IllegalArgumentException("no parameter " + id);
      }
      return tensor;
    }
  }

  private record Kept(Param param, MemorySegment values) implements StoredTensor {
    @Override
    public TensorExpression expression() {
      return new TensorExpression(
          param.id().toString(), List.of(param), RowOrder.CONCATENATED, false);
    }

    @Override
    public String type() {
      return Dtype.F32.name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.of(new MappedTensor(Dtype.F32, values));
    }

    @Override
    public MappedTensor read(Arena scratch) {
      return new MappedTensor(Dtype.F32, values);
    }
  }
}
