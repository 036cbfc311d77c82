package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.cli.CommandModule.Entry;
import dev.jneox.cli.CommandModule.Need;
import dev.jneox.cli.CommandModule.Section;
import java.util.List;
import org.junit.jupiter.api.Test;

class CommandsTest {
  @Test
  void theHelpListsTheCommandsOfAllModulesByStage() {
    assertThat(Commands.all().stream().map(Commands::name))
        .containsExactly(
            "demo",
            "doctor",
            "completion",
            "tokenizer",
            "prepare",
            "data",
            "corpus",
            "train",
            "launch",
            "schedule",
            "generate",
            "complete",
            "chat",
            "score",
            "bench",
            "eval",
            "serve",
            "download",
            "convert",
            "quantize",
            "synth",
            "inspect",
            "verify",
            "publish");
    assertThat(Commands.find("train")).isPresent();
    assertThat(Commands.find("no-such-command")).isEmpty();
    assertThat(Commands.missing("no-such-command")).isEmpty();
  }

  @Test
  void aNeedIsMetByAClassOfTheClassPath() {
    Need met = new Need("dev.jneox.train.Trainer", "a jar");
    Need missing = new Need("dev.jneox.train.NoSuchClass", "a jar");
    assertThat(met.isMet()).isTrue();
    assertThat(missing.isMet()).isFalse();
    assertThat(new Entry(Section.DATA, DataCommand.class, List.of(met, missing)).missing())
        .contains(missing);
    assertThat(new Entry(Section.DATA, DataCommand.class, List.of(met)).missing()).isEmpty();
  }
}
