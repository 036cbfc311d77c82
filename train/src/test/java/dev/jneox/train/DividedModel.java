package dev.jneox.train;

import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.Embedding;
import dev.jneox.model.FeedForward;
import dev.jneox.model.Head;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.model.Vocabulary;

/** Small models of every kind of block, whose parts four ranks can share. */
public enum DividedModel {
  NEOX(
      new Residual.Parallel(Parts.LAYER, Parts.LAYER),
      Parts.ROTARY,
      plain(true),
      false,
      new Head(false, false)),
  GPT2(
      new Residual.Serial(Parts.LAYER, Parts.LAYER),
      Parts.LEARNED,
      plain(true),
      true,
      new Head(true, false)),
  GPTJ(
      new Residual.ParallelOneNorm(Parts.LAYER),
      Attention.of(4, 10, new Position.Rotary(6, 10000, true)).withBiases(false, false),
      plain(true),
      false,
      new Head(false, true)),
  LLAMA(
      new Residual.Serial(Parts.RMS, Parts.RMS),
      Attention.of(8, 6, new Position.Rotary(6, 10000, false))
          .withKvHeads(4)
          .withBiases(false, false),
      new FeedForward.Gated(28, Activation.SILU, false),
      false,
      new Head(false, false)),
  MIXED(
      new Residual.Parallel(Parts.LAYER, Parts.RMS),
      Parts.LEARNED.withWindow(7),
      new FeedForward.Gated(28, Activation.GELU, true),
      true,
      new Head(true, true));

  /** Four blocks. */
  public final ModelSpec spec;

  DividedModel(
      Residual residual, Attention attention, FeedForward feedForward, boolean learned, Head head) {
    spec =
        ModelSpec.of(
            Vocabulary.of(104, 0),
            36,
            new Embedding(learned),
            4,
            new BlockSpec(residual, attention, feedForward),
            head,
            64);
  }

  private static FeedForward plain(boolean bias) {
    return new FeedForward.Plain(92, Activation.GELU_TANH, bias);
  }

  private static final class Parts {
    static final Norm LAYER = new Norm.Layer(1e-5);
    static final Norm RMS = new Norm.Rms(1e-6);
    static final Attention ROTARY = Attention.of(4, 10, new Position.Rotary(4, 10000, false));
    static final Attention LEARNED = Attention.of(4, 10, new Position.None());
  }
}
