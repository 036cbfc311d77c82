package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.List;
import org.junit.jupiter.api.Test;

class KernelsTest {
  @Test
  void theFastestThatRunHereAreChosenAndOthersByName() {
    boolean machineCode = Cpu.isLinuxX64() && Cpu.flags().containsAll(List.of("avx2", "fma"));
    assertThat(Kernels.choose("").name()).isEqualTo(machineCode ? "machine-code" : "vector");
    assertThat(Kernels.available()).extracting(Kernels::name).startsWith("scalar", "vector");
    for (Kernels kernels : Kernels.available()) {
      assertThat(Kernels.choose(kernels.name())).hasSameClassAs(kernels);
    }
    assertThatThrownBy(() -> Kernels.choose("neon"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("-Djneox.kernels: expected one of [scalar, vector")
        .hasMessageEndingWith("found neon");
  }

  @Test
  void theyDescribeThemselves() {
    assertThat(Kernels.description()).isEqualTo(Kernels.chosen().toString());
    assertThat(Kernels.machineCode()).isEqualTo(Kernels.chosen().name().equals("machine-code"));
    assertThat(new ScalarKernels()).hasToString("scalar Java");
    assertThat(new VectorKernels()).hasToString("Vector API (" + Kernels.vectorBits() + " bits)");
    assertThat(Kernels.vectorBits()).isGreaterThanOrEqualTo(64);
  }
}
