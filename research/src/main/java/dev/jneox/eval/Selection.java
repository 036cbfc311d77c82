package dev.jneox.eval;

import java.util.List;

/**
 * Holds the tasks that names stand for, each once.
 *
 * @param groups those named, and the groups in them, the inner ones first
 */
public record Selection(List<TaskSpec> tasks, List<Group> groups) {
  /** Copies the lists. */
  public Selection {
    tasks = List.copyOf(tasks);
    groups = List.copyOf(groups);
  }
}
