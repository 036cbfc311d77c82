package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ShellTest {
  @ParameterizedTest
  @ValueSource(
      strings = {"run", "my run", "it's", "a\"b", "$HOME", "a\\b", "*", "~", "", "ä;b", "--x=y z"})
  void aShellReadsAQuotedWordAsItWas(String word) throws IOException {
    Process shell = new ProcessBuilder("sh", "-c", "printf %s " + Shell.quoted(word)).start();
    assertThat(new String(shell.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
        .isEqualTo(word);
  }

  @Test
  void aPlainPathStaysAsItIs() {
    assertThat(Shell.quoted(Path.of("run/global_step10"))).isEqualTo("run/global_step10");
  }
}
