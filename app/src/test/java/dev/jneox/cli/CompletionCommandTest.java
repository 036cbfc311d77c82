package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompletionCommandTest {
  @TempDir private Path dir;

  private String completed(String... words) throws IOException {
    Output output = Output.of("completion", "bash");
    assertThat(output.code()).as(output.err()).isZero();
    Path script = Files.writeString(dir.resolve("jneox"), output.out());
    Process bash =
        new ProcessBuilder(
                "bash",
                "-c",
                ". '"
                    + script
                    + "'; COMP_WORDS=(jneox "
                    + String.join(" ", words)
                    + "); COMP_CWORD="
                    + words.length
                    + "; _complete_jneox; echo ${COMPREPLY[@]}")
            .redirectError(ProcessBuilder.Redirect.DISCARD) // it is no completion of a terminal
            .start();
    return new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
  }

  @Test
  void bashCompletesCommandsAndOptions() throws IOException {
    assertThat(completed("gen")).isEqualTo("generate");
    assertThat(completed("tokenizer", "tr")).isEqualTo("train");
    assertThat(completed("generate", "--max")).isEqualTo("--max-tokens");
  }

  @Test
  void zshGetsTheSameScriptAfterItsOwnSetUp() {
    String zsh = Output.of("completion", "zsh").out();
    assertThat(zsh).startsWith("autoload ").endsWith(Output.of("completion", "bash").out());
    assertThat(zsh).contains("bashcompinit");
  }

  @Test
  void anotherShellIsRefused() {
    Output output = Output.of("completion", "fish");
    assertThat(output.code()).isEqualTo(2);
    assertThat(output.err()).contains("fish", "expected one of bash, zsh");
  }
}
