package dev.jneox.infer;

import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.model.ModelSpec;
import java.util.Arrays;
import java.util.List;

/**
 * Scores sequences of any length by an {@link Engine}. The scores of a sequence depend on nothing
 * but itself and the engine's type of keys and values.
 *
 * <p>A sequence longer than the model's context C is read in windows of C tokens that move by C/2:
 * each token is scored once, by the first window that predicts it, and thus from at least C/2
 * tokens before it.
 */
public final class Scorer {
  private final Engine engine;

  /**
   * @param engine stays open for as long as this is used
   */
  public Scorer(Engine engine) {
    this.engine = engine;
  }

  /** Makes settings for scores without rounding of keys and values: room for two windows. */
  public static Engine.Settings settings(PackedModel model) {
    KvFormat format = KvFormat.of(model.spec(), KvPrecision.F32);
    return Engine.Settings.of(model, 1)
        .withKv(KvPrecision.F32)
        .withKvBytes(2L * KvSequence.pages(model.spec().maxPositions()) * format.pageBytes());
  }

  /**
   * Returns the natural logarithm of the probability of {@code ids[1:]}, each given those before
   * it; one fewer than {@code ids}. The softmax is over every row of the head, padding included, as
   * in training.
   *
   * @throws InputException if an id is past the vocabulary, or the model gives no numbers
   */
  public float[] logProbabilities(int[] ids) {
    return logProbabilities(ids, Progress.silent());
  }

  /** The same, and counts the tokens scored. */
  public float[] logProbabilities(int[] ids, Progress progress) {
    return logProbabilities(ids, 1, progress);
  }

  /**
   * Returns the scores of {@code ids[from:]} alone, the same numbers as of the whole. Sequences
   * that begin alike share the work before {@code from}.
   *
   * @param from from 1: nothing is before the first id
   */
  public float[] logProbabilities(int[] ids, int from) {
    return logProbabilities(ids, from, Progress.silent());
  }

  private float[] logProbabilities(int[] ids, int from, Progress progress) {
    ModelSpec spec = engine.spec();
    Generation.checkIds(ids, spec);
    int context = spec.maxPositions();
    int stride = Math.max(1, context / 2);
    float[] scores = new float[Math.max(0, ids.length - from)];
    int next = from; // the id that is scored next
    for (int start = 0; next < ids.length; start += stride) {
      int end = Math.min(start + context + 1, ids.length);
      if (end <= next) {
        continue;
      }
      GenerationRequest window =
          GenerationRequest.builder(Arrays.copyOfRange(ids, start, end))
              .maxTokens(0)
              .promptLogprobs(0)
              .scoreFrom(next - start)
              .build();
      GenerationResult result = engine.submit(window).result();
      if (result.reason() == FinishReason.CANCELLED) {
        throw new CancelledException("the engine was closed before all tokens had scores", null);
      }
      List<Token> tokens = result.prompt();
      for (Token token : tokens) {
        if (Double.isNaN(token.logProb())) {
          throw new InputException(
              "the model's score of token "
                  + (next + 1)
                  + " is not a number: its weights are broken");
        }
        scores[next++ - from] = (float) token.logProb();
      }
      progress.step(tokens.size());
    }
    return scores;
  }
}
