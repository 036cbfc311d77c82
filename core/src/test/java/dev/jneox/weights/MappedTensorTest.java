package dev.jneox.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
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
  void valuesAreTheNearestOfTheType(Dtype dtype) {
    float[] all = Rounded.to(dtype, VALUES);
    MappedTensor mapped = written(dtype, VALUES);
    assertThat(mapped.size()).isEqualTo(VALUES.length);
    assertThat(mapped.floats()).isEqualTo(all);
    float[] some = new float[5];
    mapped.read(3, some, 1, 3);
    assertThat(some).containsExactly(0, all[3], all[4], all[5], 0);
  }

  private static MappedTensor written(Dtype dtype, float[] values) {
    MappedTensor written =
        new MappedTensor(dtype, MemorySegment.ofArray(new byte[values.length * dtype.bits() / 8]));
    written.write(0, values, 0, values.length);
    return written;
  }

  @Property
  void writingRoundsToTheNearestAndOfTwoToTheEven(@ForAll @Size(min = 1, max = 20) float[] values) {
    for (Dtype dtype : new Dtype[] {Dtype.F32, Dtype.BF16, Dtype.F16, Dtype.F64}) {
      assertThat(written(dtype, values).floats()).isEqualTo(Rounded.to(dtype, values));
    }
  }

  /** All that lie half-way between two values of a type, and those next to them. */
  @ParameterizedTest
  @EnumSource(
      value = Dtype.class,
      names = {"BF16", "F16"})
  void valuesBetweenTwoOfTheType(Dtype dtype) {
    float[] values = new float[6];
    for (int bits = 0; bits < 1 << 16; bits++) {
      byte[] two = {(byte) bits, (byte) (bits >> 8)};
      float exact = new MappedTensor(dtype, MemorySegment.ofArray(two)).floats()[0];
      if (Float.isFinite(exact) && exact != 0) {
        float between = (float) (exact + Rounded.step(dtype, exact) / 2);
        values[0] = exact;
        values[1] = Math.nextUp(exact);
        values[2] = Math.nextDown(exact);
        values[3] = between;
        values[4] = Math.nextUp(between);
        values[5] = Math.nextDown(between);
        assertThat(written(dtype, values).floats()).isEqualTo(Rounded.to(dtype, values));
      }
    }
  }

  @Test
  void onlyTypesOfWeightsAreTaken() {
    assertThatThrownBy(() -> new MappedTensor(Dtype.I8, MemorySegment.ofArray(new byte[4])))
        .hasMessage("I8 is not a type of weights");
  }
}
