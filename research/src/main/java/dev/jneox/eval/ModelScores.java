package dev.jneox.eval;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/**
 * Holds the numbers of a model, of all its tasks and groups.
 *
 * @param entries those of groups, then those of tasks
 */
public record ModelScores(ModelName model, List<Entry> entries) {
  /**
   * Is a number of a task or a group.
   *
   * @param task its name
   * @param alias the name to show
   * @param chance what guessing gives; empty where that is not known
   */
  public record Entry(String task, String alias, Score score, OptionalDouble chance) {}

  /** Copies the list. */
  public ModelScores {
    entries = List.copyOf(entries);
  }

  /** Takes the numbers of results: those of groups, then those of tasks. */
  public static ModelScores of(ModelName model, EvaluationResults results) {
    List<Entry> entries = new ArrayList<>();
    for (GroupResult group : results.groups().values()) {
      for (Score score : group.scores()) {
        entries.add(new Entry(group.name(), group.alias(), score, OptionalDouble.empty()));
      }
    }
    for (TaskResult task : results.tasks().values()) {
      for (Score score : task.scores()) {
        OptionalDouble chance = isChoice(score) ? chance(task) : OptionalDouble.empty();
        entries.add(new Entry(task.name(), task.alias(), score, chance));
      }
    }
    return new ModelScores(model, entries);
  }

  /** Tells whether a number says how often a choice was the right one. */
  static boolean isChoice(Score score) {
    return score.metric().equals("acc") || score.metric().startsWith("acc_");
  }

  /** Returns how often a choice at random is the right one, where a task has choices. */
  static OptionalDouble chance(TaskResult task) {
    boolean choices =
        String.valueOf(task.settings().get("output_type")).equals("multiple_choice")
            && !task.settings().containsKey("process_results");
    return choices
        ? task.samples().stream().mapToDouble(sample -> 1.0 / choices(sample)).average()
        : OptionalDouble.empty();
  }

  /** Counts choices; acc_mutual_info asks for each of them a second time, without a context. */
  private static long choices(Sample sample) {
    long inContext =
        sample.requests().stream()
            .filter(each -> each instanceof Request.Loglikelihood q && !q.context().isEmpty())
            .count();
    return inContext == 0 ? sample.requests().size() : inContext;
  }
}
