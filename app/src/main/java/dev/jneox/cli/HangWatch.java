package dev.jneox.cli;

import dev.jneox.io.Heartbeat;
import dev.jneox.io.LaunchFolder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Finds out that ranks of this machine hang: one that gives no sign of life, as a stopped process,
 * or all that are alive and finish nothing. A rank that tells nothing, because its command does
 * not, is left alone.
 */
final class HangWatch {
  /** More than this between two looks means that the launcher itself was stopped. */
  private static final double LONGEST_SECONDS = 1;

  private final LaunchFolder folder;
  private final double limit;
  private final Map<Integer, State> states = new TreeMap<>();

  /**
   * A world that hangs.
   *
   * @param ranks that hang; all where each waits for others
   * @param line says which they are, and what the others wait in
   */
  record Hang(Set<Integer> ranks, String line) {}

  private static final class State {
    Heartbeat.@Nullable Seen seen;
    double silent;
    double idle;

    String waiting() {
      return seen == null ? "" : seen.waiting();
    }
  }

  /**
   * Watches ranks that begin now.
   *
   * @param limit seconds without a sign after which a rank hangs
   */
  HangWatch(LaunchFolder folder, List<Integer> ranks, double limit) {
    this.folder = folder;
    this.limit = limit;
    ranks.forEach(rank -> states.put(rank, new State()));
  }

  /** Forgets a rank whose process has ended. */
  void ended(int rank) {
    states.remove(rank);
  }

  /**
   * Looks at all ranks.
   *
   * @param seconds since the last look
   * @return the hang that was found; empty while there is progress
   */
  Optional<Hang> look(double seconds) {
    double passed = Math.min(seconds, LONGEST_SECONDS);
    states.forEach((rank, state) -> look(rank, state, passed));
    Set<Integer> silent = with(state -> state.seen != null && state.silent >= limit);
    if (!silent.isEmpty()) {
      return Optional.of(
          new Hang(silent, named(silent) + " gave no sign of life for " + time() + others(silent)));
    }
    boolean begun = states.values().stream().anyMatch(state -> state.seen != null);
    if (!begun || states.values().stream().anyMatch(state -> state.idle < limit)) {
      return Optional.empty();
    }
    Set<Integer> busy = with(state -> state.waiting().isEmpty());
    Set<Integer> hung = busy.isEmpty() ? new TreeSet<>(states.keySet()) : busy;
    return Optional.of(
        new Hang(
            hung,
            busy.isEmpty()
                ? "no rank of this machine got on for " + time() + others(Set.of())
                : named(hung) + " finished nothing for " + time() + others(hung)));
  }

  private void look(int rank, State state, double passed) {
    Heartbeat.Seen now = Heartbeat.read(folder.heartbeat(rank)).orElse(null);
    Heartbeat.Seen before = state.seen;
    boolean beats = now != null && (before == null || now.alive() != before.alive());
    boolean worked = now != null && (before == null || now.progress() != before.progress());
    state.silent = beats ? 0 : state.silent + passed;
    state.idle = worked ? 0 : state.idle + passed;
    state.seen = now;
  }

  private Set<Integer> with(Predicate<State> condition) {
    return states.entrySet().stream()
        .filter(entry -> condition.test(entry.getValue()))
        .map(Map.Entry::getKey)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private String time() {
    return limit >= 120
        ? String.format(Locale.ROOT, "%.0f minutes", limit / 60)
        : String.format(Locale.ROOT, "%.0f s", limit);
  }

  private static String named(Set<Integer> ranks) {
    return (ranks.size() == 1 ? "rank " : "ranks ")
        + ranks.stream().map(String::valueOf).collect(Collectors.joining(", "));
  }

  private String others(Set<Integer> hung) {
    Map<String, Set<Integer>> waiting = new TreeMap<>();
    states.forEach(
        (rank, state) -> {
          if (!hung.contains(rank) && !state.waiting().isEmpty()) {
            waiting.computeIfAbsent(state.waiting(), _ -> new TreeSet<>()).add(rank);
          }
        });
    List<String> lines = new ArrayList<>();
    waiting.forEach(
        (what, ranks) ->
            lines.add(named(ranks) + (ranks.size() == 1 ? " waits in " : " wait in ") + what));
    return lines.isEmpty() ? "" : "; " + String.join("; ", lines);
  }
}
