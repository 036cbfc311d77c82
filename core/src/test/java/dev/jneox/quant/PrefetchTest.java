package dev.jneox.quant;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class PrefetchTest {
  /** Weights end, and what is asked for ahead of their end is anything: the JVM must outlive this. */
  @Test
  void memoryThatIsNotThereMayBeAskedForAndNothingChanges() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(1 << 16, 64);
      memory.fill((byte) 7);
      for (long bytes : new long[] {1, 64, 1152, 1 << 16}) {
        Prefetch.lines(memory.address(), bytes);
        Prefetch.lines(memory.address() + memory.byteSize() - 1, bytes);
        Prefetch.lines(4096, bytes);
        Prefetch.lines(Long.MAX_VALUE - (1 << 20), bytes);
      }
      assertThat(memory.toArray(ValueLayout.JAVA_BYTE)).containsOnly(7);
    }
  }
}
