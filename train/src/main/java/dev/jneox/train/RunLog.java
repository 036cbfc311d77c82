package dev.jneox.train;

import dev.jneox.io.InputException;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Wraps a log file of a run. When it cannot be written, the listener gets a line and the run goes
 * on without it.
 */
final class RunLog<T extends AutoCloseable> implements AutoCloseable {
  private final Trainer.Listener listener;
  private T file; // null when there is none, or no longer

  RunLog(Trainer.Listener listener, Supplier<T> open) {
    this.listener = listener;
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
    } catch (InputException e) {
      file = null;
      listener.noted(e.getMessage() + "; the run goes on without it");
    }
  }

  @Override
  public void close() {
    write(
        open -> {
          try {
            open.close();
          } catch (InputException e) {
            throw e;
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        });
  }
}
