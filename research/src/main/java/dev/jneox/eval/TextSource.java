package dev.jneox.eval;

import dev.jneox.template.TextTemplate;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Says where a task takes a text, an answer or its choices from. */
sealed interface TextSource {
  /**
   * Is a text of the task file: the name of a field where the documents have it, else a template.
   */
  record Template(String text, TextTemplate template) implements TextSource {}

  /** Is the same value for every document: a number, or a list. */
  record Constant(Object value) implements TextSource {}

  /** Is computed. */
  record Computed(String name, TaskFunction.OfDocument function) implements TextSource {}

  /** Makes one of a setting; null where there is none. */
  static @Nullable TextSource of(TaskSettings settings, String key) {
    Object value = settings.value(key);
    return switch (value) {
      case null -> null;
      case String text -> new Template(text, TextTemplate.parse(text, settings.place(key)));
      case FunctionName name ->
          new Computed(name.name(), settings.function(key, TaskFunction.OfDocument.class));
      case Integer number -> new Constant((long) number);
      case Long number -> new Constant(number);
      case List<?> list -> new Constant(list.stream().map(TextSource::plain).toList());
      case java.util.Map<?, ?> map ->
          new Constant(map.values().stream().map(TextSource::plain).toList());
      default -> throw settings.expected(key, "a text, a number, a list or a !function");
    };
  }

  private static Object plain(Object value) {
    return value instanceof Integer number ? (Object) (long) number : value;
  }
}
