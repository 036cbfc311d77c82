package dev.jneox.train;

import dev.jneox.io.JneoxException;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Wraps a log file of a run. When it cannot be written, {@code notes} gets a line and the run goes
 * on without it.
 */
final class RunLog<T extends AutoCloseable> implements AutoCloseable {
  private final Consumer<String> notes;
  private T file; // null when there is none, or no longer

  RunLog(Consumer<String> notes, Supplier<T> open) {
    this.notes = notes;
    attempt(() -> file = open.get());
  }

  void write(Consumer<T> act) {
    if (file != null) {
      attempt(() -> act.accept(file));
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
