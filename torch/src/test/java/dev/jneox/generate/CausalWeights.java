package dev.jneox.generate;

import dev.jneox.checkpoint.MappedTensor;
import dev.jneox.checkpoint.ModelWeights;
import dev.jneox.checkpoint.RowOrder;
import dev.jneox.checkpoint.StoredTensor;
import dev.jneox.checkpoint.TensorExpression;
import dev.jneox.model.ModelSpec;
import dev.jneox.torch.CausalLM;
import dev.jneox.torch.Tensors;
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
                            param.id().toString(), List.of(param), RowOrder.IN_TURN, false),
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
