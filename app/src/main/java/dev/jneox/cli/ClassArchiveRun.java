package dev.jneox.cli;

import dev.jneox.convert.SyntheticModel;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.io.AtomicFolder;
import dev.jneox.model.ModelSpec;
import dev.jneox.weights.Dtype;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Loads the classes that a start needs, for the JVM to archive them ({@code
 * -XX:ArchiveClassesAtExit}).
 *
 * <p>It writes a few tokens with a small model. The model is made with our own commands, so that
 * their classes are archived as well. The launcher runs it once a build.
 */
final class ClassArchiveRun {
  /** Trains the tokenizer, and is the prompt that the model continues. */
  private static final String TEXT =
      "Once upon a time there was a model that had read nothing but this. ";

  private ClassArchiveRun() {}

  public static void main(String[] args) throws IOException {
    StandardOutput.install(); // as Start does
    Path folder = Files.createTempDirectory("jneox-archive");
    int exit;
    try {
      exit = run(folder);
    } finally {
      AtomicFolder.delete(folder);
    }
    System.exit(exit);
  }

  /** Works in a folder and returns the exit code of the first command that fails, or 0. */
  static int run(Path folder) throws IOException {
    Path text = Files.writeString(folder.resolve("text.txt"), TEXT);
    Path source = Files.createDirectory(folder.resolve("source"));
    String model = folder.resolve("model").toString();
    writeModel(source);
    List<String[]> commands =
        List.of(
            new String[] {
              "tokenizer",
              "train",
              "--vocab-size",
              "270",
              "--out",
              source.resolve("tokenizer.json").toString(),
              text.toString()
            },
            new String[] {"quantize", "--from", source.toString(), "--to", model, "--dtype", "q4"},
            new String[] {"generate", "--model", model, "--prompt", TEXT, "--max-tokens", "8"});
    Relaunch.read(); // as Start does
    for (String[] command : commands) {
      int exit = Main.run(command);
      if (exit != 0) {
        return exit;
      }
    }
    return 0;
  }

  /** Random weights, as the synth command writes them. */
  private static void writeModel(Path folder) {
    ModelSpec spec = ModelSpec.neox(384, 128, 2, 4, 2048);
    new HfFolderWriter(folder, spec, Dtype.F32)
        .write(new SyntheticModel(folder, spec, 0.02, 0.02, Dtype.F32, 1, null));
  }
}
