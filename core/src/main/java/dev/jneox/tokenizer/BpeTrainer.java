package dev.jneox.tokenizer;

import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;

/**
 * Learns a byte-level byte-pair encoding from text. It counts the words of GPT-2's pattern on all
 * cores, then repeatedly makes the most frequent pair of neighbours a token. The result depends on
 * the texts alone: of equally frequent pairs, the one with the lower ids wins. Memory grows with
 * the number of distinct words.
 *
 * <pre>{@code
 * BpeTrainer trainer = new BpeTrainer(8192);
 * trainer.count(texts);
 * trainer.train(progress::step).write(Path.of("tokenizer.json"));
 * }</pre>
 */
public final class BpeTrainer {
  /** Ends a document; id 0, as in GPT-NeoX-20B's tokenizer. */
  public static final String END_OF_TEXT = "<|endoftext|>";

  /** Fills a batch; id 1, as in GPT-NeoX-20B's tokenizer. */
  public static final String PADDING = "<|padding|>";

  /** The special tokens and the 256 bytes, which are needed to write every text. */
  public static final int SMALLEST_VOCABULARY = 2 + 256;

  private static final int BATCH_CHARACTERS = 1 << 18;

  private final int vocabSize;
  private final WordCounts words = new WordCounts();
  private long documents;

  /**
   * Starts with no text.
   *
   * @param vocabSize tokens of the vocabulary: special ones, bytes and merges together
   */
  public BpeTrainer(int vocabSize) {
    if (vocabSize < SMALLEST_VOCABULARY) {
      throw new InputException(
          "vocabulary size: expected at least "
              + SMALLEST_VOCABULARY
              + " (256 bytes and 2 special tokens), found "
              + vocabSize);
    }
    this.vocabSize = vocabSize;
  }

  /**
   * Counts the words of the texts; may be called again with more. One thread at a time reads the
   * iterator, only as far ahead as keeps all cores busy. An exception of the iterator ends the
   * counting.
   */
  public void count(Iterator<String> texts) {
    Batches batches = new Batches(texts);
    IntStream.range(0, Runtime.getRuntime().availableProcessors())
        .parallel()
        .forEach(
            worker -> {
              WordCounts counts = new WordCounts();
              for (List<String> batch = batches.next(); !batch.isEmpty(); batch = batches.next()) {
                batch.forEach(counts::add);
              }
              synchronized (words) {
                words.add(counts);
              }
            });
    documents += batches.documents;
  }

  /** Returns the texts counted so far. */
  public long documents() {
    return documents;
  }

  /** Returns the bytes of the texts counted so far, in UTF-8. */
  public long bytes() {
    return words.bytes();
  }

  /** Distributes texts to several threads. */
  private static final class Batches {
    private final Iterator<String> texts;
    private boolean over;
    private long documents;

    Batches(Iterator<String> texts) {
      this.texts = texts;
    }

    /** Returns some texts; none at the end and after a failure. */
    synchronized List<String> next() {
      List<String> batch = new ArrayList<>();
      if (!over) {
        over = true; // and stays so if the iterator throws
        for (long characters = 0; characters < BATCH_CHARACTERS && texts.hasNext(); ) {
          batch.add(texts.next());
          characters += batch.getLast().length();
        }
        documents += batch.size();
        over = batch.isEmpty();
      }
      return batch;
    }
  }

  /**
   * Merges pairs until the vocabulary is full, or no pair occurs twice.
   *
   * @param onMerge receives 1 for every merge, for a progress line
   */
  public TrainedBpe train(LongConsumer onMerge) {
    SequencedMap<String, Integer> vocab = new LinkedHashMap<>();
    vocab.put(END_OF_TEXT, 0);
    vocab.put(PADDING, 1);
    // The bytes in the order of their written characters, as the Hugging Face trainer numbers them.
    int[] byteIds = new int[256];
    IntStream.range(0, 256)
        .boxed()
        .sorted(Comparator.comparing(ByteAlphabet::character))
        .forEach(
            b -> {
              byteIds[b] = vocab.size();
              vocab.put(String.valueOf(ByteAlphabet.character(b)), byteIds[b]);
            });
    List<String> tokens = new ArrayList<>(vocab.keySet());
    List<String> merges = new ArrayList<>();
    PairCounts pairs = new PairCounts(words, byteIds);
    while (tokens.size() < vocabSize) {
      PairCounts.Pair best = pairs.best();
      if (best == null) {
        break;
      }
      String left = tokens.get(best.left);
      String right = tokens.get(best.right);
      merges.add(left + " " + right);
      pairs.merge(best, tokens.size());
      vocab.put(left + right, tokens.size());
      tokens.add(left + right);
      onMerge.accept(1);
    }
    return new TrainedBpe(vocab, merges, documents, words.bytes(), words.size(), pairs.tokens());
  }
}
