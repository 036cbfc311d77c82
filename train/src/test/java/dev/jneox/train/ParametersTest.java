package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.dist.Shard;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.torch.Device;
import dev.jneox.weights.CanonicalNames;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.TensorExpression;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ParametersTest {
  static List<ModelSpec> specs() {
    return List.of(GradientStepTest.llama(), ModelSpec.neox(61, 33, 2, 3, 16));
  }

  private static Parameters numbered(ModelSpec spec) {
    Parameters parameters = new Parameters(spec, Dtype.F32);
    for (long i = 0; i < parameters.length(); i++) {
      parameters.weights().memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, i);
    }
    return parameters;
  }

  @ParameterizedTest
  @MethodSource("specs")
  void whatOneProductMakesLiesWithoutAGap(ModelSpec spec) {
    try (Parameters parameters = new Parameters(spec, Dtype.F32)) {
      for (ParamId.Kind kind : ParamId.Kind.values()) {
        assertTogether(parameters, kind, Part.QUERY, Part.KEY, Part.VALUE);
        assertTogether(parameters, kind, Part.GATE, Part.UP);
      }
      long end = 0;
      for (Parameters.Slot slot : parameters.slots()) {
        assertThat(slot.offset()).as(slot.id().toString()).isBetween(end, end + 15);
        end = slot.end();
      }
      for (Parameters.Run run : parameters.runs()) {
        assertThat(run.offset() % 16).isZero();
      }
      assertThat(parameters.slots()).hasSize(spec.parameters().size());
      assertThatThrownBy(
              () ->
                  parameters.weightData(
                      ParamId.weight(0, Part.QUERY), ParamId.weight(0, Part.VALUE)))
          .hasMessage("blocks.0.value.weight does not lie behind blocks.0.query.weight");
    }
  }

  private static void assertTogether(Parameters parameters, ParamId.Kind kind, Part... parts) {
    for (int i = 1; i < parts.length; i++) {
      ParamId first = new ParamId(1, parts[i - 1], kind);
      if (parameters.has(first)) {
        assertThat(parameters.slot(new ParamId(1, parts[i], kind)).offset())
            .isEqualTo(parameters.slot(first).end());
      }
    }
  }

  /** GPT-NeoX's order: of each head its query, key and value. */
  @Test
  void aFusedTensorIsGatheredPerHead() {
    ModelSpec spec = ModelSpec.neox(61, 33, 2, 3, 16);
    try (Parameters parameters = numbered(spec);
        Arena arena = Arena.ofConfined()) {
      TensorExpression fused =
          CanonicalNames.of(spec).stream()
              .filter(tensor -> tensor.name().equals("layers.1.attention.query_key_value.weight"))
              .findFirst()
              .orElseThrow();
      float[] found = parameters.weights().read(fused, arena).floats();
      long first = parameters.slot(ParamId.weight(1, Part.QUERY)).offset();
      int at = 0;
      for (int head = 0; head < 3; head++) {
        for (int part = 0; part < 3; part++) {
          for (int i = 0; i < 11 * 33; i++) {
            assertThat(found[at++]).isEqualTo(first + (part * 33 + head * 11) * 33 + i);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("specs")
  void scatteredIsWhatWasGathered(ModelSpec spec) {
    try (Parameters from = numbered(spec);
        Parameters host = new Parameters(spec, Dtype.F32);
        Parameters device =
            new Parameters(Shard.whole(spec), Dtype.F32, Dtype.F32, Device.CPU, false)) {
      assertThatThrownBy(() -> device.weights().memory()).hasMessageContaining("are on cpu");
      for (Parameters into : List.of(host, device)) {
        for (TensorExpression tensor : CanonicalNames.of(spec)) {
          try (Arena arena = Arena.ofShared()) {
            into.secondMoments().scatter(tensor, from.weights().read(tensor, arena).data());
          }
        }
        into.load(from.weights());
        for (Parameters.Slot slot : from.slots()) {
          float[] expected = from.weights().floats(slot.id());
          assertThat(into.secondMoments().floats(slot.id()))
              .as(slot.id().toString())
              .isEqualTo(expected);
          assertThat(into.weights().floats(slot.id())).isEqualTo(expected);
          assertThat(into.gradients().floats(slot.id())).containsOnly(0);
        }
      }
    }
  }
}
