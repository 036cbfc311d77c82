package dev.jneox.data;

import dev.jneox.io.InputException;
import dev.jneox.io.Placeholder;
import dev.jneox.io.StorageException;
import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.LongConsumer;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads the documents of one file of a corpus in order. The suffix of the file decides its kind.
 */
abstract sealed class DocumentFile implements AutoCloseable
    permits JsonLinesFile, TextFile, ZipDocuments {
  /** The suffixes that can be read, for messages. */
  static final String KINDS =
      ".jsonl or .json (also with .zst or .gz behind it), .txt, .md, .zip or .jar";

  /** Returns whether {@link #open} reads a file of this name. */
  static boolean readable(Path file) {
    String name = name(file);
    return isJsonLines(name) || isText(name) || isZip(name);
  }

  /**
   * Opens a file.
   *
   * @param limit largest document, in bytes
   * @param onRead receives the number of bytes after each read, compressed as they are on disk
   */
  static DocumentFile open(Path file, int limit, LongConsumer onRead) throws IOException {
    String name = name(file);
    boolean packed = isZip(name) || name.endsWith(".zst") || name.endsWith(".gz");
    if (packed && !Placeholder.hint(file).isEmpty() || Placeholder.isPointer(file)) {
      throw InputException.in(file, "content", "documents", "none" + Placeholder.hint(file));
    }
    if (isZip(name)) {
      return new ZipDocuments(file, limit, onRead);
    }
    if (isText(name)) {
      return new TextFile(file, new Counting(Files.newInputStream(file), onRead), limit);
    }
    if (!isJsonLines(name)) {
      throw InputException.in(file, "name", "one that ends in " + KINDS, "another");
    }
    InputStream in = new Counting(Files.newInputStream(file), onRead);
    try {
      if (name.endsWith(".zst")) {
        in = new ZstdInputStream(in);
      } else if (name.endsWith(".gz")) {
        in = new GZIPInputStream(new BufferedInputStream(in), 1 << 16);
      }
      return new JsonLinesFile(file, in, limit);
    } catch (IOException e) {
      in.close();
      throw e;
    }
  }

  private static String name(Path file) {
    return file.getFileName() == null ? "" : file.getFileName().toString().toLowerCase(Locale.ROOT);
  }

  private static boolean isJsonLines(String name) {
    return name.matches(".*\\.jsonl?(\\.zst|\\.gz)?");
  }

  private static boolean isText(String name) {
    return name.endsWith(".txt") || name.endsWith(".md");
  }

  private static boolean isZip(String name) {
    return name.endsWith(".zip") || name.endsWith(".jar");
  }

  /** Returns the next document; null at the end. */
  abstract @Nullable RawDocument next() throws IOException;

  /** Returns how many members were skipped because they are not text. */
  long binary() {
    return 0;
  }

  @Override
  public abstract void close() throws IOException;

  static InputException tooLong(Path file, String place, int limit) {
    return InputException.in(
        file,
        place,
        "a document of at most "
            + limit / 1_000_000
            + " MB (256 MB, and a sixteenth of the heap that java -Xmx sets)",
        "a longer one; split it");
  }

  static StorageException unreadable(Path file, IOException e) {
    return StorageException.of(file, "cannot be read", e);
  }

  /** Reports the bytes that are read. */
  private static final class Counting extends FilterInputStream {
    private final LongConsumer onRead;

    Counting(InputStream in, LongConsumer onRead) {
      super(in);
      this.onRead = onRead;
    }

    @Override
    public int read() throws IOException {
      int b = super.read();
      onRead.accept(b < 0 ? 0 : 1);
      return b;
    }

    @Override
    public int read(byte[] target, int from, int n) throws IOException {
      int read = super.read(target, from, n);
      onRead.accept(Math.max(0, read));
      return read;
    }
  }
}
