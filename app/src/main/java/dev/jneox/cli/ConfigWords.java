package dev.jneox.cli;

import dev.jneox.model.Attention;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;

/** A model's configuration in plain words. */
final class ConfigWords {
  private ConfigWords() {}

  /** What each choice means, by what it is about. */
  static Map<String, String> of(ModelSpec spec) {
    Attention attention = spec.first().attention();
    FeedForward feedForward = spec.first().feedForward();
    Map<String, String> shape = new LinkedHashMap<>();
    shape.put(
        "layers",
        text(
            "%,d of width %,d, %d heads of %d%s, %sMLP %,d",
            spec.layers(),
            spec.width(),
            attention.heads(),
            attention.headDim(),
            attention.groupSize() > 1 ? text(" (%d of keys and values)", attention.kvHeads()) : "",
            feedForward.isGated() ? "gated " : "",
            feedForward.width()));
    shape.put(
        "vocabulary",
        text("%,d rows, %,d used", spec.vocabulary().rows(), spec.vocabulary().used()));
    shape.put("context", text("%,d tokens", spec.maxPositions()));
    shape.put(
        "positions",
        switch (attention.position()) {
          case Position.None() -> spec.embedding().learnedPositions() ? "learned" : "none";
          case Position.Rotary(int dims, double base, boolean interleaved) ->
              text(
                  "rotary, %d of %d dimensions in %s, base %s",
                  dims,
                  attention.headDim(),
                  interleaved ? "neighbouring pairs" : "halves",
                  base == Math.rint(base) ? text("%,.0f", base) : String.valueOf(base));
        });
    if (spec.finalNorm() instanceof Norm.Rms) {
      shape.put("norms", "RMS");
    }
    shape.put(
        "residual",
        switch (spec.first().residual()) {
          case Residual.Serial serial -> "serial: MLP after attention";
          case Residual.Parallel parallel ->
              "parallel: attention and MLP side by side, each with its norm";
          case Residual.ParallelOneNorm one -> "parallel: attention and MLP side by side, one norm";
        });
    shape.put("attention", attention(spec));
    shape.put(
        "activation",
        switch (feedForward.activation()) {
          case GELU -> "GELU";
          case GELU_TANH -> "GELU, tanh form";
          case SILU -> "SiLU";
        });
    shape.put(
        "head",
        spec.head().tied()
            ? "tied to the embedding"
            : "its own" + (spec.head().bias() ? ", with bias" : ""));
    return shape;
  }

  private static String attention(ModelSpec spec) {
    TreeSet<Integer> windows = new TreeSet<>(spec.windows());
    long local = spec.windows().stream().filter(window -> window > 0).count();
    String reach =
        local == 0
            ? "global"
            : windows.size() == 2 && windows.first() == 0
                ? text(
                    "global in %d layers, the last %,d tokens in %d",
                    spec.layers() - local, windows.last(), local)
                : "windows of " + windows + " tokens";
    return reach
        + (spec.first().attention().isScaled() ? "" : ", unscaled")
        + (spec.first().attention().qkvBias() ? ", with biases" : "");
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
