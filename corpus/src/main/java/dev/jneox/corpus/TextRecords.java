package dev.jneox.corpus;

import java.io.IOException;
import java.io.InputStream;
import java.nio.CharBuffer;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Reads a file that is one document. */
final class TextRecords implements RecordReader {
  private final Path file;
  private long line;

  TextRecords(Path file) {
    this.file = file;
  }

  @Override
  public @Nullable Raw next() throws IOException {
    if (line == 1) {
      return null;
    }
    line = 1;
    try (InputStream in = RecordReader.open(file)) {
      byte[] bytes = in.readNBytes(LIMIT);
      if (in.read() >= 0) {
        return Raw.malformed(line, Utf8Text.tooLong());
      }
      CharBuffer text = Utf8Text.decode(bytes);
      if (text.hasRemaining() && text.get(0) == '\uFEFF') {
        text.get();
      }
      return new Raw(line, text.toString(), "", false);
    } catch (Utf8Text.MalformedException e) {
      return Raw.malformed(line, String.valueOf(e.getMessage()));
    }
  }

  @Override
  public long lines() {
    return line;
  }

  @Override
  public void close() {}
}
