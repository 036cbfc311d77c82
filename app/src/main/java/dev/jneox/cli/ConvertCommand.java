package dev.jneox.cli;

import dev.jneox.convert.WeightType;
import dev.jneox.format.ModelFiles;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jneox convert}: a model in one format into another. */
@Command(
    name = "convert",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Convert a model from any format that is read into any that is written.",
      "One tensor at a time is in memory, so the size of the model does not matter.",
      "Without --dtype the weights stay what they are, bit for bit."
    },
    footer = {
      "",
      "Examples:",
      "  jneox convert --from checkpoints/global_step1000 --to model --format hf",
      "  jneox convert --from EleutherAI/pythia-410m --to 410m.gguf \\",
      "    --format gguf --dtype q4_0",
      "  jneox convert --from 20B --to 20B-neox --format neox --tp 2"
    })
final class ConvertCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--from",
      required = true,
      paramLabel = "MODEL",
      description =
          "A model folder or file of any format that is read, a run of train, or ORG/NAME on the"
              + " hub.")
  private String from;

  @Option(
      names = "--to",
      required = true,
      paramLabel = "PATH",
      description = "The folder to write; for gguf the file.")
  private Path to;

  @Mixin private OutputOptions output;

  @Override
  public Integer call() {
    output.check();
    Path source = ModelOptions.path(from, spec.commandLine().getErr());
    if (sameFile(source, to)) {
      throw new InputException(to + ": is the model itself: choose another name for the new one");
    }
    try (StoredModel model = ModelFiles.open(source)) {
      output.write(model, type(model), to, "converting");
    }
    return 0;
  }

  private WeightType type(StoredModel model) {
    if (output.type() != null) {
      return output.type();
    }
    return WeightType.of(model)
        .orElseThrow(
            () ->
                new InputException(
                    model.path()
                        + ": is stored in types that are not written: choose one with --dtype"));
  }

  static boolean sameFile(Path a, Path b) {
    try {
      return Files.exists(b) && Files.isSameFile(a, b);
    } catch (IOException e) {
      throw StorageException.of(b, "cannot be read", e);
    }
  }
}
