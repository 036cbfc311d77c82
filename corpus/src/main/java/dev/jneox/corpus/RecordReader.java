package dev.jneox.corpus;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.jneox.data.ZstdInputStream;
import dev.jneox.io.JsonObject;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads the records of a file in order. To read another format, write a class of these three
 * methods and add it to {@link Format}.
 */
interface RecordReader extends AutoCloseable {
  /**
   * Is a record of a source.
   *
   * @param line number of the record in its part, from 1: the line of lines, else the ordinal
   * @param text of a document; of a malformed record what is wrong with it
   * @param meta what the source says about it, a JSON object; else an empty string
   * @param malformed whether it is no document
   */
  record Raw(long line, String text, String meta, boolean malformed) {
    static Raw malformed(long line, String problem) {
      return new Raw(line, problem, "", true);
    }
  }

  /** The largest document, in bytes. */
  int LIMIT = (int) Math.min(256_000_000, Runtime.getRuntime().maxMemory() / 16);

  /**
   * Returns the next record; null at the end.
   *
   * @throws IOException when the file cannot be read on, such as one that ends too early
   */
  @Nullable Raw next() throws IOException;

  /** Returns the number of records so far, malformed and empty ones included. */
  long lines();

  @Override
  void close() throws IOException;

  /** Makes a meta of one key. */
  static String meta(String key, String value) {
    StringWriter out = new StringWriter();
    try (JsonGenerator json = JsonObject.LINES.createGenerator(out)) {
      json.writeStartObject();
      json.writeStringField(key, value);
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toString();
  }

  /** Opens a file that may be compressed, as its name says. */
  static InputStream open(Path file) throws IOException {
    InputStream in = Files.newInputStream(file);
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    try {
      return name.endsWith(".zst")
          ? new ZstdInputStream(in)
          : name.endsWith(".gz")
              ? new GZIPInputStream(new BufferedInputStream(in, 1 << 16), 1 << 16)
              : in;
    } catch (IOException e) {
      in.close();
      throw e;
    }
  }
}
