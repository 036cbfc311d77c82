package dev.jneox.cli.train;

import dev.jneox.cli.CommandModule;
import dev.jneox.cli.LaunchCommand;
import dev.jneox.cli.LibtorchFacts;
import dev.jneox.convert.RandomInit;
import dev.jneox.tokenizer.Tokenizer;
import java.util.List;
import java.util.Optional;

/** Adds the commands that train, and what else needs the modules train and torch. */
public final class TrainingCommands implements CommandModule {
  private static final Need TRAIN =
      new Need(
          "dev.jneox.train.NeoxConfig",
          "the jar of JNeoX's module train (a download has it in its training archive)");
  private static final Need TORCH =
      new Need(
          "dev.jneox.torch.Libtorch",
          "the jar of JNeoX's module torch (a download has it in its training archive)");
  private static final Need LIBTORCH =
      new Need("org.bytedeco.pytorch.Tensor", "the jars of org.bytedeco:pytorch");

  @Override
  public List<Entry> commands() {
    return List.of(
        new Entry(Section.DEMO, DemoCommand.class, List.of(TRAIN, TORCH, LIBTORCH)),
        new Entry(Section.TRAINING, TrainCommand.class, List.of(TRAIN, TORCH, LIBTORCH)),
        new Entry(Section.TRAINING, LaunchCommand.class, List.of(TRAIN, TORCH, LIBTORCH)),
        new Entry(Section.TRAINING, ScheduleCommand.class, List.of(TRAIN)));
  }

  @Override
  public Optional<RandomInit> shape(String config, Optional<Tokenizer> tokenizer) {
    return TRAIN.isMet() ? Optional.of(NeoxShapes.of(config, tokenizer)) : Optional.empty();
  }

  @Override
  public Optional<LibtorchFacts> libtorch() {
    return TORCH.isMet() && LIBTORCH.isMet()
        ? Optional.of(LibtorchDoctor.examine())
        : Optional.empty();
  }
}
