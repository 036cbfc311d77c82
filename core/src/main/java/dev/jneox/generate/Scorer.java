package dev.jneox.generate;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.model.CausalLM;
import dev.jneox.model.Hooks;
import dev.jneox.model.ModelConfig;
import dev.jneox.tensor.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * How likely a model finds a text. Every text goes through the model alone, so its scores depend on nothing but itself.
 *
 * <p>A text longer than the model's context C is read in windows of C tokens that move by C/2: each token is scored once, by the
 * first window that predicts it, and thus from at least C/2 tokens before it.
 */
public final class Scorer {
  /** Memory for logits, which at a large vocabulary take more than all else. */
  private static final long LOGITS_BYTES = 32L << 20;

  private final CausalLM model;
  /** Positions that the head is applied to at a time. */
  private final int rows;

  public Scorer(CausalLM model) {
    this(model, (int) Math.max(1, LOGITS_BYTES / Float.BYTES / model.config().vocabSize()));
  }

  Scorer(CausalLM model, int rows) {
    this.model = model;
    this.rows = rows;
  }

  /**
   * The natural logarithm of the probability of {@code ids[1:]}, each given those before it; one fewer than {@code ids}. The
   * softmax is over every row of the head, padding included, as in training.
   *
   * @throws InputException if an id is past the vocabulary, or the model gives no numbers
   */
  public float[] logProbabilities(int[] ids) {
    return logProbabilities(ids, Progress.silent());
  }

  /** The same, and counts the tokens scored. */
  public float[] logProbabilities(int[] ids, Progress progress) {
    ModelConfig config = model.config();
    Generator.checkIds(ids, config);
    int context = config.maxPositions();
    int stride = Math.max(1, context / 2);
    float[] scores = new float[Math.max(0, ids.length - 1)];
    int done = 0;
    for (int from = 0; done < scores.length; from += stride) {
      int length = Math.min(context, scores.length - from);
      window(ids, from, length, done, scores);
      progress.step(from + length - done);
      done = from + length;
    }
    for (int i = 0; i < scores.length; i++) {
      if (Float.isNaN(scores[i])) {
        throw new InputException("the model's score of token " + (i + 2) + " is not a number: its weights are broken");
      }
    }
    return scores;
  }

  /** Reads ids {@code from .. from+length-1} and scores those that follow, from the one after {@code ids[first]} on. */
  private void window(int[] ids, int from, int length, int first, float[] scores) {
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard()) {
      int[] read = Arrays.copyOfRange(ids, from, from + length);
      Tensor hidden = model.hidden(Tensors.of(read, 1, length), null, Hooks.NONE).squeeze(0);
      for (int at = first; at < from + length; at += rows) {
        int n = Math.min(rows, from + length - at);
        try (PointerScope _ = new PointerScope()) {
          Tensor logits = model.logits(hidden.narrow(0, at - from, n));
          Tensor next = Tensors.of(Arrays.copyOfRange(ids, at + 1, at + 1 + n), n, 1);
          float[] scored = Tensors.floats(torch.log_softmax(logits, 1).gather(1, next));
          System.arraycopy(scored, 0, scores, at, n);
        }
      }
    }
  }
}
