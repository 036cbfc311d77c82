package dev.jneox.data;

import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * Tokenises a corpus into files. One thread reads and writes, the others decode and tokenise. The
 * files depend on the inputs, the tokenizer and the options, not on the number of threads. The text
 * in memory at once is bounded.
 */
public final class Prepare {
  /** Text per task, large enough that the overhead of a task is negligible. */
  private static final int BATCH_BYTES = 1 << 18;

  private static final int BATCH_DOCUMENTS = 1000;

  /** The number of corpus components that are counted separately; all further ones count as one. */
  private static final int SETS = 1000;

  /**
   * Holds the options.
   *
   * @param threads that tokenise
   * @param endOfDocument token appended to every document, by its name in the tokenizer; null for
   *     none
   * @param skipBad whether unreadable documents are counted and skipped
   * @param minChars shortest document that is kept, at least 1, because an empty document trains
   *     nothing
   */
  public record Options(
      int threads, @Nullable String endOfDocument, boolean skipBad, int minChars) {
    /** Checks that both numbers are at least 1. */
    public Options {
      if (threads < 1 || minChars < 1) {
        throw new InputException(
            "threads "
                + threads
                + ", shortest document "
                + minChars
                + ": expected at least 1 of each");
      }
    }

    /**
     * Returns one thread per core, {@code <|endoftext|>} after every document, and an error for the
     * first bad document.
     */
    public static Options defaults() {
      return new Options(Runtime.getRuntime().availableProcessors(), "<|endoftext|>", false, 1);
    }
  }

  /**
   * Reports what was written and skipped.
   *
   * @param documents written
   * @param tokens written
   * @param bytes of the inputs, compressed as they are on disk
   * @param seconds duration
   * @param shorter documents that were skipped because they are shorter than the minimum
   * @param skipped unreadable documents and files
   * @param sets documents and tokens of each component of the corpus, where the documents name one
   */
  public record Result(
      long documents,
      long tokens,
      long bytes,
      double seconds,
      long shorter,
      Documents.Skipped skipped,
      Map<String, Count> sets) {}

  /** Counts documents and tokens. */
  public record Count(long documents, long tokens) {
    Count plus(Count other) {
      return new Count(documents + other.documents, tokens + other.tokens);
    }
  }

  /** Holds tokenised documents back to back. */
  private record Batch(int[] ids, int[] sizes, long shorter, Map<String, Count> sets) {}

  /** Is a batch that is being tokenised. */
  private record Pending(Future<Batch> batch, long bytes) {}

  private final Documents documents;
  private final Tokenizer tokenizer;
  private final IndexedDatasetWriter writer;
  private final Options options;
  private final int[] end;
  private final ArrayDeque<Pending> pending = new ArrayDeque<>();
  private final Map<String, Count> sets = new TreeMap<>();
  private long shorter;

  private Prepare(
      Documents documents, Tokenizer tokenizer, IndexedDatasetWriter writer, Options options) {
    this.documents = documents;
    this.tokenizer = tokenizer;
    this.writer = writer;
    this.options = options;
    String name = options.endOfDocument;
    this.end =
        name == null
            ? new int[0]
            : new int[] {
              tokenizer
                  .id(name)
                  .orElseThrow(
                      () ->
                          new InputException(
                              "the tokenizer has no token "
                                  + name
                                  + " to end a document with; name another, or append none"))
            };
  }

  /**
   * Tokenises the inputs into {@code out.bin} and {@code out.idx}, which appear together at the end
   * or not at all.
   *
   * @param inputs files and folders of a corpus
   * @param tokenizer of the model
   * @param out the common path without suffix
   * @param options how to prepare
   * @param progress counts the bytes of the inputs, which are added to its total
   * @throws InputException also when no document is left to write
   */
  public static Result run(
      List<Path> inputs, Tokenizer tokenizer, Path out, Options options, Progress progress) {
    long start = System.nanoTime();
    try (Documents documents = Documents.open(inputs, options.skipBad, progress::step);
        IndexedDatasetWriter writer = new IndexedDatasetWriter(out, tokenizer.vocabSize())) {
      progress.expect(documents.totalBytes());
      Prepare prepare = new Prepare(documents, tokenizer, writer, options);
      prepare.run();
      if (writer.documents() == 0) {
        throw documents.nothing(prepare.shorter, options.minChars);
      }
      writer.commit();
      return new Result(
          writer.documents(),
          writer.tokens(),
          documents.totalBytes(),
          (System.nanoTime() - start) / 1e9,
          prepare.shorter,
          documents.skipped(),
          prepare.sets);
    }
  }

  private void run() {
    // Bytes of text that are read and not yet written: enough for every thread, a small part of the
    // heap.
    long room = Math.min(4L * options.threads * BATCH_BYTES, Runtime.getRuntime().maxMemory() / 32);
    ExecutorService threads =
        Executors.newFixedThreadPool(
            options.threads, Thread.ofPlatform().daemon().name("tokenise-", 0).factory());
    try {
      long underWay = 0;
      for (List<RawDocument> texts = read(); !texts.isEmpty(); texts = read()) {
        List<RawDocument> batch = texts;
        long bytes = batch.stream().mapToLong(text -> text.bytes().length).sum();
        while (!pending.isEmpty() && underWay + bytes > room) {
          underWay -= pending.element().bytes;
          write(pending.remove());
        }
        underWay += bytes;
        pending.add(new Pending(threads.submit(() -> encode(batch)), bytes));
      }
      while (!pending.isEmpty()) {
        write(pending.remove());
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private List<RawDocument> read() {
    List<RawDocument> batch = new ArrayList<>();
    for (long bytes = 0; bytes < BATCH_BYTES && batch.size() < BATCH_DOCUMENTS; ) {
      RawDocument next = documents.nextRaw();
      if (next == null) {
        break;
      }
      batch.add(next);
      bytes += next.bytes().length;
    }
    return batch;
  }

  private Batch encode(List<RawDocument> texts) {
    int[] all = new int[BATCH_BYTES / 2];
    int[] sizes = new int[texts.size()];
    int filled = 0;
    int kept = 0;
    long tooShort = 0;
    Map<String, Count> counts = new TreeMap<>();
    for (RawDocument raw : texts) {
      Document document = documents.parse(raw);
      if (document == null) {
        continue;
      }
      if (document.text().length() < options.minChars) {
        tooShort++;
        continue;
      }
      int[] ids = tokenizer.encode(document.text());
      int size = ids.length + end.length;
      if (filled + size > all.length) {
        all = Arrays.copyOf(all, Math.max(filled + size, all.length * 2));
      }
      System.arraycopy(ids, 0, all, filled, ids.length);
      System.arraycopy(end, 0, all, filled + ids.length, end.length);
      filled += size;
      sizes[kept++] = size;
      if (!document.set().isEmpty()) {
        counts.merge(document.set(), new Count(1, size), Count::plus);
      }
    }
    return new Batch(all, Arrays.copyOf(sizes, kept), tooShort, counts);
  }

  private void write(Pending next) {
    Batch batch;
    try {
      batch = next.batch.get();
    } catch (ExecutionException e) {
      switch (Objects.requireNonNull(e.getCause())) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new IllegalStateException(e.getCause());
      }
    } catch (InterruptedException e) {
      throw new CancelledException("preparing was interrupted", e);
    }
    int from = 0;
    for (int size : batch.sizes) {
      writer.add(batch.ids, from, size);
      from += size;
    }
    shorter += batch.shorter;
    batch.sets.forEach(
        (set, count) ->
            sets.merge(
                sets.size() < SETS || sets.containsKey(set) ? set : "(other)", count, Count::plus));
  }
}
