package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AfterCrashTest {
  private static final String MAPS =
      """
      Dynamic libraries:
      7f0000000000-7f0000010000 r--s 00000000 08:01 41    /models/other.gguf
      7f0000010000-7f0000020000 r--s 00000000 08:01 42    /models/größe a.gguf
      7f0000020000-7f0000030000 rw-p 00000000 00:00 0\s
      """;

  @TempDir Path dir;

  private String message(String report) throws IOException {
    return AfterCrash.message(Files.writeString(dir.resolve("hs_err.log"), report));
  }

  @Test
  void theFileThatWasCutShortIsNamed() throws IOException {
    assertThat(
            message(
                "siginfo: si_signo: 7 (SIGBUS), si_code: 2 (BUS_ADRERR), si_addr:"
                    + " 0x00007f0000010040\n"
                    + MAPS))
        .startsWith("/models/größe a.gguf: was cut short while it was in use")
        .doesNotContain("\n");
  }

  @Test
  void ofAnotherCrashTheReportIsNamed() throws IOException {
    String report = "the JVM crashed; its report is in " + dir.resolve("hs_err.log");
    assertThat(
            message(
                "siginfo: si_signo: 11 (SIGSEGV), si_code: 1, si_addr: 0x00007f0000010040\n"
                    + MAPS))
        .isEqualTo(report);
    assertThat(message("siginfo: si_signo: 7 (SIGBUS), si_addr: 0x00007f0000020040\n" + MAPS))
        .isEqualTo(report);
    assertThat(message("")).isEqualTo(report);
  }
}
