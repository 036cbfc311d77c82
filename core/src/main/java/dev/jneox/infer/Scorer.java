package dev.jneox.infer;

import dev.jneox.io.BusyException;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Scores sequences of any length by an {@link Engine}. The scores of a sequence depend on nothing
 * but itself and the engine's type of keys and values.
 *
 * <p>A sequence longer than the model's context C is read in windows of C tokens that move by C/2:
 * each token is scored once, by the first window that predicts it, and thus from at least C/2
 * tokens before it.
 */
public final class Scorer {
  /** Windows that are read at a time. */
  private static final int SESSIONS = 16;

  /** Memory for keys and values beyond that of two windows. */
  private static final long KV_BYTES = 256L << 20;

  private final Engine engine;

  /**
   * @param engine stays open for as long as this is used
   */
  public Scorer(Engine engine) {
    this.engine = engine;
  }

  /**
   * Makes settings for scores without rounding of keys and values: room for two windows, and for up
   * to {@value #SESSIONS} as far as they take no more than {@value #KV_BYTES} bytes.
   */
  public static Engine.Settings settings(PackedModel model) {
    return settings(model, SESSIONS);
  }

  /**
   * Makes the same settings for another number of sequences that are read at a time.
   *
   * @throws InputException if it is out of range
   */
  public static Engine.Settings settings(PackedModel model, int sessions) {
    KvFormat format = KvFormat.of(model.spec(), KvPrecision.F32);
    long window = (long) KvSequence.pages(model.spec().maxPositions()) * format.pageBytes();
    return Engine.Settings.of(model, sessions)
        .withKv(KvPrecision.F32)
        .withKvBytes(Math.max(2 * window, Math.min(sessions * window, KV_BYTES)));
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

  /** The same, and counts the tokens as they are scored. */
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
    float[][] scores = new float[1][];
    run(
        List.of(ids).iterator(),
        document -> overlapping(document, from),
        progress,
        found -> scores[0] = found.scores);
    return scores[0];
  }

  /** Takes the scores of one document after another. */
  @FunctionalInterface
  public interface Documents {
    /**
     * Takes the scores of a document.
     *
     * @param scores of all its ids but the first
     */
    void accept(int[] ids, float[] scores);
  }

  /**
   * Scores documents apart from each other, each from its first id on, which therefore is a token
   * that begins documents. Several are read at a time, and their scores arrive in their order.
   *
   * <p>A document of more than C + 1 ids is read in windows that score C ids each, the first of
   * them from the one before alone, as lm-evaluation-harness reads them for {@code
   * loglikelihood_rolling}; the last window is moved back to have the context full. So each id is
   * read once, where {@link #logProbabilities(int[])} reads it twice.
   *
   * @throws InputException as {@link #logProbabilities(int[])} does
   */
  public void rolling(Iterator<int[]> documents, Progress progress, Documents into) {
    run(documents, this::rolling, progress, done -> into.accept(done.ids, done.scores));
  }

  /**
   * Asks for the scores of a continuation: of {@code ids[from:]} after {@code ids[:from]}.
   *
   * @param ids at most one more than the context: the last one is not read, only scored
   * @param from from 1
   */
  public record Continuation(int[] ids, int from) {
    /** Checks that there is something before the continuation. */
    public Continuation {
      ids = ids.clone();
      if (from < 1 || from >= ids.length) {
        throw new InputException(
            "continuation: expected to begin at 1 to "
                + (ids.length - 1)
                + ", found "
                + from
                + ": it needs an id before it and one of its own");
      }
    }
  }

  /**
   * Holds the scores of a continuation.
   *
   * @param logProbabilities of its ids
   * @param greedy whether each id is the likeliest in its place, of equals the smallest id
   */
  public record Continued(float[] logProbabilities, boolean greedy) {}

  /**
   * Scores continuations, each the same to the last bit whatever the others are. Those that differ
   * in the last id alone are read once. Those of one context begin after the first of them, and
   * share its keys and values.
   *
   * @param progress counts the continuations
   * @return in the order of {@code continuations}
   * @throws InputException as {@link #logProbabilities(int[])} does, or if a continuation does not
   *     fit the context
   */
  public List<Continued> continuations(List<Continuation> continuations, Progress progress) {
    for (Continuation continuation : continuations) {
      Generation.checkIds(continuation.ids, engine.spec());
      if (continuation.ids.length - 1 > engine.spec().maxPositions()) {
        throw new InputException(
            "continuation: expected at most "
                + (engine.spec().maxPositions() + 1)
                + " ids, one more than the model's context, found "
                + continuation.ids.length);
      }
    }
    return new ContinuationRun(engine, progress).scores(continuations);
  }

  /** Holds a sequence whose windows are being read. */
  private static final class Scored {
    final int[] ids;
    final int from;
    final float[] scores;

    Scored(int[] ids, int from) {
      this.ids = ids;
      this.from = from;
      this.scores = new float[Math.max(0, ids.length - from)];
    }
  }

  /**
   * Describes a read of {@code ids[start..end-1]} for the scores of {@code ids[next..end-1]}.
   *
   * @param last whether it is the last of its sequence
   */
  private record Window(Scored of, int start, int next, int end, boolean last) {}

  /** Pairs a window with its request; null where there is nothing to score. */
  private record Pending(Window window, @Nullable Session session) {}

  private List<Window> overlapping(int[] ids, int from) {
    Scored of = new Scored(ids, from);
    int context = context(ids);
    int stride = Math.max(1, context / 2);
    List<Window> windows = new ArrayList<>();
    int next = from; // the id that is scored next
    for (int start = 0; next < ids.length; start += stride) {
      int end = Math.min(start + context + 1, ids.length);
      if (end > next) {
        windows.add(new Window(of, start, next, end, end == ids.length));
        next = end;
      }
    }
    return windows.isEmpty() ? List.of(nothing(of)) : windows;
  }

  private List<Window> rolling(int[] ids) {
    Scored of = new Scored(ids, 1);
    int context = context(ids);
    List<Window> windows = new ArrayList<>();
    for (int next = 1; next < ids.length; next += context) {
      int end = Math.min(next + context, ids.length);
      windows.add(new Window(of, Math.max(0, end - context - 1), next, end, end == ids.length));
    }
    return windows.isEmpty() ? List.of(nothing(of)) : windows;
  }

  /**
   * Returns the context of the model, or the length of a shorter sequence: a file may state a
   * context near the largest int, and the sums above would overflow.
   */
  private int context(int[] ids) {
    return Math.clamp(ids.length, 1, engine.spec().maxPositions());
  }

  private static Window nothing(Scored of) {
    return new Window(of, 0, of.ids.length, of.ids.length, true);
  }

  /** Keeps as many windows in the engine as it reads at a time. */
  private void run(
      Iterator<int[]> documents,
      Function<int[], List<Window>> windows,
      Progress progress,
      Consumer<Scored> done) {
    ArrayDeque<Pending> pending = new ArrayDeque<>();
    try {
      while (documents.hasNext()) {
        int[] ids = documents.next();
        Generation.checkIds(ids, engine.spec());
        for (Window window : windows.apply(ids)) {
          if (pending.size() == engine.sessions()) {
            take(pending.remove(), done);
          }
          Pending next = submit(window, pending.isEmpty(), progress);
          while (next == null) { // the queue is full: wait for our oldest request
            take(pending.remove(), done);
            next = submit(window, pending.isEmpty(), progress);
          }
          pending.add(next);
        }
      }
      while (!pending.isEmpty()) {
        take(pending.remove(), done);
      }
    } finally {
      for (Pending left : pending) { // of a run that failed
        if (left.session != null) {
          left.session.cancel();
        }
      }
    }
  }

  /**
   * Puts a window into the engine's queue.
   *
   * @param must whether to throw where the queue is full
   * @return null where it is full
   */
  private @Nullable Pending submit(Window window, boolean must, Progress progress) {
    if (window.next == window.end) {
      return new Pending(window, null);
    }
    int[] ids = Arrays.copyOfRange(window.of.ids, window.start, window.end);
    try {
      return new Pending(
          window,
          engine.submit(
              request(ids, window.next - window.start),
              (_, _, _, _) -> progress.step(1))); // within a window, which may take a minute
    } catch (BusyException e) {
      if (must) {
        throw e;
      }
      return null;
    }
  }

  /** Asks for the scores of {@code ids[from:]}. */
  static GenerationRequest request(int[] ids, int from) {
    return GenerationRequest.builder(ids).maxTokens(0).promptLogprobs(0).scoreFrom(from).build();
  }

  private static void take(Pending pending, Consumer<Scored> done) {
    Window window = pending.window;
    if (pending.session != null) {
      List<Token> tokens = scores(pending.session);
      int next = window.next;
      for (Token token : tokens) {
        window.of.scores[next - window.of.from] = checked(token, next + 1);
        next++;
      }
    }
    if (window.last) {
      done.accept(window.of);
    }
  }

  /**
   * Returns the score of a token.
   *
   * @param number of the token in its text, from 1
   */
  static float checked(Token token, int number) {
    if (Double.isNaN(token.logProb())) {
      throw new InputException(
          "the model's score of token " + number + " is not a number: its weights are broken");
    }
    return (float) token.logProb();
  }

  /** Waits for the scores of a request. */
  static List<Token> scores(Session session) {
    GenerationResult result = session.result();
    if (result.reason() == FinishReason.CANCELLED) {
      throw new CancelledException("the engine was closed before all tokens had scores", null);
    }
    return result.prompt();
  }
}
