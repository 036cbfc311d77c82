package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.kernel.Host;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("slow")
class DoctorCommandTest {
  private static final Host HOST =
      new Host(
          new Host.Java("25.0.3+9", "Eclipse Adoptium", "OpenJDK 64-Bit Server VM", "/jdk"),
          new Host.Processor(
              "EPYC",
              List.of("AVX2", "AVX-512", "AVX-512 BF16"),
              2,
              2,
              2,
              512,
              true,
              "machine code (AVX2, FMA)"),
          new Host.Memory(24_000_000_000L, 24_000_000_000L, 20_000_000_000L, 8_000_000_000L),
          "madvise");
  private static final Diagnosis.Work WORK = new Diagnosis.Work("/work", 80_000_000_000L);
  private static final Diagnosis.Read READ = new Diagnosis.Read(22e9, 45e9);
  private static final LibtorchFacts.Libraries LIBRARIES =
      new LibtorchFacts.Libraries(
          "2.10.0", "3.7.1", "4.5", "AVX512", "MKL 2025.3", "/cache/libmkl_rt.so.2");
  private static final LibtorchFacts LIBTORCH =
      new LibtorchFacts(
          LIBRARIES,
          new LibtorchFacts.Cache("/cache", 80_000_000_000L, 818_000_000L, List.of()),
          new LibtorchFacts.Rates(190e9, 410e9, 22e9, 45e9));
  private static final Diagnosis BEST =
      new Diagnosis(HOST, WORK, Optional.of(LIBTORCH), READ, Map.of(), 0.01);

  @Test
  void measuresThisMachine() throws Exception {
    Output output = Output.of("doctor", "--json");
    assertThat(output.code()).isZero();
    JsonNode tree = new ObjectMapper().readTree(output.out());
    assertThat(tree.at("/java/version").asText())
        .isEqualTo(System.getProperty("java.runtime.version"));
    assertThat(tree.at("/cpu/vector_bits").asInt()).isBetween(64, 2048);
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
            new Host(
                new Host.Java("25", "IBM", "Eclipse OpenJ9 VM", "/jdk"),
                new Host.Processor(
                    "EPYC",
                    List.of("AVX2", "AVX-512"),
                    8,
                    4,
                    1,
                    256,
                    false,
                    "Vector API (256 bits)"),
                new Host.Memory(64_000_000_000L, 3_000_000_000L, 2_000_000_000L, 1_000_000_000L),
                "never"),
            new Diagnosis.Work("/work", 1_000_000_000L),
            Optional.of(
                new LibtorchFacts(
                    LIBRARIES,
                    new LibtorchFacts.Cache(
                        "/cache",
                        100_000_000L,
                        818_000_000L,
                        List.of(new LibtorchFacts.Unused("/old", 780_000_000L))),
                    new LibtorchFacts.Rates(100e9, 50e9, 10e9, 10e9))),
            READ,
            Map.of("OMP_WAIT_POLICY", "ACTIVE"),
            0.6);
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
            line -> assertThat(line).startsWith("780.0 MB in /old").contains("delete it"),
            line -> assertThat(line).contains("transparent_hugepage"),
            line -> assertThat(line).contains("precision=fp32"));
    assertThat(DoctorCommand.text(worst))
        .contains("4 of 8 cores usable", "kernels: Vector API (256 bits)\n")
        .contains("What to change:\n  - other programs");
  }

  @Test
  void withoutLibtorchTheRestIsTold() throws Exception {
    Diagnosis diagnosis = new Diagnosis(HOST, WORK, Optional.empty(), READ, Map.of(), 0.01);
    assertThat(DoctorCommand.text(diagnosis))
        .contains(
            "vectors      512 bits in the JVM; AVX2, AVX-512, AVX-512 BF16\n",
            "libtorch     not on the class path",
            "22.0 GB/s on one thread, 45.0 GB/s on 2")
        .doesNotContain("GEMM", "BLAS")
        .endsWith("Nothing to change.\n");
    JsonNode tree = new ObjectMapper().readTree(DoctorCommand.json(diagnosis));
    assertThat(tree.fieldNames()).toIterable().doesNotContain("libraries");
    assertThat(tree.get("rates").fieldNames())
        .toIterable()
        .containsExactly("threads", "read_one_thread", "read_all_threads");
  }

  @Test
  void theJsonKeepsItsNames() throws Exception {
    JsonNode tree = new ObjectMapper().readTree(DoctorCommand.json(BEST));
    assertThat(tree.fieldNames())
        .toIterable()
        .containsExactly(
            "java",
            "cpu",
            "memory",
            "disk",
            "libraries",
            "rates",
            "overridden",
            "other_load",
            "huge_pages",
            "advice");
    assertThat(tree.get("cpu").fieldNames())
        .toIterable()
        .containsExactly(
            "name",
            "instructions",
            "machine_cores",
            "usable_cores",
            "threads",
            "vector_bits",
            "machine_code",
            "kernels");
    assertThat(tree.get("libraries").fieldNames())
        .toIterable()
        .containsExactly("libtorch", "one_dnn", "open_mp", "cpu_capability", "blas", "blas_path");
    assertThat(tree.get("rates").toString())
        .isEqualTo(
            "{\"threads\":2,\"gemm_float\":1.9E11,\"gemm_bfloat16\":4.1E11,"
                + "\"read_one_thread\":2.2E10,\"read_all_threads\":4.5E10}");
    assertThat(tree.get("disk").fieldNames())
        .toIterable()
        .containsExactly("work", "work_free", "cache", "cache_free", "cache_bytes", "unused");
  }

  @Test
  void namesVariablesThatTheUserReplaced() {
    Relaunch launch = new Relaunch(Map.of("A", "1", "B", "2", "C", "3"), List.of());
    assertThat(Diagnosis.overridden(launch, Map.of("A", "1", "B", "9")))
        .isEqualTo(Map.of("B", "9"));
  }
}
