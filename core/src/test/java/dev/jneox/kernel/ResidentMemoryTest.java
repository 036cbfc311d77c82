package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class ResidentMemoryTest {
  @Test
  @EnabledOnOs(OS.LINUX)
  void theHeapInUseIsResident() {
    long used = 1 << 20; // any JVM's
    assertThat(ResidentMemory.now().orElseThrow()).isGreaterThan(used);
    assertThat(ResidentMemory.peak().orElseThrow()).isGreaterThan(used);
  }
}
