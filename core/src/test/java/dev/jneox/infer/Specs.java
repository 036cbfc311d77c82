package dev.jneox.infer;

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
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;

/** Models of every family and of none, of odd sizes, that read beyond a page. */
final class Specs {
  static final int VOCABULARY = 77;
  static final int MAX_POSITIONS = 200;

  private Specs() {}

  static Arbitrary<ModelSpec> all() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    return Arbitraries.of(3, 6, 7, 16, 20, 64, 80)
        .flatMap(
            headDim ->
                Combinators.combine(
                        Arbitraries.of(9, 24, 65, 96),
                        block(headDim).list().ofSize(2),
                        norm(),
                        flag,
                        flag,
                        flag)
                    .as(
                        (width, blocks, norm, learned, tied, bias) ->
                            new ModelSpec(
                                new Vocabulary(VOCABULARY, VOCABULARY - 2, 0),
                                width,
                                new Embedding(learned),
                                blocks,
                                norm,
                                new Head(tied, bias),
                                MAX_POSITIONS)));
  }

  private static Arbitrary<Norm> norm() {
    return Arbitraries.of(new Norm.Layer(1e-5), new Norm.Rms(1e-6), new Norm.Rms(1e-2));
  }

  private static Arbitrary<BlockSpec> block(int headDim) {
    return Combinators.combine(residual(), attention(headDim), feedForward()).as(BlockSpec::new);
  }

  private static Arbitrary<Residual> residual() {
    return Combinators.combine(Arbitraries.of(0, 1, 2), norm(), norm())
        .as(
            (kind, one, other) ->
                switch (kind) {
                  case 0 -> new Residual.Serial(one, other);
                  case 1 -> new Residual.Parallel(one, other);
                  default -> new Residual.ParallelOneNorm(one);
                });
  }

  private static Arbitrary<Attention> attention(int headDim) {
    List<Position> positions = new ArrayList<>(List.of(new Position.None()));
    for (int dims = 2; dims <= headDim; dims += 2) {
      positions.add(new Position.Rotary(dims, 100, dims % 4 == 0));
      positions.add(new Position.Rotary(dims, 10000, dims % 4 == 2));
    }
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    return Combinators.combine(
            Arbitraries.of(1, 2, 3),
            Arbitraries.of(1, 1, 2, 3, 4, 5, 9),
            Arbitraries.of(positions),
            Arbitraries.of(0, 1, 5, 64, 70, 1000),
            Arbitraries.of(1.0, Attention.scaleOf(headDim), 0.3),
            flag,
            flag)
        .as(
            (kvHeads, group, position, window, scale, qkvBias, outBias) ->
                new Attention(
                    kvHeads * group, kvHeads, headDim, position, window, scale, qkvBias, outBias));
  }

  private static Arbitrary<FeedForward> feedForward() {
    Arbitrary<Boolean> flag = Arbitraries.of(true, false);
    return Combinators.combine(
            flag, Arbitraries.of(11, 64, 130), Arbitraries.of(Activation.class), flag)
        .as(
            (gated, width, activation, bias) ->
                gated
                    ? new FeedForward.Gated(width, activation, bias)
                    : new FeedForward.Plain(width, activation, bias));
  }
}
