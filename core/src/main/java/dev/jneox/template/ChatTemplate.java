package dev.jneox.template;

import dev.jneox.io.InputException;
import java.time.Clock;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Renders a conversation by a chat template, as HF transformers does: the sandboxed jinja2 with
 * {@code trim_blocks}, {@code lstrip_blocks}, loop controls, {@code raise_exception}, {@code
 * strftime_now}, a {@code tojson} without escapes for HTML, and {@code generation} blocks.
 *
 * <p>A template may come from anywhere. What it costs is bounded: one that is too large, takes too
 * many steps, recurses too deeply or makes too much text is refused. Methods that change a value,
 * other templates ({@code include}, {@code import}, {@code extends}), recursive loops and the
 * filters for HTML and random numbers are refused by name.
 *
 * <p>A template is immutable: threads may share it.
 */
public final class ChatTemplate {
  private final String name;
  private final String source;
  private final List<Statement> body;
  private final Clock clock;
  private final Limits limits;

  private ChatTemplate(
      String name, String source, List<Statement> body, Clock clock, Limits limits) {
    this.name = name;
    this.source = source;
    this.body = body;
    this.clock = clock;
    this.limits = limits;
  }

  /**
   * Parses a template.
   *
   * @throws InputException with the line, what was expected and what was found there
   */
  public static ChatTemplate parse(String source) {
    return parse(source, "chat template");
  }

  /**
   * Parses a template that errors call by a name.
   *
   * @param name such as a file
   * @throws InputException with the line, what was expected and what was found there
   */
  public static ChatTemplate parse(String source, String name) {
    return parse(source, name, Limits.DEFAULT);
  }

  static ChatTemplate parse(String source, String name, Limits limits) {
    if (source.length() > Limits.SOURCE) {
      throw new InputException(
          name
              + ": expected a chat template of at most "
              + Limits.SOURCE
              + " characters, found "
              + source.length());
    }
    try {
      return new ChatTemplate(
          name, source, Parser.parse(source, Dialect.CHAT), Clock.systemDefaultZone(), limits);
    } catch (Lexer.LineFault e) {
      throw error(name, e.line, String.valueOf(e.getMessage()), e);
    }
  }

  private static InputException error(String name, int line, String message, Throwable cause) {
    return new InputException(name + ": line " + line + ": " + message, cause);
  }

  /** Returns the same template with another clock for {@code strftime_now}. */
  public ChatTemplate withClock(Clock other) {
    return new ChatTemplate(name, source, body, other, limits);
  }

  /** Returns the text of the template. */
  public String source() {
    return source;
  }

  /**
   * Renders the template.
   *
   * @param variables values of JSON by name: null, Boolean, Long, Double, String, List, Map
   * @throws InputException when the template raises an exception, fails, or costs too much
   */
  public String render(Map<String, ? extends @Nullable Object> variables) {
    Evaluator evaluator = new Evaluator(limits, clock, Dialect.CHAT);
    try {
      Map<String, Object> values = new HashMap<>();
      for (Map.Entry<String, ? extends @Nullable Object> variable : variables.entrySet()) {
        values.put(variable.getKey(), Values.of(variable.getValue(), 0));
      }
      return evaluator.render(body, values);
    } catch (TemplateFault e) {
      throw error(name, evaluator.line(), e.message(), e);
    } catch (StackOverflowError e) {
      // The stack of this thread is smaller than what the bound of depth is made for.
      throw error(name, evaluator.line(), "expected less nesting, found too much of it", e);
    }
  }

  /**
   * Renders a conversation with the variables that HF transformers gives to templates.
   *
   * @param messages each with a {@code role} and a {@code content}
   * @param tools JSON schemas of functions; empty for none
   * @param addGenerationPrompt whether the text ends where the answer begins
   * @param more further variables: special tokens, documents, switches of the template
   * @throws InputException when the template raises an exception, fails, or costs too much
   */
  public String render(
      List<? extends Map<String, ?>> messages,
      List<? extends Map<String, ?>> tools,
      boolean addGenerationPrompt,
      Map<String, ? extends @Nullable Object> more) {
    Map<String, @Nullable Object> variables = new LinkedHashMap<>();
    variables.put("documents", null);
    variables.putAll(more);
    variables.put("messages", messages);
    variables.put("tools", tools.isEmpty() ? null : tools);
    variables.put("add_generation_prompt", addGenerationPrompt);
    return render(variables);
  }
}
