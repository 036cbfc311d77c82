package dev.jneox.cli;

import java.io.PrintWriter;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox completion}: a script by which a shell completes commands and options. */
@Command(
    name = "completion",
    mixinStandardHelpOptions = true,
    description = {
      "Print a script by which a shell completes the commands and options of jneox.",
      "It is made of the commands that are there, so print it anew after an update."
    },
    footer = {
      "",
      "Examples: for this shell; for every later bash, or zsh:",
      "  source <(jneox completion bash)",
      "  jneox completion bash > ~/.local/share/bash-completion/completions/jneox",
      "  jneox completion zsh > ~/.jneox-completion",
      "  echo '. ~/.jneox-completion' >> ~/.zshrc"
    })
final class CompletionCommand implements Runnable {
  /** Shells; picocli writes one script for both, which tells them apart. */
  enum ShellName {
    BASH,
    ZSH
  }

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "bash|zsh", description = "The shell.")
  private ShellName shell;

  @Override
  public void run() {
    PrintWriter out = spec.commandLine().getOut();
    if (shell == ShellName.ZSH) {
      out.println("autoload -U +X compinit && compinit"); // the script itself loads bashcompinit
    }
    out.print(AutoComplete.bash("jneox", Main.commandLine()));
    out.flush();
  }
}
