package dev.jneox.serve;

import dev.jneox.infer.Completion;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.TextStream;
import dev.jneox.io.BusyException;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** Has a model write the answers of one HTTP request, all at once, within its time. */
final class Answers {
  /** Ends requests whose time is over. */
  private static final ScheduledExecutorService CLOCK =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("jneox-deadlines").factory());

  private final ServedModel model;
  private final Call call;
  private final int answersPerPrompt;
  private final Cancellation cancellation = new Cancellation();

  /**
   * @param answersPerPrompt how many requests in a row have one prompt
   */
  Answers(ServedModel model, Call call, int answersPerPrompt) {
    this.model = model;
    this.call = call;
    this.answersPerPrompt = answersPerPrompt;
  }

  /** Takes an answer piece by piece, on the thread of that answer. */
  interface Listener {
    /** Waits for the whole answers. */
    Listener NONE =
        new Listener() {
          @Override
          public void piece(int answer, TextPiece piece) {}

          @Override
          public void end(int answer, Completion completion) {}
        };

    /** Takes the next piece; what it throws cancels all answers of the request. */
    void piece(int answer, TextPiece piece);

    /** Takes the whole answer, after its last piece. */
    void end(int answer, Completion completion);
  }

  /**
   * Runs the requests and returns their answers in their order. No more of them wait in the queue
   * than run at a time, however many there are, so that they leave room for other requests.
   *
   * @param listener called by many threads at a time
   * @throws ApiException when one of them fails; the others are cancelled then
   */
  List<Completion> run(List<GenerationRequest> requests, List<String> stop, Listener listener) {
    try (Admission.Reservation _ = model.admission().reserve(window(requests));
        Cancellation.Registration _ = call.leaving().onCancel(cancellation::cancel)) {
      return reserved(requests, stop, listener);
    }
  }

  private int window(List<GenerationRequest> requests) {
    return Math.min(requests.size(), model.admission().places());
  }

  private List<Completion> reserved(
      List<GenerationRequest> requests, List<String> stop, Listener listener) {
    if (requests.size() == 1) {
      return List.of(one(0, requests.getFirst(), stop, listener));
    }
    Semaphore window = new Semaphore(window(requests));
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>(); // the first one
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Completion>> futures = new ArrayList<>();
      for (int i = 0; i < requests.size(); i++) {
        int answer = i;
        futures.add(
            threads.submit(
                () -> {
                  window.acquire();
                  try {
                    return one(answer, requests.get(answer), stop, listener);
                  } catch (RuntimeException | Error e) {
                    failure.compareAndSet(null, e);
                    cancellation.cancel();
                    throw e;
                  } finally {
                    window.release();
                  }
                }));
      }
      try {
        List<Completion> answers = new ArrayList<>();
        for (Future<Completion> future : futures) {
          answers.add(future.get());
        }
        return answers;
      } catch (ExecutionException e) {
        throw cause(failure.get());
      } catch (CancellationException | InterruptedException e) {
        throw ApiException.unavailable("the request was cancelled");
      } finally {
        cancellation.cancel(); // those that have not ended
      }
    }
  }

  private static RuntimeException cause(@Nullable Throwable failure) {
    if (failure instanceof Error error) {
      throw error;
    }
    return failure instanceof RuntimeException e ? e : new IllegalStateException(failure);
  }

  private static ApiException slow() {
    return ApiException.timedOut("the answer was read too slowly while others waited");
  }

  /** Returns what was computed of an answer that does not become whole; empty where it failed. */
  private static Optional<Completion> cutShort(TextStream stream) {
    try {
      return Optional.of(stream.result());
    } catch (RuntimeException | Error e) { // which has ended the answer, and is thrown
      return Optional.empty();
    }
  }

  private Completion one(
      int answer, GenerationRequest request, List<String> stop, Listener listener) {
    long began = System.nanoTime();
    try (Admission.Place _ = model.admission().enter(call, cancellation);
        TextStream stream = model.stream(request, stop);
        Cancellation.Registration _ = cancellation.onCancel(stream::cancel)) {
      ScheduledFuture<?> deadline =
          CLOCK.schedule(stream::cancel, call.nanosLeft(), TimeUnit.NANOSECONDS);
      call.queued(System.nanoTime() - began);
      long patience = model.patience().write().toNanos();
      long reading = 0; // nanoseconds for which the client has kept it waiting
      boolean whole = false;
      try {
        while (stream.hasNext()) {
          TextPiece piece = stream.next();
          call.token();
          long before = System.nanoTime();
          listener.piece(answer, piece);
          reading += System.nanoTime() - before;
          if (reading > patience && model.admission().waiting() > 0) {
            throw slow();
          }
        }
        Completion completion = stream.result();
        if (completion.reason() == FinishReason.STALLED) {
          throw slow();
        }
        if (completion.reason() == FinishReason.CANCELLED) {
          throw call.leaving().cancelled()
              ? ApiException.abandoned()
              : call.nanosLeft() <= 0
                  ? ApiException.timedOut(
                      "the request took longer than the %d s of this server: ask for fewer tokens"
                          .formatted(TimeUnit.NANOSECONDS.toSeconds(call.timeout())))
                  : ApiException.unavailable("the server is shutting down");
        }
        whole = true;
        call.ended(completion, answer % answersPerPrompt == 0);
        listener.end(answer, completion);
        return completion;
      } finally {
        deadline.cancel(false);
        if (!whole) {
          stream.cancel();
          cutShort(stream).ifPresent(cut -> call.ended(cut, answer % answersPerPrompt == 0));
        }
      }
    } catch (StorageException e) {
      throw model.broken(e);
    } catch (InputException e) { // the model gives no numbers
      throw ApiException.http(500, e.getMessage());
    } catch (BusyException e) {
      throw ApiException.overloaded(e.getMessage(), 1);
    } catch (CancelledException | IllegalStateException e) {
      throw ApiException.unavailable("the server is shutting down");
    } catch (InterruptedException e) {
      throw ApiException.unavailable("the server is shutting down");
    }
  }
}
