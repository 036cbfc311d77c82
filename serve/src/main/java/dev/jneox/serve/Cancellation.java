package dev.jneox.serve;

import java.util.LinkedHashSet;
import java.util.Set;

/**
 * Lets any thread end work that others do. The actions say how; no thread is interrupted, because
 * an interrupt of one that writes to a socket closes it.
 */
final class Cancellation {
  private final Set<Registration> registrations = new LinkedHashSet<>();
  private boolean cancelled;

  /** An action that is forgotten when closed. */
  final class Registration implements AutoCloseable {
    private final Runnable action;

    private Registration(Runnable action) {
      this.action = action;
    }

    @Override
    public void close() {
      synchronized (Cancellation.this) {
        registrations.remove(this);
      }
    }
  }

  /** Has {@code action} run at the cancellation; at once after it. */
  Registration onCancel(Runnable action) {
    Registration registration = new Registration(action);
    synchronized (this) {
      registrations.add(registration);
      if (!cancelled) {
        return registration;
      }
    }
    action.run();
    return registration;
  }

  void cancel() {
    Set<Registration> left;
    synchronized (this) {
      cancelled = true;
      left = Set.copyOf(registrations);
    }
    left.forEach(registration -> registration.action.run());
  }

  synchronized boolean cancelled() {
    return cancelled;
  }
}
