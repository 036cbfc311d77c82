package dev.jneox.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Writes a few tokens with a small model made for the purpose, for the JVM to keep the classes that a start needs
 * ({@code -XX:ArchiveClassesAtExit}); the launcher runs it once a build. The model is made with our own commands: so their classes are
 * kept as well.
 */
final class Rehearsal {
  /** The tokenizer is trained on this, and it is what is continued. */
  private static final String TEXT = "Once upon a time there was a model that had read nothing but this. ";

  private Rehearsal() {}

  public static void main(String[] args) throws IOException {
    StandardOutput.install(); // as Start does
    Path folder = Files.createTempDirectory("jneox-rehearsal");
    int exit;
    try {
      exit = run(folder);
    } finally {
      delete(folder);
    }
    System.exit(exit);
  }

  /** Works in a folder and returns the exit code of the first command that fails, or 0. */
  static int run(Path folder) throws IOException {
    Path text = Files.writeString(folder.resolve("text.txt"), TEXT);
    String tokenizer = folder.resolve("tokenizer.json").toString();
    String gguf = folder.resolve("model.gguf").toString();
    String model = folder.resolve("model").toString();
    List<String[]> commands =
        List.of(
            new String[] {"tokenizer", "train", "--vocab-size", "270", "--out", tokenizer, text.toString()},
            new String[] {
              "synth", "--config", "pythia/14M", "--dtype", "q4_0", "--format", "gguf", "--tokenizer", tokenizer, "--out", gguf
            },
            new String[] {"quantize", "--from", gguf, "--to", model, "--dtype", "q4"},
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

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
