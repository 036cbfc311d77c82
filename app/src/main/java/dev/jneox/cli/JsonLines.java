package dev.jneox.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.StorageException;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A filter from standard input to standard output: a JSON object a line in, one a line out, in
 * UTF-8 whatever the locale.
 */
final class JsonLines {
  private static final JsonMapper JSON =
      JsonMapper.builder(JsonObject.LINES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();
  private static final int BUFFER = 1 << 16;

  private JsonLines() {}

  /**
   * Answers every line, but for blank ones. Answers are sent off as soon as no more input is
   * waiting. Ends early once they cannot be written.
   *
   * @param answer makes the object to write from the one read; an {@link InputException} says what
   *     is wrong with it
   * @throws InputException naming the line that is no JSON or was refused
   */
  static void filter(Function<JsonNode, Object> answer) {
    PrintStream output = System.out;
    ByteArrayOutputStream answers = new ByteArrayOutputStream();
    long number = 0;
    try (InputStream input = new BufferedInputStream(System.in, BUFFER)) {
      for (String line = line(input, 1); line != null; line = line(input, number + 1)) {
        number++;
        if (!line.isBlank()) {
          answers.writeBytes(JSON.writeValueAsBytes(answer.apply(JSON.readTree(line))));
          answers.write('\n');
        }
        if ((answers.size() >= BUFFER || input.available() == 0) && !send(answers, output)) {
          return; // StandardOutput tells why
        }
      }
      send(answers, output);
    } catch (JsonProcessingException e) {
      send(answers, output);
      throw new InputException(
          place(number) + "expected a JSON object, found: " + JsonObject.problem(e), e);
    } catch (JneoxException e) {
      send(answers, output);
      throw e.getMessage().startsWith("standard ")
          ? e
          : e.withMessage(place(number) + e.getMessage());
    } catch (IOException e) {
      throw StorageException.ofStream("standard input", "cannot be read", e);
    }
  }

  /** False when nothing can be written any more. */
  private static boolean send(ByteArrayOutputStream answers, PrintStream output) {
    output.writeBytes(answers.toByteArray());
    answers.reset();
    return !output.checkError();
  }

  private static String place(long line) {
    return "standard input: line " + line + ": ";
  }

  /** The next line without its end, or null after the last. */
  private static @Nullable String line(InputStream input, long number) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    int b = input.read();
    if (b < 0) {
      return null;
    }
    for (; b >= 0 && b != '\n'; b = input.read()) {
      line.write(b);
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(line.toByteArray()))
          .toString();
    } catch (CharacterCodingException e) {
      throw new InputException(place(number) + "expected UTF-8, found other bytes", e);
    }
  }

  /** A value as an error message shows it. */
  static String describe(JsonNode node) {
    String text = node.isMissingNode() ? "nothing" : node.toString();
    return text.length() <= 60 ? text : text.substring(0, 60) + "...";
  }
}
