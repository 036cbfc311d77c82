package dev.jneox.data;

import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Writes {@code PREFIX.bin} and {@code PREFIX.idx} (see {@link IndexedDataset}), byte for byte as
 * GPT-NeoX does: unsigned 16-bit ids for a vocabulary below 65500, signed 32-bit ones above, one
 * sequence per document. Both files appear at {@link #commit} or not at all; memory does not grow
 * with what is written.
 */
public final class IndexedDatasetWriter implements AutoCloseable {
  /** GPT-NeoX uses 16 bits only for vocabularies below this size. */
  private static final int SHORT_VOCABULARY = 65500;

  private final Path prefix;
  private final int vocabSize;
  private final ElementType type;
  private final GrowingFile bin;
  private final GrowingFile idx;
  private long documents;
  private long tokens;

  /**
   * Starts an empty data set.
   *
   * @param vocabSize one more than the largest id there may be
   */
  public IndexedDatasetWriter(Path prefix, int vocabSize) {
    this.prefix = prefix;
    this.vocabSize = vocabSize;
    this.type = vocabSize < SHORT_VOCABULARY ? ElementType.U16 : ElementType.I32;
    this.bin = new GrowingFile(IndexedDataset.bin(prefix));
    try {
      this.idx = new GrowingFile(IndexedDataset.idx(prefix));
    } catch (JneoxException e) {
      bin.close();
      throw e;
    }
    idx.room(IndexedDataset.HEADER).put(header(0, 0));
  }

  /** Appends one document of {@code n} tokens, {@code ids[from..from+n)}. */
  public void add(int[] ids, int from, int n) {
    for (int k = 0; k < n; k++) {
      int id = ids[from + k];
      if (id < 0 || id >= vocabSize) {
        throw InputException.in(
            bin.path(),
            "token " + k + " of document " + documents,
            "an id below the vocabulary's " + vocabSize,
            String.valueOf(id));
      }
      if (type == ElementType.U16) {
        bin.room(2).putShort((short) id);
      } else {
        bin.room(4).putInt(id);
      }
    }
    idx.room(4).putInt(n);
    documents++;
    tokens += n;
  }

  /** Returns the documents written so far. */
  public long documents() {
    return documents;
  }

  /** Returns the tokens written so far. */
  public long tokens() {
    return tokens;
  }

  /**
   * Completes the index and gives both files their names; an older index of the same name is
   * deleted first.
   */
  public void commit() {
    long n = documents;
    long pointer = 0;
    for (long done = 0; done < n; ) {
      ByteBuffer sizes =
          idx.read(IndexedDataset.HEADER + 4 * done, (int) Math.min(1 << 16, n - done) * 4);
      for (; sizes.hasRemaining(); done++) {
        idx.room(8).putLong(pointer);
        pointer += (long) sizes.getInt() * type.bytes();
      }
    }
    for (long document = 0; document <= n; document++) {
      idx.room(8).putLong(document);
    }
    idx.overwrite(0, header(n, n + 1));
    try {
      // A crash at any time must not leave a new .bin under an old .idx.
      Files.deleteIfExists(IndexedDataset.idx(prefix));
    } catch (IOException e) {
      throw idx.failure(e);
    }
    bin.commit();
    try {
      idx.commit();
    } catch (JneoxException e) {
      bin.remove();
      throw e;
    }
  }

  private ByteBuffer header(long sequences, long entries) {
    return ByteBuffer.allocate(IndexedDataset.HEADER)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(IndexedDataset.MAGIC)
        .putLong(1)
        .put((byte) type.code())
        .putLong(sequences)
        .putLong(entries)
        .flip();
  }

  /** Deletes the files unless they were committed. */
  @Override
  public void close() {
    try {
      bin.close();
    } finally {
      idx.close();
    }
  }
}
