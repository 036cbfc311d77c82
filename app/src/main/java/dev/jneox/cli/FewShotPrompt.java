package dev.jneox.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;

/**
 * Puts examples of a task before the user's text (few-shot prompting), because a base model only
 * continues a text. The examples are files of the folder {@code few-shot}; {@code {prompt}} marks
 * the place of the user's text.
 */
enum FewShotPrompt {
  /** A Java method below a comment that says what it does. */
  CODE,
  /** A verse below its title. */
  POEM,
  /** The first lines of a report below its headline. */
  NEWS,
  /** An answer below a question. */
  QA;

  private static final String PLACE = "{prompt}";

  /** The stop strings: an example ends at an empty line, and so does the generated text. */
  static final List<String> STOP = List.of("\n\n");

  /** Returns the examples with a text behind them, without the last line end of the file. */
  String text(String prompt) {
    String name = "few-shot/" + name().toLowerCase(Locale.ROOT) + ".txt";
    try (InputStream in = FewShotPrompt.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException(name + " is not in the jar");
      }
      String examples = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      String text = examples.replace(PLACE, prompt.strip());
      return this == POEM || this == NEWS ? text : text.stripTrailing();
    } catch (IOException e) {
      throw new UncheckedIOException(name, e);
    }
  }
}
