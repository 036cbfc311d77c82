package dev.jneox.eval;

import dev.jneox.io.InputException;
import dev.jneox.template.TextTemplate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Makes several tasks of one file, where they differ in a few settings: {@code members} lists
 * variables with their values, and {@code each} has settings that are templates of them.
 *
 * <pre>{@code
 * members:
 *   - {area: stem, subject: [anatomy, astronomy]} # two members, one for each value
 * each:
 *   task: "mmlu_{{ subject }}"
 * }</pre>
 *
 * The harness has a file for each of these tasks.
 */
final class TaskFamily {
  private static final String MEMBERS = "members";
  private static final String EACH = "each";

  private TaskFamily() {}

  /** Tells whether settings are those of a family. */
  static boolean is(Map<String, @Nullable Object> settings) {
    return settings.containsKey(MEMBERS) || settings.containsKey(EACH);
  }

  /** Removes what makes a family of settings, for a file that includes them. */
  static void remove(Map<String, @Nullable Object> settings) {
    settings.remove(MEMBERS);
    settings.remove(EACH);
  }

  /**
   * Returns the settings of each member.
   *
   * @throws InputException that names the file and the setting which is wrong
   */
  static List<Map<String, @Nullable Object>> tasks(
      Path file, Map<String, @Nullable Object> settings) {
    if (!(settings.get(MEMBERS) instanceof List<?> members)) {
      throw InputException.in(
          file, MEMBERS, "a list of members", String.valueOf(settings.get(MEMBERS)));
    }
    if (!(settings.get(EACH) instanceof Map<?, ?> templates)) {
      throw InputException.in(
          file, EACH, "settings with templates", String.valueOf(settings.get(EACH)));
    }
    List<Map<String, @Nullable Object>> tasks = new ArrayList<>();
    for (Object member : members) {
      if (!(member instanceof Map<?, ?> variables)) {
        throw InputException.in(file, MEMBERS, "variables with values", String.valueOf(member));
      }
      for (Map<String, @Nullable Object> values : combinations(variables)) {
        Map<String, @Nullable Object> task = new LinkedHashMap<>(settings);
        remove(task);
        templates.forEach(
            (key, template) ->
                task.put(String.valueOf(key), rendered(file, key + "", template, values)));
        tasks.add(task);
      }
    }
    return tasks;
  }

  /** Takes each value of each list with each of the others. */
  private static List<Map<String, @Nullable Object>> combinations(Map<?, ?> variables) {
    List<Map<String, @Nullable Object>> all = List.of(Map.of());
    for (Map.Entry<?, ?> variable : variables.entrySet()) {
      String name = String.valueOf(variable.getKey());
      List<Map<String, @Nullable Object>> more = new ArrayList<>();
      for (Map<String, @Nullable Object> before : all) {
        for (Object value :
            variable.getValue() instanceof List<?> list ? list : List.of(variable.getValue())) {
          Map<String, @Nullable Object> with = new LinkedHashMap<>(before);
          with.put(name, JsonValues.of(value));
          more.add(with);
        }
      }
      all = more;
    }
    return all;
  }

  private static @Nullable Object rendered(
      Path file, String key, @Nullable Object value, Map<String, @Nullable Object> variables) {
    String name = file + ": " + EACH + ": " + key;
    return switch (value) {
      case String text -> TextTemplate.parse(text, name).render(variables);
      case FunctionName(String function) ->
          new FunctionName(TextTemplate.parse(function, name).render(variables));
      case null, default -> value;
    };
  }
}
