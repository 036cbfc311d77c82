package dev.jneox.hub;

import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import java.io.IOException;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Repeats an operation that failed, with growing pauses, as {@link RetryPolicy} allows. */
final class Attempts {
  /**
   * Reports a failure that another attempt may not meet: the server is busy, or the connection
   * broke.
   */
  static final class TransientFailure extends IOException {
    private final @Nullable Duration wait;

    /**
     * Creates the failure.
     *
     * @param wait the wait that the server asked for, or null
     */
    TransientFailure(String message, @Nullable Duration wait) {
      super(message);
      this.wait = wait;
    }
  }

  /** Is the operation. An {@link IOException} is retried, a {@link JneoxException} is not. */
  interface Act<T> {
    T run() throws IOException, InterruptedException;
  }

  private final RetryPolicy retries;
  private final String what;
  private final Consumer<String> onRetry;
  private int failures;

  /**
   * Starts with no failed attempt.
   *
   * @param what the subject of the final error message
   * @param onRetry receives one line for each failure that is followed by another attempt
   */
  Attempts(RetryPolicy retries, String what, Consumer<String> onRetry) {
    this.retries = retries;
    this.what = what;
    this.onRetry = onRetry;
  }

  <T> T run(Act<T> act) throws InterruptedException {
    while (true) {
      try {
        return act.run();
      } catch (IOException e) {
        after(e, false);
      }
    }
  }

  /**
   * Waits before the next attempt.
   *
   * @param further whether the attempt made progress, which resets the count of failures
   * @throws InputException when that was the last attempt
   * @throws InterruptedException when the thread is interrupted, and so the attempt may have failed
   *     for this reason: the JDK's HTTP client reports it as an {@link IOException}
   */
  void after(IOException failure, boolean further) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    failures = further ? 1 : failures + 1;
    if (failures >= retries.tries()) {
      throw new InputException(
          what + ": gave up after " + failures + " tries: " + reason(failure) + "; try again later",
          failure);
    }
    Duration asked = failure instanceof TransientFailure passing ? passing.wait : null;
    if (asked != null && asked.compareTo(retries.longestWait()) > 0) {
      throw new InputException(
          what
              + ": "
              + reason(failure)
              + ", which asks to wait "
              + asked.toSeconds()
              + " s; try again then",
          failure);
    }
    Duration doubled = retries.firstPause().multipliedBy(1L << Math.min(failures - 1, 20));
    Duration pause =
        doubled.compareTo(retries.longestPause()) > 0 ? retries.longestPause() : doubled;
    long jittered = (long) (pause.toNanos() * ThreadLocalRandom.current().nextDouble(0.5, 1));
    long wait = asked == null ? jittered : Math.max(jittered, asked.toNanos());
    onRetry.accept(
        String.format(
            Locale.ROOT,
            "%s: %s; try %d of %d in %.1f s",
            what,
            reason(failure),
            failures + 1,
            retries.tries(),
            wait / 1e9));
    Thread.sleep(Duration.ofNanos(wait));
  }

  private static String reason(IOException e) {
    String message = e.getMessage() == null || e.getMessage().isBlank() ? "" : e.getMessage();
    return switch (e) {
      case TransientFailure passing -> message;
      case java.net.http.HttpTimeoutException timeout -> "no answer in time";
      default -> message.isEmpty() ? e.getClass().getSimpleName() : message;
    };
  }
}
