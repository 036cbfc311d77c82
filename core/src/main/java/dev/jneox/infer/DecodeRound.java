package dev.jneox.infer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
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
    long start = System.nanoTime();
    try (ExecutorService readers = Executors.newCachedThreadPool()) {
      for (int s = 0; s < sessions; s++) {
        int[] prompt = random.ints(promptTokens, 0, engine.spec().vocabulary().used()).toArray();
        TokenStream stream =
            engine.stream(
                GenerationRequest.builder(prompt).maxTokens(newTokens).ignoreEnd().build());
        streams.add(stream);
        long[] drawn = times[s];
        readers.submit(
            () -> {
              for (int i = 0; stream.hasNext(); i++) {
                stream.next();
                drawn[i] = stream.drawnAt();
              }
            });
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
}
