package dev.jneox.infer;

import dev.jneox.io.CancelledException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Measures one round: some sequences continued at once, each from a prompt of its own and read by a
 * thread of its own.
 *
 * @param firstToken seconds from the first request to the first token of any sequence
 * @param promptRate prompt tokens per second, from the first request until every sequence has its
 *     first token
 * @param decodeRate tokens per second of all sequences together, while all were being continued
 */
public record DecodeRound(double firstToken, double promptRate, double decodeRate) {
  /**
   * Draws {@code newTokens} tokens, from 2 up, per sequence, after prompts of random ids.
   *
   * @param seed of the prompts
   */
  public static DecodeRound run(
      Engine engine, int sessions, int promptTokens, int newTokens, long seed) {
    Random random = new Random(seed);
    long[][] times = new long[sessions][newTokens];
    List<TokenStream> streams = new ArrayList<>();
    List<CompletableFuture<TokenStream>> read = new ArrayList<>();
    long start;
    // The readers wait for their streams: a program that asks has its threads already.
    try (ExecutorService readers = Executors.newFixedThreadPool(sessions)) {
      CountDownLatch ready = new CountDownLatch(sessions);
      for (int s = 0; s < sessions; s++) {
        CompletableFuture<TokenStream> begun = new CompletableFuture<>();
        read.add(begun);
        long[] drawn = times[s];
        readers.submit(
            () -> {
              ready.countDown();
              TokenStream stream = begun.join();
              for (int i = 0; stream.hasNext(); i++) {
                stream.next();
                drawn[i] = stream.drawnAt();
              }
            });
      }
      await(ready);
      start = System.nanoTime();
      try {
        for (int s = 0; s < sessions; s++) {
          int[] prompt = random.ints(promptTokens, 0, engine.spec().vocabulary().used()).toArray();
          TokenStream stream =
              engine.stream(
                  GenerationRequest.builder(prompt).maxTokens(newTokens).ignoreEnd().build());
          streams.add(stream);
          read.get(s).complete(stream);
        }
      } finally {
        read.forEach(begun -> begun.cancel(false)); // of a request that was refused
      }
    }
    streams.forEach(TokenStream::result); // throws what a reader's thread could not
    long first = Arrays.stream(times).mapToLong(t -> t[0]).min().getAsLong();
    long allBegun = Arrays.stream(times).mapToLong(t -> t[0]).max().getAsLong();
    long firstDone = Arrays.stream(times).mapToLong(t -> t[newTokens - 1]).min().getAsLong();
    long tokens =
        Arrays.stream(times)
            .flatMapToLong(Arrays::stream)
            .filter(t -> t > allBegun && t <= firstDone)
            .count();
    return new DecodeRound(
        (first - start) / 1e9,
        (double) sessions * promptTokens * 1e9 / (allBegun - start),
        tokens * 1e9 / (firstDone - allBegun));
  }

  private static void await(CountDownLatch ready) {
    try {
      ready.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException("interrupted while measuring", e);
    }
  }
}
