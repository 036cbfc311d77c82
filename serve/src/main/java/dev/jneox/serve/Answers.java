package dev.jneox.serve;

import dev.jneox.infer.Completion;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.TextStream;
import dev.jneox.io.BusyException;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/** Has a model write the answers of one HTTP request, all at once, within its time. */
final class Answers {
  /** Ends requests whose time is over. */
  private static final ScheduledExecutorService CLOCK =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("jneox-deadlines").factory());

  private final ServedModel model;
  private final Call call;

  Answers(ServedModel model, Call call) {
    this.model = model;
    this.call = call;
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
   * Runs the requests and returns their answers in their order.
   *
   * @param listener called by many threads at a time
   * @throws ApiException when one of them fails; the others are cancelled then
   */
  List<Completion> run(List<GenerationRequest> requests, List<String> stop, Listener listener) {
    model.admission().check();
    if (requests.size() == 1) {
      return List.of(one(0, requests.getFirst(), stop, listener));
    }
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Completion>> futures = new ArrayList<>();
      for (int i = 0; i < requests.size(); i++) {
        int answer = i;
        futures.add(threads.submit(() -> one(answer, requests.get(answer), stop, listener)));
      }
      try {
        List<Completion> answers = new ArrayList<>();
        for (Future<Completion> future : futures) {
          answers.add(future.get());
        }
        return answers;
      } catch (ExecutionException e) {
        throw cause(e);
      } catch (CancellationException | InterruptedException e) {
        throw ApiException.unavailable("the request was cancelled");
      } finally {
        futures.forEach(future -> future.cancel(true));
      }
    }
  }

  private static RuntimeException cause(ExecutionException e) {
    if (e.getCause() instanceof Error error) {
      throw error;
    }
    return e.getCause() instanceof RuntimeException failure
        ? failure
        : new IllegalStateException(e.getCause());
  }

  private Completion one(
      int answer, GenerationRequest request, List<String> stop, Listener listener) {
    try (Admission.Place _ = model.admission().enter(call.client(), call.nanosLeft());
        TextStream stream = model.stream(request, stop);
        Call.Registration _ = call.onAbandon(stream::cancel)) {
      ScheduledFuture<?> deadline =
          CLOCK.schedule(stream::cancel, call.nanosLeft(), TimeUnit.NANOSECONDS);
      try {
        while (stream.hasNext()) {
          listener.piece(answer, stream.next());
        }
        Completion completion = stream.result();
        if (completion.reason() == FinishReason.CANCELLED) {
          throw call.nanosLeft() <= 0
              ? ApiException.timedOut(
                  "the request took longer than the server allows: ask for fewer tokens, or have"
                      + " them streamed")
              : ApiException.unavailable("the request was cancelled");
        }
        listener.end(answer, completion);
        return completion;
      } finally {
        deadline.cancel(false);
      }
    } catch (InputException e) { // the model gives no numbers
      throw ApiException.http(500, e.getMessage());
    } catch (BusyException e) {
      throw ApiException.overloaded(e.getMessage());
    } catch (CancelledException | IllegalStateException e) {
      throw ApiException.unavailable("the server is shutting down");
    } catch (InterruptedException e) {
      throw ApiException.unavailable("the request was cancelled");
    }
  }
}
