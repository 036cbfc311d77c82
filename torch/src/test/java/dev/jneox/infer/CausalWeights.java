package dev.jneox.infer;

import dev.jneox.model.ModelSpec;
import dev.jneox.torch.CausalLM;
import dev.jneox.torch.Tensors;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.RowOrder;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;

/** Gives the weights of a {@link CausalLM}, which stays open for as long as they are used. */
record CausalWeights(ModelSpec spec, List<StoredTensor> tensors) implements ModelWeights {
  CausalWeights(CausalLM model) {
    this(
        model.spec(),
        model.spec().parameters().stream()
            .<StoredTensor>map(
                param ->
                    new InLibtorch(
                        new TensorExpression(
                            param.id().toString(), List.of(param), RowOrder.CONCATENATED, false),
                        Tensors.mapped(model.weights().get(param.id()))))
            .toList());
  }

  private record InLibtorch(TensorExpression expression, MappedTensor values)
      implements StoredTensor {
    @Override
    public String type() {
      return values.dtype().name();
    }

    @Override
    public Optional<MappedTensor> inPlace() {
      return Optional.of(values);
    }

    @Override
    public MappedTensor read(Arena arena) {
      return values;
    }
  }
}
