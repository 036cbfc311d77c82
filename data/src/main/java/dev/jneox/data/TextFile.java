package dev.jneox.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Reads a file that is one document. */
final class TextFile extends DocumentFile {
  private final Path file;
  private final InputStream in;
  private final int limit;
  private boolean read;

  TextFile(Path file, InputStream in, int limit) {
    this.file = file;
    this.in = in;
    this.limit = limit;
  }

  @Override
  @Nullable RawDocument next() throws IOException {
    if (read) {
      return null;
    }
    read = true;
    byte[] bytes = in.readNBytes(limit);
    if (in.read() >= 0) {
      throw tooLong(file, "length", limit);
    }
    return new RawDocument(file, "", bytes, false);
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
