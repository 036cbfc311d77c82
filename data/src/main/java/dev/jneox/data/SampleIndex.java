package dev.jneox.data;

import dev.jneox.io.FreeDisk;
import dev.jneox.io.FreeMemory;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.MemoryException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;

/**
 * Holds the order in which GPT-NeoX ({@code pack_impl: packed}) feeds a data set, to the last
 * index. The documents of all epochs are shuffled, laid end to end and cut every {@code seqLength}
 * tokens; the cuts are shuffled again by the same generator.
 *
 * @param documents {@code doc_idx}, i4 or none: the shuffled documents
 * @param samples {@code sample_idx}, i4 or i8 [N+1, 2]: where in {@code documents} each sample
 *     begins, and at which of its tokens
 * @param shuffle {@code shuffle_idx}, u4 or i8 [N]: the sample that comes as the i-th
 */
public record SampleIndex(Npy documents, Npy samples, Npy shuffle) {
  private static final int REPORT = 1 << 20;

  /** The longest input, in tokens: sixteen times what any model reads. */
  private static final int MAX_SEQ_LENGTH = 1 << 24;

  /**
   * Holds the parameters of an index, besides the sizes of the documents.
   *
   * @param first first document
   * @param end document after the last
   * @param samples samples required; the index covers the whole epochs that these need
   * @param seqLength tokens of an input
   * @param seed of NumPy's {@code RandomState}, 0 to 2^32 - 1
   */
  public record Spec(int first, int end, long samples, int seqLength, long seed) {
    /** Checks the ranges of the length, the samples and the seed. */
    public Spec {
      require("sequence length", seqLength, 1, MAX_SEQ_LENGTH);
      require("samples", samples, 0, Long.MAX_VALUE);
      require("seed", seed, 0, 0xFFFF_FFFFL);
    }

    private static void require(String what, long value, long least, long most) {
      if (value < least || value > most) {
        throw new InputException(
            what
                + ": expected "
                + (most == Long.MAX_VALUE ? least + " or more" : least + " to " + most)
                + ", found "
                + value);
      }
    }

    /** Selects all documents of a data set. */
    public static Spec all(IndexedDataset data, long samples, int seqLength, long seed) {
      return new Spec(0, data.sequences(), samples, seqLength, seed);
    }
  }

  /** Computes the sizes and types of the three arrays. */
  record Shape(long epochs, long samples, ElementType sampleType, ElementType shuffleType) {
    static Shape of(IndexedDataset data, Spec spec) {
      long tokens = 0;
      for (int document = spec.first; document < spec.end; document++) {
        tokens += data.size(document);
      }
      if (tokens < 2) {
        throw InputException.in(
            data.prefix(),
            "documents " + spec.first + " to " + spec.end,
            "at least 2 tokens",
            "" + tokens);
      }
      try {
        // The smallest number of epochs whose tokens, less the one that has no successor, fill the
        // samples.
        long wanted = Math.addExact(Math.multiplyExact(spec.samples, (long) spec.seqLength), 1);
        long epochs = Math.ceilDiv(wanted, tokens);
        long visits = Math.multiplyExact(epochs, (long) spec.end - spec.first);
        if (visits <= Integer.MAX_VALUE) {
          return of(epochs, Math.multiplyExact(epochs, tokens) - 1, spec.seqLength);
        }
      } catch (ArithmeticException e) {
        // An overflow is rejected like too many documents.
      }
      throw InputException.in(
          data.prefix(),
          spec.samples + " samples of " + spec.seqLength + " tokens",
          "samples that take at most 2^31 - 1 documents over all epochs",
          tokens + " tokens an epoch");
    }

    /** Returns the bytes of the three arrays, in memory and on disk. */
    long bytes(int documents) {
      return epochs * documents * ElementType.I32.bytes()
          + 2 * (samples + 1) * sampleType.bytes()
          + samples * shuffleType.bytes();
    }

    static Shape of(long epochs, long tokens, int seqLength) {
      double exact = (double) tokens / seqLength;
      long samples = tokens / seqLength;
      return new Shape(
          epochs,
          samples,
          2 * (exact + 1) < Integer.MAX_VALUE ? ElementType.I32 : ElementType.I64,
          samples < 0xFFFF_FFFFL - 1 ? ElementType.U32 : ElementType.I64);
    }
  }

  /** Builds an index whose arrays live in {@code arena}; the progress counts its rows. */
  public static SampleIndex build(IndexedDataset data, Spec spec, Arena arena, Progress progress) {
    Shape shape = Shape.of(data, spec);
    int count = spec.end - spec.first;
    long bytes = shape.bytes(count);
    long free = FreeMemory.bytes().orElse(Long.MAX_VALUE);
    if (bytes > free) {
      throw new MemoryException(tooLarge(data, spec, bytes, free, "memory"), bytes, free);
    }
    Npy documents = Npy.allocate(arena, ElementType.I32, shape.epochs * count);
    Npy samples = Npy.allocate(arena, shape.sampleType, shape.samples + 1, 2);
    Npy shuffle = Npy.allocate(arena, shape.shuffleType, shape.samples);
    progress.expect(documents.size() + 2 * shape.samples);

    Mt19937 random = new Mt19937(spec.seed);
    for (long i = 0; i < documents.size(); ) {
      for (int document = spec.first; document < spec.end; document++) {
        documents.set(i++, document);
      }
    }
    random.shuffle(documents);
    progress.step(documents.size());

    Cutter cutter = new Cutter(data, documents, spec.seqLength);
    for (long row = 1; row <= shape.samples; row++) {
      cutter.advance();
      samples.set(2 * row, cutter.position);
      samples.set(2 * row + 1, cutter.offset);
      if (row % REPORT == 0) {
        progress.step(REPORT);
      }
    }
    progress.step(shape.samples % REPORT);

    for (long i = 0; i < shape.samples; i++) {
      shuffle.set(i, i);
    }
    random.shuffle(shuffle);
    progress.step(shape.samples);
    return new SampleIndex(documents, samples, shuffle);
  }

  /**
   * Walks from cut to cut. A sample takes {@code seqLength + 1} tokens, and its last is the next
   * one's first.
   */
  private static final class Cutter {
    private final IndexedDataset data;
    private final Npy documents;
    private final int seqLength;

    /** Where the next sample begins: index into {@code documents}, token of that document. */
    private long position;

    private int offset;

    Cutter(IndexedDataset data, Npy documents, int seqLength) {
      this.data = data;
      this.documents = documents;
      this.seqLength = seqLength;
    }

    /** Moves to the next cut; returns false where the documents end before it. */
    boolean advance() {
      long next = (long) offset + seqLength;
      for (int size = size(); next >= size; size = size()) {
        next -= size;
        if (++position == documents.size()) {
          return false;
        }
      }
      offset = (int) next;
      return true;
    }

    private int size() {
      return data.size((int) documents.get(position));
    }
  }

  /**
   * Reads the index from the files that GPT-NeoX keeps beside the data, {@code
   * PREFIX_NAME_indexmap_...npy}. Where they are missing or do not fit the data they are built and
   * written; where the folder is not writable the index is built in memory.
   *
   * @param name GPT-NeoX's name of the split: train, valid, test, train_0, ...
   */
  public static SampleIndex cached(
      IndexedDataset data, String name, Spec spec, Arena arena, Progress progress) {
    Path folder = Objects.requireNonNull(data.prefix().toAbsolutePath().getParent());
    String file =
        "%s_%s_indexmap_%dns_%dsl_%ds_packedpi_ac_"
            .formatted(data.prefix().getFileName(), name, spec.samples, spec.seqLength, spec.seed);
    Path documents = folder.resolve(file + "doc_idx.npy");
    Path samples = folder.resolve(file + "sample_idx.npy");
    Path shuffle = folder.resolve(file + "shuffle_idx.npy");
    Optional<SampleIndex> found = found(data, spec, documents, samples, shuffle, arena);
    if (found.isPresent()) {
      return found.get();
    }
    if (!Files.isWritable(folder)) {
      return build(data, spec, arena, progress);
    }
    // Of two runs that start at the same time on the same data, the second waits for the files of
    // the first.
    try (TargetLock _ =
            TargetLock.await(
                folder.resolve(file + "idx"), owner -> progress.note("waiting for " + owner));
        Arena building = Arena.ofShared()) {
      found = found(data, spec, documents, samples, shuffle, arena);
      if (found.isPresent()) {
        return found.get();
      }
      long bytes = Shape.of(data, spec).bytes(spec.end - spec.first);
      long free = FreeDisk.bytes(folder);
      if (bytes > free) {
        throw new StorageException(
            tooLarge(data, spec, bytes, free, "disk in " + folder),
            folder,
            "cannot be written",
            "the index takes %,d bytes, %,d are free".formatted(bytes, free),
            null);
      }
      SampleIndex built = build(data, spec, building, progress);
      built.documents.write(documents);
      built.samples.write(samples);
      built.shuffle.write(shuffle);
    }
    return new SampleIndex(
        Npy.map(documents, arena), Npy.map(samples, arena), Npy.map(shuffle, arena));
  }

  /** Formats the message for an index that would not fit, before it is built. */
  private static String tooLarge(
      IndexedDataset data, Spec spec, long bytes, long free, String what) {
    return String.format(
        Locale.ROOT,
        "%s: the order of %,d samples takes %.1f GB, %.1f GB are free of %s: ask for fewer"
            + " (train_iters, train_batch_size, eval_iters)",
        data.prefix(),
        spec.samples,
        bytes / 1e9,
        free / 1e9,
        what);
  }

  /** Maps the index in three files; empty where one is missing, damaged or made from other data. */
  private static Optional<SampleIndex> found(
      IndexedDataset data, Spec spec, Path documents, Path samples, Path shuffle, Arena arena) {
    if (!Files.exists(documents) || !Files.exists(samples) || !Files.exists(shuffle)) {
      return Optional.empty();
    }
    try {
      SampleIndex index =
          new SampleIndex(
              Npy.map(documents, arena), Npy.map(samples, arena), Npy.map(shuffle, arena));
      return index.fits(data, spec) ? Optional.of(index) : Optional.empty();
    } catch (JneoxException damaged) {
      return Optional.empty();
    }
  }

  /**
   * Returns whether this index belongs to these data. Computes every cut again; of the two shuffles
   * it checks only the range.
   */
  private boolean fits(IndexedDataset data, Spec spec) {
    Shape shape = Shape.of(data, spec);
    boolean shaped =
        documents.type() == ElementType.I32
            && documents.size() == shape.epochs * (spec.end - spec.first)
            && samples.type() == shape.sampleType
            && samples.size() == 2 * (shape.samples + 1)
            && shuffle.type() == shape.shuffleType
            && shuffle.size() == shape.samples;
    if (!shaped) {
      return false;
    }
    for (long i = 0; i < documents.size(); i++) {
      if (documents.get(i) < spec.first || documents.get(i) >= spec.end) {
        return false;
      }
    }
    Cutter cutter = new Cutter(data, documents, spec.seqLength);
    for (long row = 0; row <= shape.samples; row++) {
      if (samples.get(2 * row) != cutter.position || samples.get(2 * row + 1) != cutter.offset) {
        return false;
      }
      if (row < shape.samples && !cutter.advance()) {
        return false;
      }
    }
    for (long i = 0; i < shape.samples; i++) {
      if (shuffle.get(i) < 0 || shuffle.get(i) >= shape.samples) {
        return false;
      }
    }
    return true;
  }

  /** Returns the samples, including the last one, which GPT-NeoX drops. */
  long count() {
    return shuffle.size();
  }

  /**
   * Finds the last cut at or before a token: the row of {@link #samples} that holds it. Row {@link
   * #count} is the cut where the last sample ends.
   *
   * @param place in {@link #documents}
   * @param offset token of that document
   */
  long row(long place, int offset) {
    long low = 0;
    long high = count();
    while (low < high) {
      long middle = (low + high + 1) >>> 1;
      long start = samples.get(2 * middle);
      if (start < place || start == place && samples.get(2 * middle + 1) <= offset) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
}
