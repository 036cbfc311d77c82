package dev.jneox.cli;

import dev.jneox.infer.Precision;
import picocli.CommandLine.Option;

/** In what precision a command computes with a model. */
public final class PrecisionOption {
  @Option(
      names = "--dtype",
      paramLabel = "stored|f32|bf16",
      defaultValue = "stored",
      description =
          "What the weights are multiplied in. Default: as stored, where fp16 and fp64 are read as"
              + " f32.")
  private Precision precision;

  /** Returns the precision. */
  public Precision precision() {
    return precision;
  }
}
