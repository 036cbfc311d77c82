package dev.jneox.corpus;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import dev.jneox.io.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.nio.CharBuffer;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Reads a JSON object per line. Blank lines count as lines and are no records. */
final class JsonLinesRecords implements RecordReader {
  private final Lines lines;
  private final String textField;
  private final long to;
  private long line;

  /**
   * Reads the lines that begin in {@code [from, to)}; a compressed file is read whole.
   *
   * @param textField the key of the text
   */
  JsonLinesRecords(Path file, long from, long to, String textField) throws IOException {
    this.textField = textField;
    InputStream in = RecordReader.open(file);
    boolean whole = from == 0 && !Format.JSONL.isDivisible(file);
    this.to = whole ? Long.MAX_VALUE : to;
    try {
      // The line that the byte before belongs to is the other part's.
      long start = Math.max(0, from - 1);
      in.skipNBytes(start);
      this.lines = new Lines(in, start, LIMIT);
      if (from > 0) {
        lines.next();
      }
    } catch (IOException e) {
      in.close();
      throw e;
    }
  }

  @Override
  public @Nullable Raw next() throws IOException {
    while (lines.position() < to) {
      byte[] bytes = lines.next();
      if (bytes == null) {
        break;
      }
      line++;
      if (lines.tooLong()) {
        return Raw.malformed(line, Utf8Text.tooLong());
      }
      if (!Utf8Text.isBlank(bytes)) {
        return record(bytes);
      }
    }
    return null;
  }

  private Raw record(byte[] bytes) throws IOException {
    try {
      CharBuffer chars = Utf8Text.decode(bytes);
      int mark = chars.hasRemaining() && chars.get(0) == '\uFEFF' ? 1 : 0;
      try (JsonParser parser =
          JsonObject.LINES.createParser(chars.array(), mark, chars.length() - mark)) {
        return parse(parser);
      }
    } catch (Utf8Text.MalformedException e) {
      return Raw.malformed(line, String.valueOf(e.getMessage()));
    } catch (JsonProcessingException e) {
      return Raw.malformed(line, "expected JSON, found: " + JsonObject.problem(e));
    }
  }

  private Raw parse(JsonParser parser) throws IOException {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      return Raw.malformed(line, "expected a JSON object, found another value");
    }
    String text = null;
    String found = "none";
    String meta = "";
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      JsonToken token = parser.nextToken();
      if (key.equals(textField) && token == JsonToken.VALUE_STRING) {
        text = parser.getText();
      } else if (key.equals(textField)) {
        found = kind(token);
        parser.skipChildren();
      } else if (key.equals("meta") && token == JsonToken.START_OBJECT) {
        meta = compact(parser);
      } else {
        parser.skipChildren();
      }
    }
    if (text == null) {
      return Raw.malformed(
          line,
          "expected the key " + JsonObject.quoted(textField) + " with a string, found " + found);
    }
    if (parser.nextToken() != null) {
      return Raw.malformed(line, "expected one JSON object, found more behind it");
    }
    return Utf8Text.hasHalfPair(text)
        ? Raw.malformed(line, "expected Unicode, found half of a surrogate pair")
        : new Raw(line, text, meta, false);
  }

  private static String kind(JsonToken token) {
    return switch (token) {
      case START_OBJECT -> "an object";
      case START_ARRAY -> "a list";
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "a number";
      default -> token.asString(); // true, false, null
    };
  }

  /** Copies an object without {@code pile_set_name} and {@code document}, which the output sets. */
  private static String compact(JsonParser parser) throws IOException {
    StringWriter out = new StringWriter();
    try (JsonGenerator json = JsonObject.LINES.createGenerator(out)) {
      json.writeStartObject();
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String key = parser.currentName();
        parser.nextToken();
        if (key.equals("pile_set_name") || key.equals("document")) {
          parser.skipChildren();
        } else {
          json.writeFieldName(key);
          json.copyCurrentStructureExact(parser);
        }
      }
      json.writeEndObject();
    }
    String text = out.toString();
    return text.equals("{}") ? "" : text;
  }

  @Override
  public long lines() {
    return line;
  }

  @Override
  public void close() throws IOException {
    lines.close();
  }
}
