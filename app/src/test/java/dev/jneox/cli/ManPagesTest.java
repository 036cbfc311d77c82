package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ManPagesTest {
  @TempDir private Path folder;

  @Test
  void eachCommandHasAManualPageOfItsHelp() throws IOException {
    ManPages.write(folder.toFile());
    assertThat(folder.resolve("jneox.adoc"))
        .content()
        .contains("= jneox(1)", ":doctype: manpage", "== Synopsis", "*generate*");
    assertThat(folder.resolve("jneox-generate.adoc"))
        .content()
        .contains(
            "= jneox-generate(1)", "*--max-tokens*=_N_", "== Notes", "jneox generate --model DIR");
    assertThat(folder.resolve("jneox-tokenizer-train.adoc")).exists();
    assertThat(folder.resolve("jneox-train.adoc")).exists();
  }
}
