package dev.jneox.corpus;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Optional;
import org.jsoup.Jsoup;
import org.jspecify.annotations.Nullable;
import org.netpreserve.jwarc.MediaType;
import org.netpreserve.jwarc.ParsingException;
import org.netpreserve.jwarc.WarcConversion;
import org.netpreserve.jwarc.WarcReader;
import org.netpreserve.jwarc.WarcRecord;
import org.netpreserve.jwarc.WarcResponse;

/**
 * Reads a web archive: of a WARC the main text of HTML responses with status 200, of a WET the
 * texts. Other records are passed over. Meta has the {@code url}.
 */
final class WarcRecords implements RecordReader {
  private final WarcReader reader;
  private long line;

  WarcRecords(Path file) throws IOException {
    reader = new WarcReader(file);
  }

  @Override
  public @Nullable Raw next() throws IOException {
    while (true) {
      WarcRecord record;
      try {
        Optional<WarcRecord> next = reader.next();
        if (next.isEmpty()) {
          return null;
        }
        record = next.get();
      } catch (ParsingException e) {
        throw new IOException("record " + (line + 1) + ": " + e.getMessage(), e);
      }
      line++;
      switch (record) {
        case WarcConversion text -> {
          byte[] bytes = bytes(text.body().stream());
          return bytes == null
              ? Raw.malformed(line, Utf8Text.tooLong())
              : text(bytes, text.target());
        }
        case WarcResponse response -> {
          Raw raw = page(response);
          if (raw != null) {
            return raw;
          }
        }
        default -> {} // requests, metadata, revisits
      }
    }
  }

  private static byte @Nullable [] bytes(InputStream in) throws IOException {
    byte[] bytes = in.readNBytes(LIMIT);
    return in.read() >= 0 ? null : bytes;
  }

  private Raw text(byte[] bytes, String url) {
    try {
      return new Raw(line, Utf8Text.decode(bytes).toString(), RecordReader.meta("url", url), false);
    } catch (Utf8Text.MalformedException e) {
      return Raw.malformed(line, url + ": " + e.getMessage());
    }
  }

  private @Nullable Raw page(WarcResponse response) throws IOException {
    try {
      if (response.http().status() != 200
          || !response.payloadType().base().equals(MediaType.HTML)) {
        return null;
      }
      byte[] bytes = bytes(response.http().body().stream());
      if (bytes == null) {
        return Raw.malformed(line, Utf8Text.tooLong());
      }
      String charset = response.payloadType().parameters().get("charset");
      String text =
          MainText.of(
              Jsoup.parse(
                  new java.io.ByteArrayInputStream(bytes),
                  MainText.charset(charset),
                  response.target()));
      return text.isBlank()
          ? null
          : new Raw(line, text, RecordReader.meta("url", response.target()), false);
    } catch (ParsingException | IllegalArgumentException e) {
      return Raw.malformed(line, response.target() + ": " + e.getMessage());
    }
  }

  @Override
  public long lines() {
    return line;
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
