package dev.jneox.serve;

import dev.jneox.io.CancelledException;
import dev.jneox.kernel.Cpu;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Computes what a request needs before its turn and what may take long: the form of its answer, the
 * ids of long texts. A few computations run at a time, on threads of their own: the virtual threads
 * that read requests have no more carriers than there are cores, and one that computes keeps its
 * carrier. Clients take turns, as in the engine.
 */
final class Preparation {
  /** The longest time of a computation, apart from its wait. */
  private static final Duration LONGEST = Duration.ofSeconds(10);

  private static final int MOST_WAITING = 256;
  private static final Admission TURNS =
      new Admission(Math.max(2, Cpu.threads() / 2), MOST_WAITING);

  private Preparation() {}

  /**
   * Computes something; interrupts it where it takes too long, or where the client has left.
   *
   * @param field of the body that it comes from
   * @throws ApiException where it takes too long, and as {@link Admission#enter} does
   */
  static <T> T compute(Call call, String field, Callable<T> work) {
    if (TURNS.waiting() >= MOST_WAITING) {
      throw ApiException.overloaded(
          "%d requests wait to have their forms and texts read".formatted(MOST_WAITING), 1);
    }
    CompletableFuture<T> result = new CompletableFuture<>();
    Thread thread = start(call, result, work);
    try (Cancellation.Registration _ = call.leaving().onCancel(thread::interrupt)) {
      return result.get(Math.min(call.nanosLeft(), LONGEST.toNanos()), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      throw call.nanosLeft() <= 0
          ? ApiException.timedOut(field + ": took longer to read than the server allows")
          : ApiException.invalid(
              field,
              "%s: expected what is read within %d seconds, found more: give less"
                  .formatted(field, LONGEST.toSeconds()));
    } catch (ExecutionException e) {
      throw thrown(e.getCause());
    } catch (InterruptedException e) {
      throw ApiException.unavailable("the server is shutting down");
    } finally {
      if (!result.isDone()) {
        thread.interrupt();
      }
    }
  }

  private static <T> Thread start(Call call, CompletableFuture<T> result, Callable<T> work) {
    Admission.Place place;
    try {
      place = TURNS.enter(call, call.leaving());
    } catch (InterruptedException e) {
      throw ApiException.unavailable("the server is shutting down");
    }
    try {
      return Thread.ofPlatform()
          .daemon()
          .name("jneox-preparation")
          .start(
              () -> {
                try (place) { // until it has really ended
                  result.complete(work.call());
                } catch (Throwable t) {
                  result.completeExceptionally(t);
                }
              });
    } catch (Error e) { // no more threads
      place.close();
      throw e;
    }
  }

  /**
   * Waits for what another request has computed.
   *
   * @throws ExecutionException with what it threw
   * @throws ApiException where this request's time is over or its client has left
   */
  static <T> T await(Call call, CompletableFuture<T> others) throws ExecutionException {
    CompletableFuture<T> mine = others.copy();
    try (Cancellation.Registration _ =
        call.leaving().onCancel(() -> mine.completeExceptionally(ApiException.abandoned()))) {
      return mine.get(call.nanosLeft(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      throw ApiException.timedOut("the request took longer to read than the server allows");
    } catch (ExecutionException e) {
      if (call.leaving().cancelled()) {
        throw ApiException.abandoned();
      }
      throw e;
    } catch (InterruptedException e) {
      throw ApiException.unavailable("the server is shutting down");
    }
  }

  private static RuntimeException thrown(@Nullable Throwable cause) {
    if (cause instanceof Error error) {
      throw error;
    }
    return cause instanceof CancelledException
        ? ApiException.abandoned()
        : cause instanceof RuntimeException e ? e : new IllegalStateException(cause);
  }
}
