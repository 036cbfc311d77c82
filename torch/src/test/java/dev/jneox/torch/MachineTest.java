package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.kernel.MemoryRate;
import dev.jneox.weights.Dtype;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("slow")
class MachineTest {
  @Test
  void readsEveryLong() {
    try (Arena arena = Arena.ofConfined()) {
      long[] values = new Random(1).longs(3 << 13).toArray();
      MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_LONG, values);
      long sum = 0;
      for (long value : values) {
        sum += value;
      }
      assertThat(MemoryRate.sum(memory)).isEqualTo(sum);
    }
  }

  @Test
  void measuresAGemmRateOnceAProcess() {
    double rate = Machine.gemmRate(Dtype.F32, Device.CPU);
    assertThat(rate).isBetween(1e8, 1e15);
    long start = System.nanoTime();
    assertThat(Machine.gemmRate(Dtype.F32, Device.CPU)).isEqualTo(rate);
    assertThat(System.nanoTime() - start).isLessThan(50_000_000);
  }

  @Test
  void namesTheLibrariesItRunsOn() {
    Libraries libraries = Libraries.loaded();
    assertThat(libraries.libtorch()).matches("2\\.\\d+\\.\\d+");
    assertThat(libraries.oneDnn()).matches("\\d+\\.\\d+\\.\\d+");
    assertThat(libraries.openMp()).matches("\\d+\\.\\d+");
    assertThat(libraries.blas()).matches("(MKL|OpenBLAS) \\d[\\w.]+");
    assertThat(libraries.blasPath()).isNotEmpty();
  }
}
