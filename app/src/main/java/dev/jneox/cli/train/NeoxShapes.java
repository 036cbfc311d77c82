package dev.jneox.cli.train;

import dev.jneox.convert.RandomInit;
import dev.jneox.io.InputException;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.train.NeoxConfig;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Reads the shape of a model from a configuration in GPT-NeoX's keys. */
final class NeoxShapes {
  /** The configurations that come with JNeoX. */
  static final List<String> NAMES =
      List.of(
          "20B",
          "pythia/14M",
          "pythia/31M",
          "pythia/70M",
          "pythia/160M",
          "pythia/410M",
          "pythia/1B",
          "pythia/1-4B",
          "pythia/2-8B",
          "pythia/6-9B",
          "pythia/12B");

  /**
   * Tokens of GPT-NeoX-20B's tokenizer, with which all these models were trained; id 0 ends a
   * document.
   */
  private static final int TOKENS = 50_277;

  private NeoxShapes() {}

  /**
   * Reads the shape of a configuration.
   *
   * @param name one of {@link #NAMES}, or a file
   * @param tokenizer whose vocabulary the model gets; empty for that of GPT-NeoX-20B
   * @throws InputException when {@code name} is neither, or the model cannot be made
   */
  static RandomInit of(String name, Optional<Tokenizer> tokenizer) {
    Path path = Path.of(name);
    if (name.matches(".*\\.(yml|yaml|json)")) {
      return of(path, NeoxConfig.load(List.of(path), List.of()), tokenizer);
    }
    String known =
        NAMES.stream()
            .filter(name::equalsIgnoreCase)
            .findFirst()
            .orElseThrow(
                () ->
                    new InputException(
                        "--config: expected a file, a model folder or one of "
                            + String.join(", ", NAMES)
                            + ", found "
                            + name));
    return of(
        path, NeoxConfig.of(Map.of(Path.of(known + ".yml"), shipped(known)), List.of()), tokenizer);
  }

  private static RandomInit of(Path source, NeoxConfig config, Optional<Tokenizer> tokenizer) {
    config.unsupportedInModel().stream()
        .findFirst()
        .ifPresent(
            line -> {
              throw new InputException(line);
            });
    int tokens = tokenizer.map(Tokenizer::vocabSize).orElse(TOKENS);
    int endOfText = tokenizer.map(known -> known.id("<|endoftext|>").orElse(-1)).orElse(0);
    return new RandomInit(
        source,
        config.model().shape(tokens, endOfText),
        config.model().initStd(),
        config.model().outputInitStd());
  }

  private static String shipped(String name) {
    try (InputStream in = NeoxShapes.class.getResourceAsStream("/configs/" + name + ".yml")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
