package dev.jneox.cli;

import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;

/** A model's configuration in plain words. */
final class ConfigWords {
  private ConfigWords() {}

  /** What each choice means, by what it is about. */
  static Map<String, String> of(ModelConfig config) {
    Map<String, String> shape = new LinkedHashMap<>();
    shape.put(
        "layers",
        text(
            "%,d of width %,d, %d heads of %d, MLP %,d",
            config.layers(),
            config.hiddenSize(),
            config.heads(),
            config.headDim(),
            config.intermediateSize()));
    shape.put("vocabulary", text("%,d rows, %,d used", config.vocabSize(), config.usedVocab()));
    shape.put("context", text("%,d tokens", config.maxPositions()));
    shape.put(
        "positions",
        switch (config.position()) {
          case Position.Learned() -> "learned";
          case Position.Rotary(int dims, double base, boolean interleaved) ->
              text(
                  "rotary, %d of %d dimensions in %s, base %s",
                  dims,
                  config.headDim(),
                  interleaved ? "neighbouring pairs" : "halves",
                  base == Math.rint(base) ? text("%,.0f", base) : String.valueOf(base));
        });
    shape.put(
        "residual",
        switch (config.residual()) {
          case SERIAL -> "serial: MLP after attention";
          case PARALLEL -> "parallel: attention and MLP side by side, each with its norm";
          case PARALLEL_ONE_NORM -> "parallel: attention and MLP side by side, one norm";
        });
    shape.put("attention", attention(config));
    shape.put(
        "activation",
        switch (config.activation()) {
          case GELU -> "GELU";
          case GELU_TANH -> "GELU, tanh form";
        });
    shape.put(
        "head",
        config.tiedHead()
            ? "tied to the embedding"
            : "its own" + (config.headBias() ? ", with bias" : ""));
    return shape;
  }

  private static String attention(ModelConfig config) {
    TreeSet<Integer> windows = new TreeSet<>(config.windows());
    long local = config.windows().stream().filter(window -> window > 0).count();
    String reach =
        local == 0
            ? "global"
            : windows.size() == 2 && windows.first() == 0
                ? text(
                    "global in %d layers, the last %,d tokens in %d",
                    config.layers() - local, windows.last(), local)
                : "windows of " + windows + " tokens";
    return reach
        + (config.scaledAttention() ? "" : ", unscaled")
        + (config.qkvBias() ? ", with biases" : "");
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
