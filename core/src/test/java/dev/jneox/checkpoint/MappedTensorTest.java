package dev.jneox.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.tensor.Tensors;
import java.lang.foreign.MemorySegment;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MappedTensorTest {
  private static final float[] VALUES = {
    0, -0f, 1, -1.5f, 3.1415927f, 1e-3f, -65504, 1 + 0x1p-8f, 1 + 3 * 0x1p-8f, Float.NaN
  };

  @ParameterizedTest
  @EnumSource(
      value = Dtype.class,
      names = {"F32", "BF16", "F16", "F64"})
  void valuesAreThoseOfLibtorch(Dtype dtype) {
    try (Tensor fp32 = Tensors.of(VALUES, VALUES.length);
        Tensor stored = fp32.to(dtype.scalarType())) {
      MappedTensor mapped = new MappedTensor(dtype, Tensors.segment(stored));
      assertThat(mapped.size()).isEqualTo(VALUES.length);
      assertThat(mapped.floats()).isEqualTo(Tensors.floats(stored));
      float[] some = new float[5];
      mapped.read(3, some, 1, 3);
      float[] all = Tensors.floats(stored);
      assertThat(some).containsExactly(0, all[3], all[4], all[5], 0);
    }
  }

  @Property
  void writingRoundsAsLibtorchDoes(@ForAll @Size(min = 1, max = 20) float[] values) {
    for (Dtype dtype : new Dtype[] {Dtype.F32, Dtype.BF16}) {
      try (Tensor fp32 = Tensors.of(values, values.length);
          Tensor expected = fp32.to(dtype.scalarType())) {
        MappedTensor written =
            new MappedTensor(
                dtype, MemorySegment.ofArray(new byte[values.length * dtype.bits() / 8]));
        written.write(0, values, 0, values.length);
        assertThat(written.floats()).isEqualTo(Tensors.floats(expected));
      }
    }
  }

  @Test
  void onlyTypesOfWeightsAreTaken() {
    assertThatThrownBy(() -> new MappedTensor(Dtype.I8, MemorySegment.ofArray(new byte[4])))
        .hasMessage("I8 is no type of a weight");
  }
}
