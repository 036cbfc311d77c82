package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import java.util.LinkedHashMap;
import java.util.Map;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Runs the model on libtorch's meta device, which has shapes and no values: an operation that mixes
 * it with a tensor on the CPU fails, as it would on a GPU.
 */
class MetaDeviceTest {
  @Provide
  static Arbitrary<ModelSpec> specs() {
    return CausalLMTest.specs();
  }

  private static Tensor meta(Tensor tensor) {
    return tensor.to(new Device(DeviceType.Meta), tensor.scalar_type());
  }

  private static CausalLM model(ModelSpec spec) {
    Map<ParamId, Tensor> weights = new LinkedHashMap<>();
    for (Param param : spec.parameters()) {
      weights.put(param.id(), meta(Tensors.zeros(ScalarType.Float, param.axes())));
    }
    return new CausalLM(spec, weights);
  }

  /**
   * All but the embedding and the fused norm and attention, which the meta device does not have.
   */
  @Property(tries = 40, edgeCases = EdgeCasesMode.NONE)
  void everyValueIsWhereTheWeightsAre(@ForAll @From("specs") ModelSpec spec) {
    try (PointerScope _ = new PointerScope();
        CausalLM model = model(spec);
        KvCache cache = new KvCache(model, 2, 12)) {
      pass(model, null);
      pass(model, cache);
      cache.advance(6);
      pass(model, cache);
    }
  }

  private static void pass(CausalLM model, KvCache cache) {
    Captured seen = new Captured(name -> true);
    Tensor zeros = Tensors.zeros(ScalarType.Float, 2, 6, model.spec().width());
    Tensor x = meta(zeros).requires_grad_(cache == null);
    Tensor y = x;
    for (int l = 0; l < model.spec().layers(); l++) {
      y = model.block(l, y, cache, seen, Segment.WHOLE);
    }
    Tensor sum = model.logits(model.normed(y, seen)).sum();
    if (cache == null) { // which is not differentiable
      sum.backward();
      assertThat(x.grad().is_meta()).isTrue();
    }
    assertThat(seen.values).isNotEmpty();
    seen.values.forEach((name, value) -> assertThat(value.is_meta()).as(name).isTrue());
  }
}
