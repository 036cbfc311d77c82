package dev.jneox.data;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Reads one JSON object per line; blank lines are skipped. */
final class JsonLinesFile extends DocumentFile {
  private final Path file;
  private final InputStream in;
  private final int limit;
  private final byte[] buffer = new byte[1 << 16];
  private int from;
  private int end;
  private long line;

  JsonLinesFile(Path file, InputStream in, int limit) {
    this.file = file;
    this.in = in;
    this.limit = limit;
  }

  @Override
  @Nullable RawDocument next() throws IOException {
    for (byte[] bytes = readLine(); bytes != null; bytes = readLine()) {
      if (!isBlank(bytes)) {
        return new RawDocument(file, "line " + line, bytes, true);
      }
    }
    return null;
  }

  /** Reads to the next line end; null at the end of the file. */
  private byte @Nullable [] readLine() throws IOException {
    ByteArrayOutputStream head = null;
    line++;
    while (true) {
      for (int i = from; i < end; i++) {
        if (buffer[i] == '\n') {
          byte[] bytes = take(head, i);
          from = i + 1;
          return bytes;
        }
      }
      if (from < end) {
        head = head == null ? new ByteArrayOutputStream() : head;
        head.write(buffer, from, end - from);
        if (head.size() > limit) {
          throw tooLong(file, "line " + line, limit);
        }
      }
      from = 0;
      end = Math.max(0, in.read(buffer));
      if (end == 0) {
        return head == null ? null : head.toByteArray();
      }
    }
  }

  private byte[] take(@Nullable ByteArrayOutputStream head, int to) {
    if (head == null) {
      return Arrays.copyOfRange(buffer, from, to);
    }
    head.write(buffer, from, to - from);
    return head.toByteArray();
  }

  private static boolean isBlank(byte[] line) {
    for (byte b : line) {
      if (b != ' ' && b != '\t' && b != '\r') {
        return false;
      }
    }
    return true;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
