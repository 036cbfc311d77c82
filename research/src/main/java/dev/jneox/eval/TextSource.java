package dev.jneox.eval;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.template.TextTemplate;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Says where a task takes a text, an answer or its choices from. */
sealed interface TextSource {
  /**
   * Is a text of the task file: the name of a field where the documents have it, else a template.
   */
  record Template(String text, TextTemplate template, String place) implements TextSource {
    /**
     * Renders the template.
     *
     * @throws InputException that names the template, and the fields that it takes with their
     *     values
     */
    String render(Document document) {
      try {
        return template.render(document.fields());
      } catch (InputException e) {
        List<String> missing =
            template.variables().stream()
                .filter(name -> !document.fields().containsKey(name))
                .toList();
        String reason =
            missing.isEmpty()
                ? JsonObject.shortened(reason(e)) + " with " + values(document)
                : "expected the field '"
                    + String.join("', '", missing)
                    + "', found "
                    + document.fields().keySet();
        throw e.withMessage("template " + JsonObject.quoted(text) + ": " + reason);
      }
    }

    /** Returns the names of the fields that it takes: its text may be one, where it is a name. */
    Set<String> fields() {
      return text.matches("\\w+") ? Set.of(text) : template.variables();
    }

    /** Returns the fields of a document that the template takes, with their values. */
    String values(Document document) {
      Set<String> names = document.fields().containsKey(text) ? Set.of(text) : template.variables();
      return names.stream()
          .map(name -> name + ": " + Document.shown(document.fields().get(name)))
          .collect(Collectors.joining(", "));
    }

    /** Returns what went wrong, without the place in the task file and a line that is the only. */
    private String reason(InputException e) {
      String message = String.valueOf(e.getMessage());
      String at =
          message.startsWith(place + ": ") ? message.substring(place.length() + 2) : message;
      return text.strip().contains("\n") ? at : at.replaceFirst("^line 1: ", "");
    }
  }

  /** Is the same value for every document: a number, or a list. */
  record Constant(Object value) implements TextSource {}

  /** Is computed. */
  record Computed(String name, TaskFunction.OfDocument function) implements TextSource {}

  /** Makes one of a setting; null where there is none. */
  static @Nullable TextSource of(TaskSettings settings, String key) {
    Object value = settings.value(key);
    return switch (value) {
      case null -> null;
      case String text ->
          new Template(text, TextTemplate.parse(text, settings.place(key)), settings.place(key));
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
