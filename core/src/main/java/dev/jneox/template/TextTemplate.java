package dev.jneox.template;

import dev.jneox.io.InputException;
import java.time.Clock;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Renders a text from the fields of a record, as lm-evaluation-harness renders the texts of its
 * tasks: jinja2 with {@code StrictUndefined}, {@code keep_trailing_newline} and the filter {@code
 * regex_replace}. What a template may cost, and what it may not do, is as in a {@link
 * ChatTemplate}.
 *
 * <p>A template is immutable: threads may share it.
 */
public final class TextTemplate {
  private final String name;
  private final List<Statement> body;
  private final SortedSet<String> variables;

  private TextTemplate(String name, List<Statement> body, SortedSet<String> variables) {
    this.name = name;
    this.body = body;
    this.variables = variables;
  }

  /**
   * Parses a template.
   *
   * @param name what errors call it
   * @throws InputException with the line, what was expected and what was found there
   */
  public static TextTemplate parse(String source, String name) {
    if (source.length() > Limits.SOURCE) {
      throw new InputException(
          name
              + ": expected a template of at most "
              + Limits.SOURCE
              + " characters, found "
              + source.length());
    }
    try {
      SortedSet<String> variables = new TreeSet<>();
      List<Statement> body = Parser.parse(source, Dialect.TEXT, variables);
      return new TextTemplate(name, body, Collections.unmodifiableSortedSet(variables));
    } catch (Lexer.LineFault e) {
      throw error(name, e.line, String.valueOf(e.getMessage()), e);
    }
  }

  /** Returns the names of the values that the template takes, in ascending order. */
  public SortedSet<String> variables() {
    return variables;
  }

  /**
   * Renders the template.
   *
   * @param variables values of JSON by name: null, Boolean, Long, Double, String, List, Map
   * @throws InputException when the template uses a value that is not there, fails, or costs too
   *     much
   */
  public String render(Map<String, ? extends @Nullable Object> variables) {
    Evaluator evaluator = new Evaluator(Limits.DEFAULT, Clock.systemDefaultZone(), Dialect.TEXT);
    try {
      Map<String, Object> values = new HashMap<>();
      for (Map.Entry<String, ? extends @Nullable Object> variable : variables.entrySet()) {
        values.put(variable.getKey(), Values.of(variable.getValue(), 0));
      }
      return evaluator.render(body, values);
    } catch (TemplateFault e) {
      throw error(name, evaluator.line(), e.message(), e);
    } catch (StackOverflowError e) {
      throw error(name, evaluator.line(), "expected less nesting, found too much of it", e);
    }
  }

  private static InputException error(String name, int line, String message, Throwable cause) {
    return new InputException(name + ": line " + line + ": " + message, cause);
  }
}
