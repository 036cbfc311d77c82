package dev.jneox.cli;

import dev.jneox.generate.LanguageModel;
import dev.jneox.generate.Precision;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Which model a command uses, and in what precision. */
final class ModelOptions {
  @Option(
      names = "--model",
      required = true,
      paramLabel = "DIR",
      description = "A folder with config.json, model.safetensors and, to read and write text, tokenizer.json.")
  private Path dir;

  @Option(
      names = "--dtype",
      paramLabel = "stored|f32|bf16",
      defaultValue = "stored",
      description = "What the weights are multiplied in. Default: as stored, where fp16 and fp64 are read as f32.")
  private Precision precision;

  LanguageModel open() {
    return LanguageModel.open(dir, precision);
  }
}
