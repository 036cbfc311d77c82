package dev.jneox.eval;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Is a set of tasks, and of groups, whose metrics are one number together.
 *
 * @param members names of tasks and groups, in order
 */
public record Group(
    String name, String alias, String version, List<String> members, List<Sum> sums) {
  /**
   * Says how a metric of the tasks becomes one of the group.
   *
   * @param filters names of filters; null for all that the tasks have
   * @param bySize whether a task counts by its documents
   * @param difference whether it is no mean: the number of the first task less that of the second
   */
  public record Sum(
      String metric, @Nullable List<String> filters, boolean bySize, boolean difference) {}

  private static final Set<String> SETTINGS =
      Set.of("group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag");

  /** Lists the settings of a group itself; others are for its tasks. */
  static boolean isOwn(String setting) {
    return SETTINGS.contains(setting);
  }

  static Group of(String name, TaskSettings settings, List<String> members) {
    List<Sum> sums = new ArrayList<>();
    for (TaskSettings each : settings.several("aggregate_metric_list")) {
      each.only(Set.of("metric", "filter_list", "aggregation", "weight_by_size"));
      String metric = each.text("metric");
      if (metric == null) {
        throw each.expected("metric", "the name of a metric");
      }
      String aggregation = each.text("aggregation", "mean");
      boolean difference = aggregation.equals("difference");
      if (!difference && !aggregation.equals("mean")) {
        throw each.expected("aggregation", "mean, or difference of two tasks");
      }
      if (difference && members.size() != 2) {
        throw each.expected("aggregation", "two tasks of the group for it, not " + members.size());
      }
      sums.add(
          new Sum(
              metric,
              each.has("filter_list") ? each.texts("filter_list") : null,
              each.flag("weight_by_size", true),
              difference));
    }
    Object metadata = settings.value("metadata");
    Object version = metadata instanceof Map<?, ?> map ? map.get("version") : null;
    return new Group(
        name,
        settings.text("group_alias", name),
        version == null ? "N/A" : String.valueOf(version),
        List.copyOf(members),
        sums);
  }

  /** Returns the tasks below it, those of its groups too. */
  Set<String> tasks(Map<String, Group> groups) {
    Set<String> tasks = new LinkedHashSet<>();
    for (String member : members) {
      Group group = groups.get(member);
      if (group == null) {
        tasks.add(member);
      } else {
        tasks.addAll(group.tasks(groups));
      }
    }
    return tasks;
  }

  /** Returns the metrics of the group, from those of its tasks. */
  List<Score> scores(Map<String, Group> groups, Map<String, TaskResult> results) {
    List<TaskResult> tasks =
        tasks(groups).stream().map(results::get).filter(java.util.Objects::nonNull).toList();
    List<Score> scores = new ArrayList<>();
    for (Sum sum : sums) {
      Set<String> filters = new TreeSet<>();
      tasks.forEach(
          task ->
              task.scores().stream()
                  .filter(score -> score.metric().equals(sum.metric))
                  .forEach(score -> filters.add(score.filter())));
      for (String filter : sum.filters == null ? filters : sum.filters) {
        scores(tasks, sum, filter).ifPresent(scores::add);
      }
    }
    return scores;
  }

  private static java.util.Optional<Score> scores(List<TaskResult> tasks, Sum sum, String filter) {
    List<Score> found = new ArrayList<>();
    List<Integer> sizes = new ArrayList<>();
    for (TaskResult task : tasks) {
      for (Score score : task.scores()) {
        if (score.metric().equals(sum.metric) && score.filter().equals(filter)) {
          found.add(score);
          sizes.add(task.documents());
        }
      }
    }
    if (found.isEmpty()) {
      return java.util.Optional.empty();
    }
    if (sum.difference) { // the same documents but for a word: their errors are not independent
      return java.util.Optional.of(
          new Score(
              sum.metric,
              filter,
              found.getFirst().value() - found.getLast().value(),
              OptionalDouble.empty(),
              false));
    }
    double total = 0;
    double weights = 0;
    for (int i = 0; i < found.size(); i++) {
      double weight = sum.bySize ? sizes.get(i) : 1;
      total += found.get(i).value() * weight;
      weights += weight;
    }
    return java.util.Optional.of(
        new Score(
            sum.metric,
            filter,
            total / weights,
            standardError(found, sizes, sum.bySize),
            found.getFirst().higherIsBetter()));
  }

  /** Pools the errors by the sizes of the tasks; those of an even mean add up in squares. */
  private static OptionalDouble standardError(
      List<Score> scores, List<Integer> sizes, boolean bySize) {
    if (scores.stream().anyMatch(score -> score.standardError().isEmpty())) {
      return OptionalDouble.empty();
    }
    double squares = 0;
    double size = 0;
    for (int i = 0; i < scores.size(); i++) {
      double error = scores.get(i).standardError().getAsDouble();
      double n = sizes.get(i);
      squares += bySize ? (n - 1) * error * error * n : error * error;
      size += n;
    }
    return OptionalDouble.of(
        bySize
            ? Math.sqrt(squares / (size - scores.size()) / size)
            : Math.sqrt(squares) / scores.size());
  }
}
