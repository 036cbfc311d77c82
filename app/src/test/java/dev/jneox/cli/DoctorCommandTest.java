package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.kernel.Kernels;
import dev.jneox.torch.Libraries;
import dev.jneox.torch.Machine;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("slow")
class DoctorCommandTest {
  private static final Diagnosis.Java JAVA =
      new Diagnosis.Java("25.0.3+9", "Eclipse Adoptium", "OpenJDK 64-Bit Server VM", "/jdk");
  private static final Diagnosis.Cpu CPU =
      new Diagnosis.Cpu(
          "EPYC",
          List.of("AVX2", "AVX-512", "AVX-512 BF16"),
          2,
          2,
          2,
          512,
          true,
          "machine code (AVX2, FMA)");
  private static final Diagnosis.Memory MEMORY =
      new Diagnosis.Memory(24_000_000_000L, 24_000_000_000L, 20_000_000_000L, 8_000_000_000L);
  private static final Diagnosis.Disk DISK =
      new Diagnosis.Disk(
          "/work", 80_000_000_000L, "/cache", 80_000_000_000L, 818_000_000L, List.of());
  private static final Libraries LIBRARIES =
      new Libraries("2.10.0", "3.7.1", "4.5", "AVX512", "MKL 2025.3", "/cache/libmkl_rt.so.2");
  private static final Machine RATES = new Machine(2, 190e9, 410e9, 22e9, 45e9);
  private static final Diagnosis BEST =
      new Diagnosis(JAVA, CPU, MEMORY, DISK, LIBRARIES, RATES, Map.of(), 0.01, "madvise");

  @Test
  void measuresThisMachine() throws Exception {
    Output output = Output.of("doctor", "--json");
    assertThat(output.code()).isZero();
    JsonNode tree = new ObjectMapper().readTree(output.out());
    assertThat(tree.at("/java/version").asText())
        .isEqualTo(System.getProperty("java.runtime.version"));
    assertThat(tree.at("/cpu/vector_bits").asInt()).isBetween(64, 2048);
    assertThat(tree.at("/cpu/kernels").asText()).isEqualTo(Kernels.description());
    assertThat(tree.at("/memory/available").asLong())
        .isBetween(1L << 20, tree.at("/memory/machine").asLong());
    assertThat(tree.at("/disk/work_free").asLong()).isPositive();
    assertThat(tree.at("/disk/cache_bytes").asLong()).isGreaterThan(100_000_000L);
    assertThat(tree.at("/libraries/blas").asText()).matches("(MKL|OpenBLAS) \\d[\\w.]+");
    assertThat(tree.at("/libraries/libtorch").asText()).matches("2\\.\\d+\\.\\d+");
    assertThat(tree.at("/rates/gemm_float").asDouble()).isBetween(1e8, 1e15);
    assertThat(tree.at("/rates/gemm_bfloat16").asDouble()).isBetween(1e8, 1e15);
    assertThat(tree.at("/rates/read_one_thread").asDouble()).isBetween(1e8, 1e13);
    assertThat(tree.at("/rates/read_all_threads").asDouble()).isBetween(1e8, 1e14);
    assertThat(tree.get("advice").isArray()).isTrue();
  }

  @Test
  void whereAllIsBestThereIsNothingToChange() {
    assertThat(BEST.advice()).isEmpty();
    assertThat(DoctorCommand.text(BEST))
        .contains(
            "float32 190 GFLOP/s, bfloat16 410 GFLOP/s",
            "/cache (native libraries, 0.8 GB, verified)",
            "22.0 GB/s on one thread, 45.0 GB/s on 2",
            "EPYC, 2 cores\n",
            "inference    kernels: machine code (AVX2, FMA)\n",
            "MKL 2025.3")
        .endsWith("Nothing to change.\n");
  }

  @Test
  void everyShortageHasItsLine() {
    Diagnosis worst =
        new Diagnosis(
            new Diagnosis.Java("25", "IBM", "Eclipse OpenJ9 VM", "/jdk"),
            new Diagnosis.Cpu(
                "EPYC", List.of("AVX2", "AVX-512"), 8, 4, 1, 256, false, "Vector API (256 bits)"),
            new Diagnosis.Memory(64_000_000_000L, 3_000_000_000L, 2_000_000_000L, 1_000_000_000L),
            new Diagnosis.Disk(
                "/work",
                1_000_000_000L,
                "/cache",
                100_000_000L,
                818_000_000L,
                List.of(new Diagnosis.Unused("/old", 780_000_000L))),
            LIBRARIES,
            new Machine(1, 100e9, 50e9, 10e9, 10e9),
            Map.of("OMP_WAIT_POLICY", "ACTIVE"),
            0.6,
            "never");
    assertThat(worst.advice())
        .satisfiesExactly(
            line -> assertThat(line).contains("60 % of the CPU"),
            line -> assertThat(line).startsWith("OMP_WAIT_POLICY=ACTIVE").endsWith("unset it"),
            line -> assertThat(line).contains("4 of the machine's 8 cores"),
            line -> assertThat(line).startsWith("OMP_NUM_THREADS=1"),
            line -> assertThat(line).contains("multiplies in Java").contains("executable"),
            line -> assertThat(line).contains("256-bit").contains("-XX:UseAVX=3"),
            line -> assertThat(line).contains("OpenJ9"),
            line -> assertThat(line).contains("3.0 of the machine's 64.0 GB"),
            line -> assertThat(line).contains("2.0 GB of memory are available"),
            line -> assertThat(line).contains("1.0 GB are free in /work"),
            line ->
                assertThat(line).contains("0.1 GB are free in /cache").contains("JNEOX_NATIVES"),
            line -> assertThat(line).startsWith("0.8 GB in /old").contains("delete it"),
            line -> assertThat(line).contains("transparent_hugepage"),
            line -> assertThat(line).contains("precision=fp32"));
    assertThat(DoctorCommand.text(worst))
        .contains("4 of 8 cores usable", "kernels: Vector API (256 bits)\n")
        .contains("What to change:\n  - other programs");
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
    assertThat(Diagnosis.cpu(cpuinfo, 1, 1, 512, true, "machine code"))
        .isEqualTo(
            new Diagnosis.Cpu(
                "AMD EPYC",
                List.of("AVX2", "AVX-512", "AVX-512 BF16"),
                2,
                1,
                1,
                512,
                true,
                "machine code"));
    String meminfo = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\n";
    assertThat(Diagnosis.memory(meminfo, 1_024_000, 5, 7))
        .isEqualTo(new Diagnosis.Memory(1_024_000, 1_024_000, 614_400, 7));
    assertThat(Diagnosis.memory(meminfo, 500_000, 5, 7))
        .isEqualTo(new Diagnosis.Memory(1_024_000, 500_000, 5, 7));
  }

  @Test
  void doesWithoutLinuxsFiles() {
    assertThat(Diagnosis.cpu("", 8, 8, 128, false, "scalar Java"))
        .isEqualTo(
            new Diagnosis.Cpu(
                System.getProperty("os.arch"), List.of(), 8, 8, 8, 128, false, "scalar Java"));
    assertThat(Diagnosis.memory("", 100, 50, 7)).isEqualTo(new Diagnosis.Memory(100, 100, 50, 7));
  }

  @Test
  void namesVariablesThatTheUserReplaced() {
    Relaunch launch = new Relaunch(Map.of("A", "1", "B", "2", "C", "3"), List.of());
    assertThat(Diagnosis.overridden(launch, Map.of("A", "1", "B", "9")))
        .isEqualTo(Map.of("B", "9"));
  }
}
