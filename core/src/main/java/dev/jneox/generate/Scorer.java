package dev.jneox.generate;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.model.ModelConfig;
import dev.jneox.tensor.Vectors;
import dev.jneox.tensor.Workers;
import java.util.stream.IntStream;

/**
 * How likely a model finds a text. The scores of a text depend on nothing but itself.
 *
 * <p>A text longer than the model's context C is read in windows of C tokens that move by C/2: each
 * token is scored once, by the first window that predicts it, and thus from at least C/2 tokens
 * before it.
 */
public final class Scorer {
  /** Tokens that go through the model at a time. */
  private static final int ROWS = 128;

  private final PackedModel model;
  private final Workers workers;
  private final int maxRows;

  public Scorer(PackedModel model) {
    this(model, ROWS);
  }

  Scorer(PackedModel model, int maxRows) {
    this.model = model;
    this.workers = Workers.all();
    this.maxRows = maxRows;
  }

  /**
   * The natural logarithm of the probability of {@code ids[1:]}, each given those before it; one
   * fewer than {@code ids}. The softmax is over every row of the head, padding included, as in
   * training.
   *
   * @throws InputException if an id is past the vocabulary, or the model gives no numbers
   */
  public float[] logProbabilities(int[] ids) {
    return logProbabilities(ids, Progress.silent());
  }

  /** The same, and counts the tokens scored. */
  public float[] logProbabilities(int[] ids, Progress progress) {
    ModelConfig config = model.config();
    Generation.checkIds(ids, config);
    int context = config.maxPositions();
    int stride = Math.max(1, context / 2);
    float[] scores = new float[Math.max(0, ids.length - 1)];
    KvPool pool = new KvPool(KvFormat.of(config, KvPrecision.F32), Integer.MAX_VALUE);
    Forward forward =
        new Forward(
            model,
            pool.format(),
            workers,
            Math.clamp(scores.length, 1, Math.min(maxRows, context)));
    int done = 0;
    for (int from = 0; done < scores.length; from += stride) {
      int length = Math.min(context, scores.length - from);
      window(forward, new KvSequence(pool), ids, from, length, done, scores);
      progress.step(from + length - done);
      done = from + length;
    }
    for (int i = 0; i < scores.length; i++) {
      if (Float.isNaN(scores[i])) {
        throw new InputException(
            "the model's score of token " + (i + 2) + " is not a number: its weights are broken");
      }
    }
    return scores;
  }

  /**
   * Reads ids {@code from .. from+length-1} and scores those that follow, from the one after {@code
   * ids[first]} on.
   */
  private void window(
      Forward forward,
      KvSequence text,
      int[] ids,
      int from,
      int length,
      int first,
      float[] scores) {
    text.reserve(length);
    int end = from + length;
    for (int at = from; at < end; at += forward.maxRows()) {
      int rows = Math.min(forward.maxRows(), end - at);
      forward.begin();
      forward.add(text, ids, at, rows);
      forward.run();
      for (int next = Math.max(at, first); next < at + rows; next += Forward.LOGIT_ROWS) {
        score(
            forward, next - at, Math.min(Forward.LOGIT_ROWS, at + rows - next), ids, next, scores);
      }
    }
    text.release();
  }

  /** Scores the ids that follow {@code n} rows, {@code ids[at + 1 ...]}. */
  private void score(Forward forward, int row, int n, int[] ids, int at, float[] scores) {
    int vocab = model.config().vocabSize();
    float[] logits = forward.logits(IntStream.range(row, row + n).toArray(), 0, n);
    workers.claim(
        n,
        (r, thread) -> {
          float max = Vectors.max(logits, r * vocab, vocab);
          float sum = Vectors.sumOfExp(logits, r * vocab, max, vocab);
          scores[at + r] = logits[r * vocab + ids[at + r + 1]] - max - (float) Math.log(sum);
        });
  }
}
