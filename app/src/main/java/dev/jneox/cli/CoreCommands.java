package dev.jneox.cli;

import java.util.List;

/** Lists the commands that need no native library. */
final class CoreCommands implements CommandModule {
  private static final Need DATA =
      new Need("dev.jneox.data.Documents", "the jar of JNeoX's module data");

  @Override
  public List<Entry> commands() {
    return List.of(
        entry(Section.MACHINE, DoctorCommand.class),
        entry(Section.MACHINE, CompletionCommand.class),
        entry(Section.DATA, TokenizerCommand.class, DATA),
        entry(Section.DATA, PrepareCommand.class, DATA),
        entry(Section.DATA, DataCommand.class, DATA),
        entry(Section.DATA, CorpusCommand.class),
        entry(Section.INFERENCE, GenerateCommand.class),
        entry(Section.INFERENCE, CompleteCommand.class),
        entry(Section.INFERENCE, ChatCommand.class),
        entry(Section.INFERENCE, ScoreCommand.class, DATA),
        entry(Section.INFERENCE, BenchCommand.class),
        entry(Section.MODELS, DownloadCommand.class),
        entry(Section.MODELS, ConvertCommand.class),
        entry(Section.MODELS, QuantizeCommand.class),
        entry(Section.MODELS, SynthCommand.class),
        entry(Section.MODELS, InspectCommand.class),
        entry(Section.MODELS, VerifyCommand.class),
        entry(Section.MODELS, PublishCommand.class));
  }

  private static Entry entry(Section section, Class<?> command, Need... needs) {
    return new Entry(section, command, List.of(needs));
  }
}
