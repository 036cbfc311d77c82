package dev.jneox.cli;

import dev.jneox.convert.RandomInit;
import dev.jneox.convert.WeightType;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.tokenizer.TokenizerJson;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.StoredModel;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code jneox synth}: a model of random weights. */
@Command(
    name = "synth",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Write a model of random weights in the shape of a real one.",
      "Loading, speed and memory are measured with it. The same seed gives the same bytes."
    },
    footer = {
      "",
      "Examples:",
      "  jneox synth --config pythia/410M --dtype q4_0 --format gguf --out 410M.gguf",
      "  jneox synth --config 20B --format hf --out 20B-random",
      "  jneox synth --config gpt-j/config.json --format hf --out gpt-j-random"
    })
final class SynthCommand implements Callable<Integer> {
  @Option(
      names = "--config",
      required = true,
      paramLabel = "NAME|FILE",
      description = {
        "20B; or pythia/SIZE: 14M, 31M, 70M, 160M, 410M, 1B, 1-4B, 2-8B, 6-9B or 12B;",
        "a configuration in GPT-NeoX's keys (.yml);",
        "or a config.json of HF transformers."
      })
  private String config;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "PATH",
      description = "The folder to write; for gguf the file.")
  private Path out;

  @Mixin private OutputOptions output;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "Where the random numbers begin (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description =
          "A tokenizer.json to bring along, which decides about a recipe's vocabulary. Without one"
              + " that is 20B's.")
  private Path tokenizer;

  @Override
  public Integer call() {
    output.check();
    WeightType type = output.type() == null ? WeightType.BF16 : output.type();
    Dtype dtype = type.isQuantised() ? Dtype.F32 : type.dtype();
    try (Tokenizer loaded = tokenizer == null ? null : Tokenizer.load(tokenizer);
        StoredModel model =
            init(Optional.ofNullable(loaded))
                .model(dtype, seed, tokenizer == null ? null : TokenizerJson.read(tokenizer))) {
      output.write(model, type, out, "making");
    }
    return 0;
  }

  private RandomInit init(Optional<Tokenizer> loaded) {
    return RandomInit.ofHf(Path.of(config))
        .or(() -> Commands.ask(module -> module.shape(config, loaded)))
        .orElseThrow(
            () ->
                new InputException(
                    "--config: expected a model folder or its config.json, found "
                        + config
                        + ": names and configurations in GPT-NeoX's keys need the jar of JNeoX's"
                        + " module train (a download has it in its training archive)"));
  }
}
