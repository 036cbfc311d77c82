package dev.jneox.serve;

import java.util.LinkedHashSet;
import java.util.Set;
import java.util.UUID;

/**
 * One HTTP request at work: who sent it, its id, its time, and what to do when the client leaves.
 */
final class Call {
  private final String id;
  private final String client;
  private final long arrived = System.nanoTime();
  private final long timeout;
  private final Set<Registration> registrations = new LinkedHashSet<>();
  private boolean abandoned;

  /**
   * @param id of the request, from the header X-Request-Id, or empty for a new one
   * @param client whose turn it takes
   * @param timeout nanoseconds from now
   */
  Call(String id, String client, long timeout) {
    this.id = id.isEmpty() ? UUID.randomUUID().toString().replace("-", "") : id;
    this.client = client;
    this.timeout = timeout;
  }

  /** An action that is forgotten when closed. */
  final class Registration implements AutoCloseable {
    private final Runnable action;

    private Registration(Runnable action) {
      this.action = action;
    }

    @Override
    public void close() {
      synchronized (Call.this) {
        registrations.remove(this);
      }
    }
  }

  String id() {
    return id;
  }

  String client() {
    return client;
  }

  long nanosLeft() {
    return timeout - (System.nanoTime() - arrived);
  }

  double seconds() {
    return (System.nanoTime() - arrived) / 1e9;
  }

  /** Has {@code action} run when the client leaves; at once when it has left. */
  Registration onAbandon(Runnable action) {
    Registration registration = new Registration(action);
    synchronized (this) {
      registrations.add(registration);
      if (!abandoned) {
        return registration;
      }
    }
    action.run();
    return registration;
  }

  /** Says that nobody waits for the answer any more. */
  void abandon() {
    Set<Registration> left;
    synchronized (this) {
      abandoned = true;
      left = Set.copyOf(registrations);
    }
    left.forEach(registration -> registration.action.run());
  }
}
