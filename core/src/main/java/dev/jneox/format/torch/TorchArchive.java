package dev.jneox.format.torch;

import static dev.jneox.io.JsonObject.quoted;

import dev.jneox.io.InputException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * Reads the zip archive that {@code torch.save} has written since PyTorch 1.6: one folder with the
 * pickle {@code data.pkl}, each storage as {@code data/KEY} and the {@code byteorder}. Entries are
 * not compressed, so that storages are used in the mapped file; a compressed entry is rejected.
 * Sizes beyond 4 GiB are in zip64 records (<a
 * href="https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT">the format</a>). Checksums are
 * ignored, because PyTorch can leave them out.
 */
final class TorchArchive {
  static final int LOCAL_HEADER = 0x04034b50;
  static final int CENTRAL_HEADER = 0x02014b50;
  static final int END = 0x06054b50;
  static final int END_64 = 0x06064b50;
  static final int END_64_LOCATOR = 0x07064b50;

  /** Id of the extra field for values that do not fit into 32 bits. */
  static final int ZIP64 = 1;

  /** The value of a 32-bit or 16-bit field whose real value is in the zip64 record. */
  static final long LARGE_32 = 0xffffffffL;

  static final int LARGE_16 = 0xffff;

  private static final int END_BYTES = 22;
  private static final int MAX_ENTRIES = 1 << 18;

  private static final ValueLayout.OfShort U16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt U32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong U64 =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path file;
  private final MemorySegment whole;
  private final Map<String, MemorySegment> entries = new LinkedHashMap<>();

  private TorchArchive(Path file, MemorySegment whole) {
    this.file = file;
    this.whole = whole;
    readDirectory();
  }

  static TorchContent read(Path file, MemorySegment whole, boolean lenient) {
    return new TorchArchive(file, whole).content(lenient);
  }

  private TorchContent content(boolean lenient) {
    String folder = null;
    for (String name : entries.keySet()) {
      if (name.endsWith("/data.pkl") && (folder == null || name.length() < folder.length() + 8)) {
        folder = name.substring(0, name.length() - "data.pkl".length());
      }
    }
    if (folder == null) {
      throw InputException.in(
          file, "entries of the archive", "data.pkl, as torch.save writes", firstNames());
    }
    MemorySegment order = entries.get(folder + "byteorder");
    if (order != null && !text(order, 0, Math.min(order.byteSize(), 16)).equals("little")) {
      throw InputException.in(
          file, "byteorder", "little", quoted(text(order, 0, Math.min(order.byteSize(), 16))));
    }
    if (entries.containsKey(folder + "constants.pkl")) {
      throw InputException.in(
          file, "entries of the archive", "tensors saved by torch.save", "a TorchScript program");
    }
    Map<String, MemorySegment> storages = new LinkedHashMap<>();
    String prefix = folder + "data/";
    entries.forEach(
        (name, bytes) -> {
          if (name.startsWith(prefix)) {
            storages.put(name.substring(prefix.length()), bytes);
          }
        });
    PickleInput pickle =
        new PickleInput(file, "data.pkl", Objects.requireNonNull(entries.get(folder + "data.pkl")));
    return new TorchContent(new PickleReader(pickle, lenient).read(), storages);
  }

  private String firstNames() {
    return entries.isEmpty()
        ? "none"
        : quoted(String.join(", ", entries.keySet().stream().limit(4).toList()));
  }

  private void readDirectory() {
    long end = findEnd();
    long count = whole.get(U16, end + 10) & 0xffff;
    long size = whole.get(U32, end + 12) & LARGE_32;
    long at = whole.get(U32, end + 16) & LARGE_32;
    if (count == LARGE_16 || size == LARGE_32 || at == LARGE_32) {
      long end64 = findEnd64(end);
      count = whole.get(U64, end64 + 32);
      size = whole.get(U64, end64 + 40);
      at = whole.get(U64, end64 + 48);
      end = end64;
    }
    if (at < 0 || size < 0 || at > end || size > end - at) {
      throw InputException.in(
          file,
          "byte " + end + ", archive directory",
          "to lie before this",
          size + " bytes at " + at);
    }
    if (count < 0 || count > MAX_ENTRIES) {
      throw InputException.in(
          file, "byte " + end, "at most " + MAX_ENTRIES + " entries", Long.toUnsignedString(count));
    }
    long stop = at + size;
    for (long i = 0; i < count; i++) {
      at = readEntry(at, stop);
    }
  }

  /** Finds the end record, which comes last, before a comment of at most 64 KiB. */
  private long findEnd() {
    long last = whole.byteSize() - END_BYTES;
    for (long at = last; at >= Math.max(0, last - LARGE_16); at--) {
      if (whole.get(U32, at) == END && (whole.get(U16, at + 20) & 0xffff) == last - at) {
        return at;
      }
    }
    throw InputException.in(
        file,
        "byte " + Math.max(0, last),
        "the end record of a zip archive",
        "none: the file is cut short");
  }

  private long findEnd64(long end) {
    long locator = end - 20;
    long at =
        locator >= 0 && whole.get(U32, locator) == END_64_LOCATOR
            ? whole.get(U64, locator + 8)
            : -1;
    if (at < 0 || at > locator - 56 || whole.get(U32, at) != END_64) {
      throw InputException.in(file, "byte " + end, "a zip64 end record before this", "none");
    }
    return at;
  }

  /** Reads the directory record at {@code at}; returns where the next one begins. */
  private long readEntry(long at, long stop) {
    if (stop - at < 46 || whole.get(U32, at) != CENTRAL_HEADER) {
      throw InputException.in(file, "byte " + at, "an entry of the archive's directory", "none");
    }
    int flags = whole.get(U16, at + 8);
    int method = whole.get(U16, at + 10) & 0xffff;
    long packed = whole.get(U32, at + 20) & LARGE_32;
    long size = whole.get(U32, at + 24) & LARGE_32;
    int nameLength = whole.get(U16, at + 28) & 0xffff;
    int extraLength = whole.get(U16, at + 30) & 0xffff;
    int commentLength = whole.get(U16, at + 32) & 0xffff;
    long local = whole.get(U32, at + 42) & LARGE_32;
    long next = at + 46 + nameLength + extraLength + commentLength;
    if (next > stop) {
      throw InputException.in(
          file,
          "byte " + at,
          "an entry that ends before byte " + stop,
          "one of " + (next - at) + " bytes");
    }
    String name = text(whole, at + 46, nameLength);
    long[] large = {size, packed, local};
    readZip64(name, at + 46 + nameLength, extraLength, large);
    if ((flags & 1) != 0 || method != 0 || large[0] != large[1]) {
      throw InputException.in(
          file,
          "entry " + quoted(name),
          "stored as it is",
          (flags & 1) != 0 ? "encrypted" : "compressed by method " + method);
    }
    if (entries.put(name, data(name, large[2], large[0])) != null) {
      throw InputException.in(file, "entry " + quoted(name), "one of this name", "two");
    }
    return next;
  }

  /**
   * Reads size, packed size and offset, in this order, each only where its 32-bit field is full.
   */
  private void readZip64(String name, long at, int length, long[] values) {
    long stop = at + length;
    while (stop - at >= 4) {
      int id = whole.get(U16, at) & 0xffff;
      long next = at + 4 + (whole.get(U16, at + 2) & 0xffff);
      if (id == ZIP64) {
        long from = at + 4;
        for (int i = 0; i < values.length; i++) {
          if (values[i] == LARGE_32) {
            if (from + 8 > Math.min(next, stop)) {
              throw InputException.in(
                  file, "entry " + quoted(name), "sizes in its zip64 field", "a field too short");
            }
            values[i] = whole.get(U64, from);
            from += 8;
          }
        }
        return;
      }
      at = next;
    }
  }

  /** Returns the bytes of an entry, which follow its local header. */
  private MemorySegment data(String name, long local, long size) {
    if (local < 0 || local > whole.byteSize() - 30 || whole.get(U32, local) != LOCAL_HEADER) {
      throw InputException.in(
          file,
          "entry " + quoted(name),
          "its header at byte " + Long.toUnsignedString(local),
          "none");
    }
    long begin =
        local + 30 + (whole.get(U16, local + 26) & 0xffff) + (whole.get(U16, local + 28) & 0xffff);
    if (size < 0 || begin > whole.byteSize() || size > whole.byteSize() - begin) {
      String found = Long.toUnsignedString(size) + " in a file of " + whole.byteSize();
      throw InputException.in(
          file, "entry " + quoted(name), "its bytes from byte " + begin + " on", found);
    }
    return whole.asSlice(begin, size);
  }

  private static String text(MemorySegment bytes, long at, long length) {
    return new String(
        bytes.asSlice(at, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
  }
}
