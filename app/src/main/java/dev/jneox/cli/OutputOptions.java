package dev.jneox.cli;

import dev.jneox.convert.Conversion;
import dev.jneox.convert.Conversion.Format;
import dev.jneox.convert.WeightType;
import dev.jneox.io.ByteSize;
import dev.jneox.io.FreedMemory;
import dev.jneox.io.Progress;
import dev.jneox.io.Shell;
import dev.jneox.io.TargetLock;
import dev.jneox.weights.StoredModel;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/**
 * How a model is written: the options that {@code convert} and {@code synth} share, and what they
 * do with them.
 */
final class OutputOptions {

  /** Bytes; a smaller size is one without its unit. */
  private static final double SMALLEST_SHARD = 1e6;

  @Spec(Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--format",
      required = true,
      paramLabel = "hf|neox|gguf",
      description = {
        "hf: a folder of HF transformers; of q8_0 or q4_0, JNeoX's own, as jneox quantize writes"
            + " it.",
        "neox: a checkpoint of GPT-NeoX, a file for each layer and rank.",
        "gguf: one file for llama.cpp."
      })
  private Format format;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "f32, bf16, f16 or, but for neox, q8_0 or q4_0. Default: what the model is stored in;"
              + " bf16 for a new one.")
  private WeightType type;

  @Option(
      names = "--tp",
      paramLabel = "N",
      description = "neox: split every layer over N tensor-parallel ranks. Default: 1.")
  private Integer ranks;

  @Option(
      names = "--shard-size",
      paramLabel = "SIZE",
      description = "hf: largest weight file, as 5GB or 500MB. Default: 5GB.")
  private String shardSize;

  @Option(
      names = "--force",
      description =
          "Replace a model that is there under that name, once the new one is written in full.")
  private boolean force;

  /** Stops on options that do not go together. */
  void check() {
    if (ranks != null && format != Format.NEOX) {
      throw wrong("--tp is for --format neox");
    }
    if (ranks != null && (ranks < 1 || ranks > 1024)) {
      throw wrong("--tp: expected 1 to 1024 ranks, found " + ranks);
    }
    if (shardSize != null && format != Format.HF) {
      throw wrong("--shard-size is for --format hf");
    }
    shardBytes();
  }

  /** The type asked for, or null. */
  WeightType type() {
    return type;
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  private long shardBytes() {
    if (shardSize == null) {
      return Conversion.SHARD_BYTES;
    }
    long bytes = ByteSize.parse(shardSize).orElse(0);
    if (bytes < SMALLEST_SHARD) {
      throw wrong(
          "--shard-size: expected 1MB or more with its unit, such as 5GB or 500MB, found "
              + shardSize);
    }
    return bytes;
  }

  /**
   * Writes {@code model}, with progress on standard error, and says what was written and what one
   * can do with it.
   */
  void write(StoredModel model, WeightType as, Path target, String act) {
    FreedMemory.returnToSystem();
    Conversion conversion =
        new Conversion(model, target, format, as, ranks == null ? 1 : ranks, shardBytes());
    long start = System.nanoTime();
    long bytes = conversion.bytes();
    try (TargetLock _ = TargetLock.take(target)) {
      conversion.check(force);
      conversion.warnings().forEach(this::say);
      if (type == null && format != Format.GGUF) {
        conversion
            .otherType()
            .ifPresent(
                other ->
                    say(
                        String.format(
                                "most of the model is %s, part of it %s: all is written as %1$s;"
                                    + " --dtype f32 rounds nothing",
                                as, other)
                            .toLowerCase(Locale.ROOT)));
      }
      try (Progress progress = ProgressLine.bytes(act, bytes)) {
        conversion.write(progress::step);
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    PrintWriter out = spec.commandLine().getOut();
    out.printf(
        Locale.ROOT,
        "%s: %,d parameters in %s, %s in %.1f s, %s/s%n",
        target,
        model.spec().parameterCount(),
        as.name().toLowerCase(Locale.ROOT),
        ByteSize.text(bytes),
        seconds,
        ByteSize.text(Math.round(bytes / seconds)));
    String input =
        model.tokenizerJson().isPresent()
            ? "--prompt \"Once upon a time\""
            : "--prompt-ids \"1 2 3\"";
    out.printf(
        "next: jneox verify %1$s; jneox generate --model %1$s %2$s --max-tokens 32%n",
        Shell.quoted(target), input);
    out.flush();
  }

  private void say(String line) {
    spec.commandLine().getErr().println("jneox: " + line);
  }
}
