package dev.jneox.cli.eval;

import dev.jneox.cli.CommandModule;
import java.util.List;

/** Adds the command that evaluates models, which needs the modules data and research. */
public final class EvalCommands implements CommandModule {
  private static final Need DATA =
      new Need("dev.jneox.data.Documents", "the jar of JNeoX's module data");
  private static final Need RESEARCH =
      new Need("dev.jneox.eval.Evaluation", "the jar of JNeoX's module research");

  @Override
  public List<Entry> commands() {
    return List.of(new Entry(Section.INFERENCE, EvalCommand.class, List.of(DATA, RESEARCH)));
  }
}
