package dev.jneox.kernel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** What the CPU can do, as it says itself. */
public final class Cpu {
  private static final Set<String> FLAGS = read();

  private Cpu() {}

  /**
   * The CPU's instruction sets by the names that Linux gives them; none where they are not known,
   * under another system.
   */
  public static Set<String> flags() {
    return FLAGS;
  }

  /** Whether this is Linux on x86-64. */
  public static boolean isLinuxX64() {
    return System.getProperty("os.name").equals("Linux")
        && System.getProperty("os.arch").equals("amd64");
  }

  private static Set<String> read() {
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(line -> line.startsWith("flags") || line.startsWith("Features")) // x86, ARM
          .findFirst()
          .map(Cpu::words)
          .orElse(Set.of());
    } catch (IOException e) {
      return Set.of(); // not Linux
    }
  }

  private static Set<String> words(String line) {
    return Set.copyOf(List.of(line.split("\\s+")));
  }

  /** Threads that compute: {@code OMP_NUM_THREADS}, else the cores the JVM may use. */
  public static int threads() {
    String omp = System.getenv("OMP_NUM_THREADS");
    if (omp != null && omp.matches("[1-9][0-9]{0,3}")) {
      return Integer.parseInt(omp);
    }
    return Runtime.getRuntime().availableProcessors();
  }
}
