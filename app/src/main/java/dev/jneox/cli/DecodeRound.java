package dev.jneox.cli;

import dev.jneox.generate.Engine;
import dev.jneox.generate.Generator.Request;
import dev.jneox.generate.Sampler;
import dev.jneox.generate.Session;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * One measured round: some texts written at once, each from a prompt of its own.
 *
 * @param firstToken seconds from the first request to the first token of any text
 * @param promptRate prompt tokens a second, from the first request until every text has its first
 *     token
 * @param decodeRate tokens a second of all texts together, while all were being written
 */
record DecodeRound(double firstToken, double promptRate, double decodeRate) {
  /** Draws {@code newTokens} tokens, from 2 up, of each text; the seed makes the prompts. */
  static DecodeRound run(Engine engine, int sessions, int promptTokens, int newTokens, long seed) {
    Random random = new Random(seed);
    long[][] times = new long[sessions][newTokens];
    List<Session> texts = new ArrayList<>();
    long start = System.nanoTime();
    for (int s = 0; s < sessions; s++) {
      int[] prompt = random.ints(promptTokens, 0, engine.config().usedVocab()).toArray();
      long[] drawn = times[s];
      int[] count = {0};
      texts.add(
          engine.submit(
              new Request(prompt, newTokens, Sampler.GREEDY, List.of(), true),
              (id, text) -> {
                drawn[count[0]++] = System.nanoTime();
                return true;
              }));
    }
    texts.forEach(text -> text.result().join());
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
