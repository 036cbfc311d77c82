package dev.jneox.infer;

import dev.jneox.format.safetensors.Safetensors;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Reads the expected values of the parity folders. */
final class Parity {
  private Parity() {}

  static int[] ints(Safetensors file, String name) {
    MemorySegment data = file.data(name).orElseThrow();
    int[] values = new int[(int) (data.byteSize() / Long.BYTES)];
    for (int i = 0; i < values.length; i++) {
      values[i] = Math.toIntExact(data.get(ValueLayout.JAVA_LONG_UNALIGNED, i * 8L));
    }
    return values;
  }

  static float[] floats(Safetensors file, String name) {
    return file.data(name).orElseThrow().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
  }
}
