package dev.jneox.data;

import dev.jneox.io.InputException;
import dev.jneox.io.MappedFile;
import dev.jneox.io.Placeholder;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/**
 * Reads tokenised text that is mapped from two files. {@code PREFIX.bin} holds the token ids of all
 * sequences back to back, {@code PREFIX.idx} their sizes and places. The format is Megatron's (and
 * GPT-NeoX's) {@code mmap}, little endian, without padding:
 *
 * <pre>
 * "MMIDIDX\0\0" | u64 version = 1 | u8 element type | u64 sequences n | u64 entries d
 * | i32 sizes[n], in tokens | i64 pointers[n], in bytes of the .bin | i64 doc_idx[d], sequences before each document
 * </pre>
 *
 * In GPT-NeoX every sequence is one document. The whole index is checked on opening, so that no
 * later read can leave the files. Safe for several threads; the files stay mapped until the object
 * is garbage-collected.
 */
public final class IndexedDataset {
  static final byte[] MAGIC = "MMIDIDX\0\0".getBytes(StandardCharsets.US_ASCII);
  static final int HEADER = 34;

  private final Path prefix;
  private final ElementType type;
  private final int sequences;
  private final long documents;
  private final long tokens;
  private final MemorySegment sizes;
  private final MemorySegment pointers;
  private final MemorySegment bin;
  private final List<MappedFile> files;

  private IndexedDataset(
      Path prefix,
      ElementType type,
      int sequences,
      long documents,
      MemorySegment sizes,
      MemorySegment pointers,
      MappedFile idx,
      MappedFile bin) {
    this.prefix = prefix;
    this.type = type;
    this.sequences = sequences;
    this.documents = documents;
    this.tokens = bin.memory().byteSize() / type.bytes();
    this.sizes = sizes;
    this.pointers = pointers;
    this.bin = bin.memory();
    this.files = List.of(idx, bin);
  }

  /**
   * Maps {@code prefix.bin} and {@code prefix.idx}.
   *
   * @throws InputException if a file is missing, or the index contradicts itself or the size of the
   *     {@code .bin}
   */
  public static IndexedDataset open(Path prefix) {
    Path idx = idx(prefix);
    MappedFile mapped = map(idx);
    MemorySegment index = mapped.memory();
    check(
        index.byteSize() >= HEADER,
        idx,
        "header",
        HEADER + " bytes",
        "a file of " + index.byteSize());
    check(
        index.asSlice(0, MAGIC.length).mismatch(MemorySegment.ofArray(MAGIC)) < 0,
        idx,
        "byte 0",
        "the magic MMIDIDX of a Megatron mmap index",
        "another kind of file" + Placeholder.hint(index));
    long version = index.get(ElementType.LONG, 9);
    check(version == 1, idx, "byte 9", "format version 1", Long.toUnsignedString(version));
    int code = index.get(ValueLayout.JAVA_BYTE, 17) & 0xFF;
    ElementType type =
        ElementType.ofCode(code)
            .orElseThrow(
                () ->
                    InputException.in(
                        idx, "byte 17", "an element type of 1 to 8", String.valueOf(code)));
    check(type.isInteger(), idx, "byte 17", "an integer type for token ids", type.toString());

    long n = index.get(ElementType.LONG, 18);
    long d = index.get(ElementType.LONG, 26);
    long room = index.byteSize() - HEADER;
    boolean fits = 0 <= n && n <= room / 12 && 0 <= d && d <= room / 8 && 12 * n + 8 * d == room;
    check(
        fits,
        idx,
        "bytes 18 and 26",
        "a sequence count n and a document count d with 12 n + 8 d = " + room + " bytes behind",
        "n = "
            + Long.toUnsignedString(n)
            + ", d = "
            + Long.toUnsignedString(d)
            + " (a truncated file?)");
    check(n <= Integer.MAX_VALUE, idx, "byte 18", "at most 2^31 - 1 sequences", String.valueOf(n));
    MemorySegment sizes = index.asSlice(HEADER, 4 * n);
    MemorySegment pointers = index.asSlice(HEADER + 4 * n, 8 * n);
    long bytes = checkSequences(idx, type, sizes, pointers, (int) n);
    checkDocuments(idx, index.asSlice(HEADER + 12 * n), d, n);

    MappedFile bin = map(bin(prefix));
    check(
        bin.memory().byteSize() == bytes,
        bin(prefix),
        "length",
        bytes + " bytes, as " + idx.getFileName() + " says",
        bin.memory().byteSize() + Placeholder.hint(bin.memory()));
    return new IndexedDataset(
        prefix, type, (int) n, Math.max(0, d - 1), sizes, pointers, mapped, bin);
  }

  /**
   * The tokens of the sequences.
   *
   * @param shortest 0 where there are no sequences, like the others
   */
  public record Sizes(int shortest, double mean, int longest) {}

  /** Looks through the tokens of all sequences. */
  public Sizes sizes() {
    if (sequences() == 0) {
      return new Sizes(0, 0, 0);
    }
    int shortest = Integer.MAX_VALUE;
    int longest = 0;
    for (int i = 0; i < sequences(); i++) {
      shortest = Math.min(shortest, size(i));
      longest = Math.max(longest, size(i));
    }
    return new Sizes(shortest, (double) tokens() / sequences(), longest);
  }

  /** Returns the file of the sizes, {@code PREFIX.idx}. */
  public static Path idx(Path prefix) {
    return prefix.resolveSibling(prefix.getFileName() + ".idx");
  }

  /** Returns the file of the ids, {@code PREFIX.bin}. */
  public static Path bin(Path prefix) {
    return prefix.resolveSibling(prefix.getFileName() + ".bin");
  }

  private static MappedFile map(Path file) {
    try {
      return MappedFile.open(file, Arena.ofAuto());
    } catch (NoSuchFileException e) {
      throw new InputException(
          file
              + ": no such file; a data set is a pair PREFIX.bin and PREFIX.idx, see jneox prepare",
          e);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  /** Checks that sizes and pointers agree, and returns the bytes that the .bin must have. */
  private static long checkSequences(
      Path idx, ElementType type, MemorySegment sizes, MemorySegment pointers, int n) {
    long expected = 0;
    for (int i = 0; i < n; i++) {
      int size = sizes.get(ElementType.INT, 4L * i);
      long pointer = pointers.get(ElementType.LONG, 8L * i);
      if (size < 0) {
        throw InputException.in(
            idx, "size of sequence " + i, "0 or more tokens", String.valueOf(size));
      }
      if (pointer != expected) {
        throw InputException.in(
            idx,
            "pointer of sequence " + i,
            expected + ", where the one before it ends",
            "" + pointer);
      }
      expected += (long) size * type.bytes();
    }
    return expected;
  }

  private static void checkDocuments(Path idx, MemorySegment docIdx, long d, long n) {
    long last = 0;
    for (long i = 0; i < d; i++) {
      long entry = docIdx.get(ElementType.LONG, 8 * i);
      if (entry < last || entry > n || i == 0 && entry != 0) {
        throw InputException.in(
            idx,
            "document entry " + i,
            i == 0 ? "0" : "a value of " + last + " to " + n,
            "" + entry);
      }
      last = entry;
    }
  }

  private static void check(boolean holds, Path file, String place, String expected, String found) {
    if (!holds) {
      throw InputException.in(file, place, expected, found);
    }
  }

  /** Returns the path that both files share, without their suffixes. */
  public Path prefix() {
    return prefix;
  }

  /** Returns the type of the stored ids. */
  public ElementType type() {
    return type;
  }

  /**
   * Returns the number of sequences, which equals the number of documents in files of GPT-NeoX and
   * of this program.
   */
  public int sequences() {
    return sequences;
  }

  /**
   * Returns the number of documents in the index's own list; 0 where the list is empty, as in files
   * that Megatron merged.
   */
  public long documents() {
    return documents;
  }

  /** Returns the tokens of all sequences. */
  public long tokens() {
    return tokens;
  }

  /** Returns the tokens of sequence {@code i}. */
  public int size(int i) {
    return sizes.get(ElementType.INT, 4L * i);
  }

  /** Returns the ids of sequence {@code i}. */
  public int[] get(int i) {
    int[] ids = new int[size(i)];
    copy(i, 0, ids, 0, ids.length);
    return ids;
  }

  /**
   * Copies {@code n} ids of sequence {@code i}, from its token {@code offset} on, to {@code
   * target[at..]}.
   *
   * @throws InputException if a stored 64-bit value is no int
   * @throws StorageException if a file was changed since it was opened
   */
  public void copy(int i, int offset, int[] target, int at, int n) {
    files.forEach(MappedFile::check);
    Objects.checkFromIndexSize(offset, n, size(i));
    long from = pointers.get(ElementType.LONG, 8L * i) + (long) offset * type.bytes();
    switch (type) {
      case U16 -> {
        for (int k = 0; k < n; k++) {
          target[at + k] = bin.get(ElementType.SHORT, from + 2L * k) & 0xFFFF;
        }
      }
      case I32 -> MemorySegment.copy(bin, ElementType.INT, from, target, at, n);
      default -> {
        MemorySegment sequence = bin.asSlice(from);
        for (int k = 0; k < n; k++) {
          long id = type.get(sequence, k);
          if (id != (int) id) {
            throw InputException.in(
                bin(prefix), "token " + (offset + k) + " of sequence " + i, "a 32-bit id", "" + id);
          }
          target[at + k] = (int) id;
        }
      }
    }
  }
}
