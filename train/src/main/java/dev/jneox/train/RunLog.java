package dev.jneox.train;

import dev.jneox.io.JneoxException;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Wraps a log file of a run. When it cannot be written, {@code notes} gets a warning, and nothing
 * more is written.
 */
final class RunLog<T extends AutoCloseable> implements AutoCloseable {
  private final Consumer<String> notes;
  private @Nullable T file; // null when there is none, or no longer

  private RunLog(Consumer<String> notes) {
    this.notes = notes;
  }

  /** Opens a file. */
  RunLog(Consumer<String> notes, Supplier<T> open) {
    this(notes);
    attempt(() -> file = open.get());
  }

  /** Has no file: writes nothing. */
  static <T extends AutoCloseable> RunLog<T> none() {
    return new RunLog<>(_ -> {});
  }

  void write(Consumer<T> act) {
    T open = file;
    if (open != null) {
      attempt(() -> act.accept(open));
    }
  }

  private void attempt(Runnable act) {
    try {
      act.run();
    } catch (JneoxException e) {
      file = null;
      notes.accept(e.getMessage() + "; the run goes on without it");
    }
  }

  @Override
  public void close() {
    write(
        open -> {
          try {
            open.close();
          } catch (JneoxException e) {
            throw e;
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        });
  }
}
