package dev.jneox.infer;

import dev.jneox.infer.Token.Candidate;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Holds the ids of one request: its prompt and the tokens drawn for it, with their
 * log-probabilities. The engine thread alone changes it; another thread may read the first {@link
 * #drawn} tokens at any time, without a lock.
 */
final class Generation {
  /** Above all positions. */
  static final int NONE = Integer.MAX_VALUE;

  private final ModelSpec spec;
  private final GenerationRequest request;
  private final int promptLength;
  private final int limit;
  private final RandomGenerator random;
  private final Sampler.History history;
  private final TokenConstraint.@Nullable Cursor cursor;

  // The ids allowed next. Another thread finds them, while the engine's thread leaves them alone.
  private @Nullable BitSet allowed; // null for all
  private @Nullable Throwable constraintFailure;
  private volatile boolean ready; // written last
  private int[] ids; // the prompt, then the tokens drawn
  private final Token @Nullable [] prompt; // from scoreFrom on; null where not asked for
  private Token @Nullable [] tokens; // null where their log-probabilities were not asked for
  private long[] times; // System.nanoTime at which each token was drawn
  private int scored; // of prompt
  private @Nullable FinishReason reason;

  /** Written last, so that who reads it first sees all that belongs to the tokens before. */
  private volatile int drawn;

  /** Tokens there will ever be; -1 while more may follow. Written before {@link #drawn}. */
  private volatile int total = -1;

  /**
   * @throws InputException if the request does not fit the model
   */
  Generation(ModelSpec spec, GenerationRequest request) {
    this.spec = spec;
    this.request = request;
    int[] promptIds = prompt(spec, request);
    this.promptLength = promptIds.length;
    // Of long: a file may state a context of the largest int.
    this.limit = (int) Math.min(request.maxTokens(), spec.maxPositions() - promptLength + 1L);
    this.random = request.sampler().random();
    this.history = request.sampler().history();
    Arrays.stream(promptIds).forEach(history::prompt);
    this.cursor = request.constraint().map(TokenConstraint::begin).orElse(null);
    this.ready = cursor == null;
    this.ids = Arrays.copyOf(promptIds, promptLength + Math.min(limit, 64));
    this.prompt =
        request.promptLogprobs().isEmpty() ? null : new Token[promptLength - request.scoreFrom()];
    this.tokens = request.logprobs().isEmpty() ? null : new Token[Math.min(limit, 64)];
    this.times = new long[Math.min(limit, 64)];
  }

  private static int[] prompt(ModelSpec spec, GenerationRequest request) {
    int[] prompt = request.promptIds();
    if (prompt.length == 0) {
      if (spec.vocabulary().endOfText() < 0) {
        throw new InputException(
            "empty prompt: the model has no end-of-text token to begin a document with; give some"
                + " text");
      }
      prompt = new int[] {spec.vocabulary().endOfText()};
    }
    checkIds(prompt, spec);
    // The last id of a prompt that is only scored is not read.
    if (prompt.length > spec.maxPositions() + (request.maxTokens() == 0 ? 1L : 0L)) {
      throw new InputException(
          "the prompt has "
              + prompt.length
              + " tokens, the model's context is "
              + spec.maxPositions()
              + ": shorten it");
    }
    return prompt;
  }

  /** Refuses ids that are no rows of the embedding. */
  static void checkIds(int[] ids, ModelSpec spec) {
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0 || ids[i] >= spec.vocabulary().rows()) {
        String expected = "an id from 0 to " + (spec.vocabulary().rows() - 1);
        throw new InputException(
            "token " + (i + 1) + ": expected " + expected + ", found " + ids[i]);
      }
    }
  }

  /** Returns the prompt and the tokens drawn so far; more may lie behind them. */
  int[] ids() {
    return ids;
  }

  int promptLength() {
    return promptLength;
  }

  /** Returns the most positions that the model will read; it never reads the last id. */
  int positions() {
    return promptLength + limit - 1;
  }

  /** Returns how many positions the model must read before the next token, or the end. */
  int target() {
    return limit == 0 ? promptLength - 1 : promptLength + drawn;
  }

  /** Returns how many positions may come from a shared prefix: what is left gives all scores. */
  int reusable() {
    int last = limit == 0 ? target() : target() - 1;
    return Math.min(last, nextScored() - 1);
  }

  /** Returns the position of the next prompt id to be scored, or {@link #NONE}. */
  int nextScored() {
    return prompt == null || scored == prompt.length ? NONE : request.scoreFrom() + scored;
  }

  /** Whether a token is drawn once the model has read {@link #target} positions. */
  boolean draws() {
    return limit > 0;
  }

  /** Returns whether the ids allowed next are known, without which no token is drawn. */
  boolean ready() {
    return ready;
  }

  /** Finds the ids allowed next, on any thread, while {@link #ready} is false. */
  void findAllowed() {
    TokenConstraint.Cursor cursor = Objects.requireNonNull(this.cursor);
    try {
      if (drawn > 0) {
        cursor.accept(ids[promptLength + drawn - 1]);
      }
      allowed = cursor.allowed();
    } catch (Throwable t) { // thrown where a token would be drawn
      constraintFailure = t;
    }
    ready = true;
  }

  /** Returns how many candidates are wanted at a position; -1 where its scores are not. */
  int candidates(int position) {
    return (position < promptLength ? request.promptLogprobs() : request.logprobs()).orElse(-1);
  }

  /** Keeps the scores of the next prompt id; returns whether there is more to do. */
  boolean score(float[] logits, int at, double logSum, List<Candidate> top) {
    Token[] prompt = Objects.requireNonNull(this.prompt);
    int id = ids[nextScored()];
    prompt[scored++] = new Token(id, logits[at + id] - logSum, top);
    return draws() || scored < prompt.length;
  }

  /**
   * Draws the next token from the logits {@code logits[at ...]}; returns whether another may
   * follow.
   *
   * @throws InputException if the model gives no numbers
   * @throws Throwable that the constraint threw
   */
  boolean draw(float[] logits, int at, double logSum, List<Candidate> top, Sampler.Scratch scratch)
      throws Throwable {
    if (constraintFailure != null) {
      throw constraintFailure;
    }
    int used = spec.vocabulary().used();
    if (allowed != null) {
      int first = allowed.nextSetBit(0);
      if (first < 0 || first >= used) {
        finish(FinishReason.CONSTRAINT);
        return false;
      }
    }
    int id = request.sampler().next(logits, at, used, history, allowed, random, scratch);
    int count = drawn;
    if (count == times.length) {
      int room = Math.min(2 * count, limit);
      ids = Arrays.copyOf(ids, promptLength + room);
      times = Arrays.copyOf(times, room);
      tokens = tokens == null ? null : Arrays.copyOf(tokens, room);
    }
    ids[promptLength + count] = id;
    times[count] = System.nanoTime();
    if (tokens != null) {
      tokens[count] = new Token(id, logits[at + id] - logSum, top);
    }
    history.drawn(id);
    count++;
    if (spec.vocabulary().ends().contains(id) && !request.ignoreEnd()) {
      reason = FinishReason.END_OF_TEXT;
    } else if (request.stopIds().contains(id)) {
      reason = FinishReason.STOP_TOKEN;
    } else if (count == limit) {
      reason = count == request.maxTokens() ? FinishReason.MAX_TOKENS : FinishReason.CONTEXT_FULL;
    }
    boolean more = reason == null;
    if (!more) {
      total = count;
    }
    drawn = count;
    if (more && cursor != null) {
      allowed = cursor.acceptKnown(id);
      ready = allowed != null;
    }
    return more;
  }

  /** Ends here, unless it has ended. */
  void finish(FinishReason why) {
    if (total < 0) {
      reason = why;
      total = drawn;
    }
  }

  int drawn() {
    return drawn;
  }

  /** Returns the number of tokens in all, or -1 while more may follow. */
  int total() {
    return total;
  }

  /** Why it ended; only after {@link #total} says that it has. */
  FinishReason reason() {
    return Objects.requireNonNull(reason);
  }

  Token token(int index) {
    return tokens == null ? new Token(ids[promptLength + index]) : tokens[index];
  }

  /** Returns the {@link System#nanoTime} at which a token was drawn. */
  long time(int index) {
    return times[index];
  }

  /** Returns the prompt as the model reads it. */
  int[] promptIds() {
    return Arrays.copyOf(ids, promptLength);
  }

  /** Returns the prompt's tokens that have scores. */
  List<Token> prompt() {
    return prompt == null ? List.of() : Arrays.asList(prompt).subList(0, scored);
  }

  /** Returns the first {@code n} tokens drawn. */
  List<Token> tokens(int n) {
    List<Token> first = new ArrayList<>(n);
    for (int i = 0; i < n; i++) {
      first.add(token(i));
    }
    return first;
  }
}
