package dev.jneox.corpus;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Reads lines as bytes; of a line that is too long only its length. */
final class Lines implements AutoCloseable {
  private final InputStream in;
  private final byte[] buffer = new byte[1 << 16];
  private final int limit;
  private int from;
  private int end;
  private long position; // of buffer[end] in the stream
  private boolean tooLong;

  Lines(InputStream in, long position, int limit) {
    this.in = in;
    this.position = position;
    this.limit = limit;
  }

  /** Returns the position of the next line in the file. */
  long position() {
    return position - (end - from);
  }

  /** Returns whether the last line was longer than the limit; its bytes were dropped. */
  boolean tooLong() {
    return tooLong;
  }

  /** Returns the next line without its end; null at the end of the file. */
  byte @Nullable [] next() throws IOException {
    ByteArrayOutputStream head = null;
    tooLong = false;
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
        keep(head, end);
      }
      from = 0;
      end = Math.max(0, in.read(buffer));
      position += end;
      if (end == 0) {
        return head == null ? null : head.toByteArray();
      }
    }
  }

  private void keep(ByteArrayOutputStream head, int to) {
    if (head.size() + (long) to - from > limit) {
      tooLong = true;
    }
    if (tooLong) {
      head.reset();
    } else {
      head.write(buffer, from, to - from);
    }
  }

  private byte[] take(@Nullable ByteArrayOutputStream head, int to) {
    if (head == null) {
      return Arrays.copyOfRange(buffer, from, to);
    }
    keep(head, to);
    return head.toByteArray();
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
