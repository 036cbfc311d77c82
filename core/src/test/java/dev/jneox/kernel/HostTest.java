package dev.jneox.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class HostTest {
  @Test
  void thisMachineIsDescribed() {
    Host host = Host.read();
    assertThat(host.java().version()).isEqualTo(System.getProperty("java.runtime.version"));
    assertThat(host.cpu().threads()).isEqualTo(Cpu.threads());
    assertThat(host.cpu().machineCores()).isGreaterThanOrEqualTo(host.cpu().usableCores());
    assertThat(host.memory().available()).isBetween(1L << 20, host.memory().machine());
  }

  @Test
  void readsLinuxsFiles() {
    String cpuinfo =
        """
        processor\t: 0
        model name\t: AMD EPYC
        flags\t\t: fpu avx2 avx512f avx512_bf16

        processor\t: 1
        model name\t: AMD EPYC
        flags\t\t: fpu avx2 avx512f avx512_bf16
        """;
    assertThat(Host.cpu(cpuinfo, 1, 1, 512, true, "kernels"))
        .isEqualTo(
            new Host.Processor(
                "AMD EPYC",
                List.of("AVX2", "AVX-512", "AVX-512 BF16"),
                2,
                1,
                1,
                512,
                true,
                "kernels"));
    String meminfo = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n";
    assertThat(Host.memory(meminfo, 1_024_000, 5, 7))
        .isEqualTo(new Host.Memory(1_024_000, 1_024_000, 614_400, 7));
    assertThat(Host.memory(meminfo, 500_000, 5, 7))
        .isEqualTo(new Host.Memory(1_024_000, 500_000, 5, 7));
  }

  @Test
  void doesWithoutLinuxsFiles() {
    assertThat(Host.cpu("", 8, 8, 128, false, "kernels"))
        .isEqualTo(
            new Host.Processor(
                System.getProperty("os.arch"), List.of(), 8, 8, 8, 128, false, "kernels"));
    assertThat(Host.memory("", 100, 50, 7)).isEqualTo(new Host.Memory(100, 100, 50, 7));
  }
}
