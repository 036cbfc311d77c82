package dev.jneox.hub;

import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import java.io.IOException;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Tries one act again and again, with growing pauses, for as long as it makes sense. */
final class Attempts {
  /** A failure that may pass: the server is busy, or the connection broke. */
  static final class PassingFailure extends IOException {
    private final @Nullable Duration wait;

    /**
     * @param wait what the server asked to wait, or null
     */
    PassingFailure(String message, @Nullable Duration wait) {
      super(message);
      this.wait = wait;
    }
  }

  /** The act; an {@link IOException} may pass, a {@link JneoxException} will not. */
  interface Act<T> {
    T run() throws IOException, InterruptedException;
  }

  private final Patience patience;
  private final String what;
  private final Consumer<String> onRetry;
  private int failures;

  /**
   * Makes the first attempt possible.
   *
   * @param what named in the error when all was in vain
   * @param onRetry is told in one line of every failure after which the act is tried again
   */
  Attempts(Patience patience, String what, Consumer<String> onRetry) {
    this.patience = patience;
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
   * Waits for the next try.
   *
   * @param further whether the try got further, which makes it the first failure again
   * @throws InputException when that was the last one
   */
  void after(IOException failure, boolean further) throws InterruptedException {
    failures = further ? 1 : failures + 1;
    if (failures >= patience.tries()) {
      throw new InputException(
          what + ": gave up after " + failures + " tries: " + reason(failure) + "; try again later",
          failure);
    }
    Duration asked = failure instanceof PassingFailure passing ? passing.wait : null;
    if (asked != null && asked.compareTo(patience.longestWait()) > 0) {
      throw new InputException(
          what
              + ": "
              + reason(failure)
              + ", which asks to wait "
              + asked.toSeconds()
              + " s; try again then",
          failure);
    }
    Duration doubled = patience.firstPause().multipliedBy(1L << Math.min(failures - 1, 20));
    Duration pause =
        doubled.compareTo(patience.longestPause()) > 0 ? patience.longestPause() : doubled;
    long jittered = (long) (pause.toNanos() * ThreadLocalRandom.current().nextDouble(0.5, 1));
    long wait = asked == null ? jittered : Math.max(jittered, asked.toNanos());
    onRetry.accept(
        String.format(
            Locale.ROOT,
            "%s: %s; try %d of %d in %.1f s",
            what,
            reason(failure),
            failures + 1,
            patience.tries(),
            wait / 1e9));
    Thread.sleep(Duration.ofNanos(wait));
  }

  private static String reason(IOException e) {
    String message = e.getMessage() == null || e.getMessage().isBlank() ? "" : e.getMessage();
    return switch (e) {
      case PassingFailure passing -> message;
      case java.net.http.HttpTimeoutException timeout -> "no answer in time";
      default -> message.isEmpty() ? e.getClass().getSimpleName() : message;
    };
  }
}
