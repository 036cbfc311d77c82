package dev.jneox.bench;

import dev.jneox.tokenizer.PipelineTokenizer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/**
 * Encoding of a text cut into documents: {@code TokenizerBench tokenizer.json text.txt [rounds]},
 * by the tokenizer that the file gets and by the general one, on one and on two threads. Prints the
 * speed of the first round (the JVM is cold), of the best round by a tokenizer that has met no word
 * before, as in one pass over a corpus, and of the best round by one that knows the text. {@code
 * bench/peers/tokenizers_bench.py} does the same in Python.
 */
public final class TokenizerBench {
  /**
   * A document ends with the first line that ends after so many characters; the peer cuts alike.
   */
  private static final int DOCUMENT = 10_000;

  private TokenizerBench() {}

  public static void main(String[] args) throws Exception {
    List<String> documents = documents(Path.of(args[1]));
    long bytes =
        documents.stream().mapToLong(text -> text.getBytes(StandardCharsets.UTF_8).length).sum();
    int rounds = args.length > 2 ? Integer.parseInt(args[2]) : 10;
    System.out.printf(Locale.ROOT, "%d documents, %.1f MB%n", documents.size(), bytes / 1e6);
    Path json = Path.of(args[0]);
    for (int threads = 1; threads <= 2; threads++) {
      measure("jneox", () -> Tokenizer.load(json), documents, bytes, threads, rounds);
      measure(
          "jneox, general", () -> PipelineTokenizer.load(json), documents, bytes, threads, rounds);
    }
  }

  private static List<String> documents(Path text) throws IOException {
    List<String> documents = new ArrayList<>();
    StringBuilder document = new StringBuilder();
    for (String line : Files.readString(text).split("(?<=\n)")) {
      document.append(line);
      if (document.length() >= DOCUMENT) {
        documents.add(document.toString());
        document.setLength(0);
      }
    }
    documents.add(document.toString());
    return documents;
  }

  private static void measure(
      String name,
      Supplier<Tokenizer> load,
      List<String> documents,
      long bytes,
      int threads,
      int rounds)
      throws Exception {
    List<Double> fresh = new ArrayList<>();
    double known = Double.MAX_VALUE;
    long tokens = 0;
    for (int round = 0; round < rounds; round++) {
      try (Tokenizer tokenizer = load.get()) {
        long start = System.nanoTime();
        tokens = encode(tokenizer, documents, threads);
        fresh.add((System.nanoTime() - start) / 1e9);
        start = System.nanoTime();
        encode(tokenizer, documents, threads);
        known = Math.min(known, (System.nanoTime() - start) / 1e9);
      }
    }
    double best = Collections.min(fresh);
    System.out.printf(
        Locale.ROOT,
        "%-26s %d threads: first %6.1f MB/s, fresh %6.1f MB/s %6.2f Mtokens/s, known %6.1f MB/s (%d"
            + " tokens)%n",
        name,
        threads,
        bytes / 1e6 / fresh.getFirst(),
        bytes / 1e6 / best,
        tokens / 1e6 / best,
        bytes / 1e6 / known,
        tokens);
  }

  private static long encode(Tokenizer tokenizer, List<String> documents, int threads)
      throws Exception {
    AtomicInteger next = new AtomicInteger();
    Callable<Long> work =
        () -> {
          long count = 0;
          for (int i = next.getAndIncrement(); i < documents.size(); i = next.getAndIncrement()) {
            count += tokenizer.encode(documents.get(i)).length;
          }
          return count;
        };
    try (ExecutorService workers = Executors.newFixedThreadPool(threads)) {
      long tokens = 0;
      for (Future<Long> count : workers.invokeAll(Collections.nCopies(threads, work))) {
        tokens += count.get();
      }
      return tokens;
    }
  }
}
