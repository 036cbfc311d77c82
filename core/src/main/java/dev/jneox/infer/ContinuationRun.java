package dev.jneox.infer;

import dev.jneox.infer.Scorer.Continuation;
import dev.jneox.infer.Scorer.Continued;
import dev.jneox.io.BusyException;
import dev.jneox.io.Progress;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Scores continuations once, with as few positions read as their common beginnings allow. */
final class ContinuationRun {
  private final Engine engine;
  private final Progress progress;
  private final ArrayDeque<Read> pending = new ArrayDeque<>();
  private @Nullable Continued[] scores = {};

  ContinuationRun(Engine engine, Progress progress) {
    this.engine = engine;
    this.progress = progress;
  }

  /** Is a list of ids as a key. */
  private record Ids(int[] ids) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Ids(int[] others) && Arrays.equals(ids, others);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(ids);
    }
  }

  /** Is one request of the engine: of continuations that differ in their last id alone. */
  private static final class Read {
    final int[] read; // all ids but the last
    final List<Integer> asked = new ArrayList<>(); // numbers of the continuations
    int from = Integer.MAX_VALUE;

    /** Those of the same context that begin when this one has ended. */
    Collection<Read> behind = List.of();

    final Map<Integer, Double> last = new HashMap<>(); // log-probability of a last id
    @Nullable Session session;

    Read(int[] read) {
      this.read = read;
    }
  }

  List<Continued> scores(List<Continuation> continuations) {
    scores = new Continued[continuations.size()];
    ArrayDeque<Collection<Read>> contexts = new ArrayDeque<>(contexts(continuations));
    try {
      while (!contexts.isEmpty() || !pending.isEmpty()) {
        while (!contexts.isEmpty() && pending.size() < engine.sessions()) {
          Collection<Read> context = contexts.remove();
          Read first = context.iterator().next();
          first.behind = context.stream().skip(1).toList();
          submit(first, continuations);
        }
        Read done = pending.remove();
        take(done, continuations);
        for (Read next : done.behind) {
          submit(next, continuations);
        }
      }
    } finally {
      for (Read left : pending) { // of a run that failed
        if (left.session != null) {
          left.session.cancel();
        }
      }
    }
    List<Continued> found = new ArrayList<>();
    for (Continued each : scores) {
      if (each == null) {
        throw new IllegalStateException("a continuation without scores");
      }
      found.add(each);
    }
    return found;
  }

  /** Returns the requests, those of one context together, in the order of the continuations. */
  private static Collection<Collection<Read>> contexts(List<Continuation> continuations) {
    Map<Ids, Read> reads = new HashMap<>();
    Map<Ids, Collection<Read>> contexts = new LinkedHashMap<>();
    for (int i = 0; i < continuations.size(); i++) {
      Continuation each = continuations.get(i);
      int[] ids = Arrays.copyOf(each.ids(), each.ids().length - 1);
      Read read = reads.get(new Ids(ids));
      if (read == null) {
        read = new Read(ids);
        reads.put(new Ids(ids), read);
        Ids context = new Ids(Arrays.copyOf(ids, each.from()));
        contexts.computeIfAbsent(context, _ -> new ArrayList<>()).add(read);
      }
      read.asked.add(i);
      read.from = Math.min(read.from, each.from());
    }
    return contexts.values();
  }

  private void submit(Read read, List<Continuation> continuations) {
    // The engine scores the last id of the prompt: that of one continuation, and of the others
    // from the same row.
    int[] prompt = Arrays.copyOf(read.read, read.read.length + 1);
    TreeSet<Integer> lasts = new TreeSet<>();
    for (int i : read.asked) {
      lasts.add(last(continuations.get(i)));
    }
    prompt[read.read.length] = lasts.first();
    GenerationRequest request =
        GenerationRequest.builder(prompt)
            .maxTokens(0)
            .promptLogprobs(1)
            .scoreFrom(read.from)
            .build();
    Engine.LogitRows rows =
        (position, logits, at, logSum) -> {
          if (position == read.read.length) {
            lasts.forEach(id -> read.last.put(id, logits[at + id] - logSum));
          }
        };
    while (true) {
      try {
        read.session = engine.submit(request, rows);
        pending.add(read);
        return;
      } catch (BusyException e) { // the queue is full: wait for our oldest request
        if (pending.isEmpty()) {
          throw e;
        }
        Read done = pending.remove();
        take(done, continuations);
        for (Read next : done.behind) {
          submit(next, continuations);
        }
      }
    }
  }

  private static int last(Continuation continuation) {
    return continuation.ids()[continuation.ids().length - 1];
  }

  private void take(Read read, List<Continuation> continuations) {
    Session session = read.session;
    if (session == null) {
      throw new IllegalStateException("a request that was not submitted");
    }
    List<Token> tokens = Scorer.scores(session); // of the ids from read.from on
    for (int i : read.asked) {
      Continuation asked = continuations.get(i);
      float[] found = new float[asked.ids().length - asked.from()];
      boolean greedy = true;
      for (int k = 0; k < found.length; k++) {
        int place = asked.from() + k;
        Token token = tokens.get(place - read.from);
        int id = asked.ids()[place];
        found[k] =
            place < read.read.length
                ? Scorer.checked(token, place + 1)
                : checked(read.last.get(id), place + 1);
        greedy &= token.top().getFirst().id() == id;
      }
      scores[i] = new Continued(found, greedy);
    }
    progress.step(read.asked.size());
  }

  private static float checked(@Nullable Double score, int number) {
    if (score == null) {
      throw new IllegalStateException("no score of a last id");
    }
    return Scorer.checked(new Token(0, score, List.of()), number);
  }
}
