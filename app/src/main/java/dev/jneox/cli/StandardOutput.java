package dev.jneox.cli;

import dev.jneox.io.AtomicFile;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the reason why standard output could not be written, which a {@link PrintStream} drops. No
 * write throws, so that a long run is not lost for its report: {@link #exitCode} tells of the
 * failure at the end, and {@link #checkError} in between.
 */
final class StandardOutput extends PrintStream {
  /** What a shell shows for a process that a closed pipe ended: 128 + SIGPIPE. */
  static final int CLOSED_PIPE = 141;

  /** Fails for good at the first failure. */
  private static final class Sink extends FilterOutputStream {
    private @Nullable IOException failure;

    Sink(OutputStream out) {
      super(out);
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
      if (failure == null) {
        try {
          out.write(bytes, offset, length);
        } catch (IOException e) {
          failure = e;
        }
      }
      if (failure != null) {
        throw failure;
      }
    }
  }

  private final Sink sink;

  StandardOutput(OutputStream out) {
    this(new Sink(out));
  }

  private StandardOutput(Sink sink) {
    super(sink, true, StandardCharsets.UTF_8);
    this.sink = sink;
  }

  /** Puts one over the standard output of this process in the place of {@link System#out}. */
  static void install() {
    System.setOut(new StandardOutput(new FileOutputStream(FileDescriptor.out)));
  }

  /**
   * Flushes {@link System#out} and returns the exit code of a command: its own unless that is 0 and
   * its output was lost.
   *
   * @param code of the command
   * @param err gets the reason, except for a closed pipe, which is how head ends what it reads
   */
  static int exitCode(int code, PrintWriter err) {
    if (!System.out.checkError()) {
      return code;
    }
    IOException failure = System.out instanceof StandardOutput out ? out.sink.failure : null;
    String reason =
        failure == null ? "it is closed, or its disk is full" : AtomicFile.reason(failure);
    if (failure != null && reason.toLowerCase(Locale.ROOT).contains("pipe")) {
      return code == 0 ? CLOSED_PIPE : code;
    }
    err.println("jneox: standard output: cannot be written: " + reason);
    err.flush();
    return code == 0 ? 1 : code;
  }
}
