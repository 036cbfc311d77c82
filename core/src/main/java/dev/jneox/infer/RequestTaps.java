package dev.jneox.infer;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Shows the taps of each request the rows of its own sequence, in a pass that several share. What
 * taps throw is kept for their request, whose rows they are shown no more; the others go on.
 */
final class RequestTaps implements Taps {
  private final Map<Long, Session> sessions = new HashMap<>(); // by sequence
  private final Map<Session, Set<String>> wanted = new HashMap<>();

  /** Makes the taps of a pass over rows of some requests; null if none has any. */
  static @Nullable RequestTaps of(List<Session> read) {
    RequestTaps all = null;
    for (Session session : read) {
      if (session.taps != null && session.tapFailure == null) {
        all = all == null ? new RequestTaps() : all;
        all.sessions.put(session.sequence.id(), session);
        all.wanted.put(session, new HashSet<>());
      }
    }
    return all;
  }

  @Override
  public boolean wants(String name) {
    boolean any = false;
    for (Map.Entry<Session, Set<String>> entry : wanted.entrySet()) {
      Session session = entry.getKey();
      try {
        if (session.tapFailure == null && Objects.requireNonNull(session.taps).wants(name)) {
          entry.getValue().add(name);
          any = true;
        }
      } catch (Throwable t) { // the caller's code
        session.tapFailure = t;
      }
    }
    return any;
  }

  @Override
  public void apply(String name, float[] values, int at, int width, long sequence, int position) {
    Session session = sessions.get(sequence);
    if (session == null
        || session.tapFailure != null
        || !wanted.getOrDefault(session, Set.of()).contains(name)) {
      return;
    }
    try {
      Objects.requireNonNull(session.taps).apply(name, values, at, width, sequence, position);
    } catch (Throwable t) { // the caller's code
      session.tapFailure = t;
    }
  }
}
