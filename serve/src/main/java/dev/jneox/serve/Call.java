package dev.jneox.serve;

import dev.jneox.infer.Completion;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One HTTP request at work: who sent it, its id, its time, what to do when the client leaves, and
 * what the log says of it.
 */
final class Call {
  private static final ScopedValue<Call> CURRENT = ScopedValue.newInstance();

  private final String id;
  private final long arrived = System.nanoTime();
  private final long timeout;
  private final Cancellation leaving = new Cancellation();
  private volatile String client = "";
  private volatile String model = "";

  // Of the request's own thread.
  private ModelPool.@Nullable Lease lease;
  private long bodyBytes;

  // Guarded by this.
  private long queued; // nanoseconds; of several sequences the longest
  private long firstToken; // nanoseconds from the arrival; 0 before
  private long promptTokens;
  private long newTokens;
  private double tokenSeconds; // after the first token of each answer
  private long laterTokens; // in that time
  private final Set<String> reasons = new TreeSet<>();

  /**
   * @param id of the request, from the header X-Request-Id, or empty for a new one
   * @param timeout nanoseconds from now
   */
  Call(String id, long timeout) {
    this.id = id.isEmpty() ? UUID.randomUUID().toString().replace("-", "") : id;
    this.timeout = timeout;
  }

  /** Returns the request that the current thread reads. */
  static Call current() {
    return CURRENT.get();
  }

  /** Runs something with this as the {@link #current} one. */
  void run(Runnable work) {
    ScopedValue.where(CURRENT, this).run(work);
  }

  String id() {
    return id;
  }

  /** Whose turn the request takes: the name of a key, or an address. */
  String client() {
    return client;
  }

  void client(String name) {
    client = name;
  }

  /** The model that answers; empty before one is chosen. */
  String model() {
    return model;
  }

  void model(String id) {
    model = id;
  }

  /** Keeps a model until {@link #release}. */
  ServedModel use(ModelPool.Lease taken) {
    lease = taken;
    return taken.model();
  }

  /** Gives back the model, which nothing of the request uses any more. */
  void release() {
    if (lease != null) {
      lease.close();
      lease = null;
    }
  }

  /** Says that so many bytes of the server's {@link BodyBudget} are held. */
  void holds(long bytes) {
    bodyBytes += bytes;
  }

  /** Returns how many bytes of the {@link BodyBudget} are held. */
  long bodyBytes() {
    return bodyBytes;
  }

  /** Says that a sequence had its turn. */
  synchronized void queued(long nanos) {
    queued = Math.max(queued, nanos);
  }

  /** Says that a token is there. */
  synchronized void token() {
    if (firstToken == 0) {
      firstToken = System.nanoTime() - arrived;
    }
  }

  /**
   * Says that an answer has ended, or was cut short; of several to one prompt, the prompt counts
   * once.
   */
  synchronized void ended(Completion completion, boolean countPrompt) {
    promptTokens += countPrompt ? completion.usage().promptTokens() : 0;
    newTokens += completion.usage().newTokens();
    if (completion.usage().newTokens() > 1) {
      laterTokens += completion.usage().newTokens() - 1;
      tokenSeconds +=
          completion.generation().times().end() - completion.generation().times().firstToken();
    }
    reasons.add(
        switch (completion.reason()) {
          case CANCELLED, STALLED -> completion.reason().name().toLowerCase(Locale.ROOT);
          default -> Completions.reason(completion.reason());
        });
  }

  synchronized double queuedSeconds() {
    return queued / 1e9;
  }

  /** Seconds from the arrival to the first token; 0 without one. */
  synchronized double firstTokenSeconds() {
    return firstToken / 1e9;
  }

  /** Mean seconds per token after the first one; NaN without one. */
  synchronized double secondsPerToken() {
    return laterTokens == 0 ? Double.NaN : tokenSeconds / laterTokens;
  }

  synchronized long promptTokens() {
    return promptTokens;
  }

  synchronized long newTokens() {
    return newTokens;
  }

  /** Why the answers ended. */
  synchronized String reasons() {
    return String.join(",", reasons);
  }

  /** Nanoseconds from the arrival that the request may take. */
  long timeout() {
    return timeout;
  }

  long nanosLeft() {
    return timeout - (System.nanoTime() - arrived);
  }

  double seconds() {
    return (System.nanoTime() - arrived) / 1e9;
  }

  /** Ended when nobody waits for the answer any more. */
  Cancellation leaving() {
    return leaving;
  }
}
