package dev.jneox.data;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import dev.jneox.io.Placeholder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Holds the undecoded bytes of a document. The reader only finds where a document ends; the threads
 * that tokenise decode it.
 *
 * @param file where it comes from
 * @param place where in the file, for messages: a line, a member of an archive, or empty
 * @param bytes the content
 * @param json whether the bytes are a JSON object with a {@code text}, else they are the text
 */
record RawDocument(Path file, String place, byte[] bytes, boolean json) {
  /**
   * Decodes the document.
   *
   * @throws InputException if it is not UTF-8, or not a JSON object whose {@code text} is a string
   *     or a list of strings
   */
  Document parse() {
    CharBuffer chars = decode();
    Document document = json ? parseJson(chars) : new Document(withoutMark(chars).toString(), "");
    int half = loneSurrogate(document.text());
    if (half >= 0) {
      throw bad("character " + half + " of the text", "Unicode", "half of a surrogate pair");
    }
    return document;
  }

  private CharBuffer decode() {
    CharsetDecoder decoder =
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    ByteBuffer in = ByteBuffer.wrap(bytes);
    CharBuffer out = CharBuffer.allocate(bytes.length);
    CoderResult result = decoder.decode(in, out, true);
    if (result.isError()) {
      String place = "byte " + in.position();
      throw bad(
          place,
          "UTF-8",
          "byte 0x%02x: convert it to UTF-8, or skip bad documents".formatted(in.get()));
    }
    return out.flip();
  }

  /** Drops the byte order mark that some programs write before the text. */
  private static CharBuffer withoutMark(CharBuffer chars) {
    return chars.hasRemaining() && chars.get(0) == '\uFEFF'
        ? chars.slice(1, chars.length() - 1)
        : chars;
  }

  private Document parseJson(CharBuffer chars) {
    int mark = chars.length() - withoutMark(chars).length();
    try (JsonParser parser =
        JsonObject.LINES.createParser(chars.array(), mark, chars.length() - mark)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw bad("", "a JSON object", describe(parser));
      }
      String text = null;
      String set = "";
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String key = parser.currentName();
        parser.nextToken();
        if (key.equals("text")) {
          text = text(parser);
        } else if (key.equals("meta")) {
          set = set(parser);
        } else {
          parser.skipChildren();
        }
      }
      if (text == null) {
        throw bad("", "the key \"text\"", "an object without it");
      }
      if (parser.nextToken() != null) {
        throw bad("", "one JSON object", "more behind it");
      }
      return new Document(text, set);
    } catch (JsonProcessingException e) {
      // An exceeded limit has no place.
      JsonLocation at = e.getLocation();
      throw bad(
          at == null ? "" : "column " + at.getColumnNr(), "JSON", JsonObject.problem(e) + page());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns a hint where the whole file is another one. */
  private String page() {
    return place.equals("line 1") ? Placeholder.hint(file) : "";
  }

  /** Reads a string, or a list of strings, which two line ends join. */
  private String text(JsonParser parser) throws IOException {
    if (parser.currentToken() == JsonToken.VALUE_STRING) {
      return parser.getText();
    }
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw bad("\"text\"", "a string or a list of strings", describe(parser));
    }
    StringBuilder text = new StringBuilder();
    for (int i = 0; parser.nextToken() != JsonToken.END_ARRAY; i++) {
      if (parser.currentToken() != JsonToken.VALUE_STRING) {
        throw bad("\"text\"", "a list of strings", "a list with " + describe(parser));
      }
      text.append(i == 0 ? "" : "\n\n").append(parser.getText());
    }
    return text.toString();
  }

  private static String set(JsonParser parser) throws IOException {
    String set = "";
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      parser.skipChildren();
      return set;
    }
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      boolean name = parser.currentName().equals("pile_set_name");
      if (parser.nextToken() == JsonToken.VALUE_STRING && name) {
        set = parser.getText();
      } else {
        parser.skipChildren();
      }
    }
    return set;
  }

  private static String describe(JsonParser parser) {
    JsonToken token = parser.currentToken();
    return token == null
        ? "nothing"
        : switch (token) {
          case START_OBJECT -> "an object";
          case START_ARRAY -> "a list";
          case VALUE_STRING -> "a string";
          case VALUE_NULL -> "null";
          default -> token.asString() == null ? "a number" : token.asString();
        };
  }

  private static int loneSurrogate(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        if (Character.isLowSurrogate(c)
            || i + 1 == text.length()
            || !Character.isLowSurrogate(text.charAt(i + 1))) {
          return i;
        }
        i++;
      }
    }
    return -1;
  }

  private InputException bad(String where, String expected, String found) {
    String at = place.isEmpty() || where.isEmpty() ? place + where : place + ", " + where;
    return InputException.in(file, at.isEmpty() ? "content" : at, expected, found);
  }
}
