package dev.jneox.corpus;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads mails, which lines {@code From ...} divide: the subject and the first plain text of each,
 * with its transfer encoding and character set undone. Quoted lines stay. A mail without plain text
 * is passed over.
 */
final class MboxRecords implements RecordReader {
  private static final byte[] FROM = "From ".getBytes(StandardCharsets.US_ASCII);
  private static final Pattern PARAMETER =
      Pattern.compile(";\\s*([\\w-]+)\\s*=\\s*(?:\"([^\"]*)\"|([^;\\s]*))");
  private static final Pattern WORD =
      Pattern.compile("=\\?([\\w-]+)\\?([bBqQ])\\?([^?\\s]*)\\?=(?:\\s+(?==\\?))?");
  private static final int DEEPEST = 8;

  private final Lines lines;
  private byte @Nullable [] ahead;
  private long line;

  MboxRecords(Path file) throws IOException {
    lines = new Lines(RecordReader.open(file), 0, LIMIT);
    ahead = lines.next();
  }

  @Override
  public @Nullable Raw next() throws IOException {
    while (ahead != null) {
      line++;
      ByteArrayOutputStream mail = new ByteArrayOutputStream();
      boolean tooLong = false;
      for (ahead = lines.next(); ahead != null && !isFrom(ahead); ahead = lines.next()) {
        tooLong |= lines.tooLong() || mail.size() > LIMIT - ahead.length;
        if (!tooLong) {
          mail.write(ahead);
          mail.write('\n');
        }
      }
      if (tooLong) {
        return Raw.malformed(line, Utf8Text.tooLong());
      }
      // Bytes as characters, until the character set is known.
      String whole = mail.toString(StandardCharsets.ISO_8859_1).replace("\r\n", "\n");
      try {
        String subject = words(headers(whole).getOrDefault("subject", ""));
        String body = plain(whole, 0);
        if (body != null && !body.isBlank()) {
          String text = body.replaceAll("(?m)^>(>*From )", "$1").strip();
          return new Raw(line, subject.isEmpty() ? text : subject + "\n\n" + text, "", false);
        }
      } catch (CharacterCodingException | IllegalArgumentException e) {
        return Raw.malformed(line, "expected a mail in its character set, found other bytes");
      }
    }
    return null;
  }

  private static boolean isFrom(byte[] line) {
    return line.length > FROM.length && Arrays.equals(FROM, Arrays.copyOf(line, FROM.length));
  }

  private static Map<String, String> headers(String part) {
    Map<String, String> headers = new HashMap<>();
    int end = part.startsWith("\n") ? 0 : part.indexOf("\n\n");
    String head = end < 0 ? part : part.substring(0, end);
    for (String header : head.replaceAll("\n[ \t]+", " ").split("\n")) {
      int colon = header.indexOf(':');
      if (colon > 0) {
        headers.putIfAbsent(
            header.substring(0, colon).toLowerCase(Locale.ROOT),
            header.substring(colon + 1).strip());
      }
    }
    return headers;
  }

  private static String body(String part) {
    if (part.startsWith("\n")) {
      return part.substring(1);
    }
    int end = part.indexOf("\n\n");
    return end < 0 ? "" : part.substring(end + 2);
  }

  private static @Nullable String parameter(String header, String name) {
    Matcher matcher = PARAMETER.matcher(header);
    while (matcher.find()) {
      if (matcher.group(1).equalsIgnoreCase(name)) {
        return Objects.requireNonNullElseGet(matcher.group(2), () -> matcher.group(3));
      }
    }
    return null;
  }

  /** Returns the first plain text of a mail or of a part of one; null where it has none. */
  private static @Nullable String plain(String part, int depth) throws CharacterCodingException {
    Map<String, String> headers = headers(part);
    String type = headers.getOrDefault("content-type", "text/plain");
    String kind = type.toLowerCase(Locale.ROOT);
    String boundary = parameter(type, "boundary");
    if (kind.startsWith("multipart/") && boundary != null && depth < DEEPEST) {
      String[] inner = ("\n" + body(part)).split(Pattern.quote("\n--" + boundary));
      for (int i = 1; i < inner.length && !inner[i].startsWith("--"); i++) {
        int end = inner[i].indexOf('\n');
        String text = end < 0 ? null : plain(inner[i].substring(end + 1), depth + 1);
        if (text != null) {
          return text;
        }
      }
      return null;
    }
    if (!kind.startsWith("text/plain")) {
      return null;
    }
    String charset = parameter(type, "charset");
    byte[] bytes =
        switch (headers.getOrDefault("content-transfer-encoding", "").toLowerCase(Locale.ROOT)) {
          case "base64" -> Base64.getMimeDecoder().decode(body(part));
          case "quoted-printable" -> quotedPrintable(body(part).replaceAll("=[ \t]*\n", ""));
          default -> body(part).getBytes(StandardCharsets.ISO_8859_1);
        };
    return decoded(bytes, charset);
  }

  private static String decoded(byte[] bytes, @Nullable String name)
      throws CharacterCodingException {
    boolean ascii = name == null || name.equalsIgnoreCase("us-ascii") || name.isEmpty();
    Charset charset = ascii ? StandardCharsets.UTF_8 : Charset.forName(name);
    return charset.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
  }

  private static byte[] quotedPrintable(String text) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean hex =
          c == '='
              && i + 2 < text.length()
              && Character.digit(text.charAt(i + 1), 16) >= 0
              && Character.digit(text.charAt(i + 2), 16) >= 0;
      if (hex) {
        out.write(Integer.parseInt(text.substring(i + 1, i + 3), 16));
        i += 2;
      } else {
        out.write(c);
      }
    }
    return out.toByteArray();
  }

  /** Decodes the words of a header that are not ASCII (RFC 2047). */
  private static String words(String header) throws CharacterCodingException {
    Matcher matcher = WORD.matcher(header);
    StringBuilder out = new StringBuilder();
    int from = 0;
    while (matcher.find()) {
      out.append(header, from, matcher.start());
      byte[] bytes =
          matcher.group(2).equalsIgnoreCase("b")
              ? Base64.getMimeDecoder().decode(matcher.group(3))
              : quotedPrintable(matcher.group(3).replace('_', ' '));
      out.append(decoded(bytes, matcher.group(1)));
      from = matcher.end();
    }
    return out.append(header.substring(from)).toString();
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
