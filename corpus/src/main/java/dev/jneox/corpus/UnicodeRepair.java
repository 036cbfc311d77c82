package dev.jneox.corpus;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Repairs text: composed characters (NFC), line ends as {@code \n}, no control characters and byte
 * order marks, and lines of UTF-8 that was once read as Windows-1252 as they were meant. Removes
 * documents of which nothing stays.
 *
 * @param mojibake whether the last is done
 */
record UnicodeRepair(boolean mojibake) implements TextStep {
  /** The leading byte of two or three read as Windows-1252, and a continuation byte behind it. */
  private static final Pattern SUSPECT =
      Pattern.compile(
          "[\u00c2-\u00ef][\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160"
              + "\u2039\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a"
              + "\u0153\u017e\u0178]");

  private static final Charset WINDOWS = Charset.forName("windows-1252");

  static Step of(Settings options) {
    return new UnicodeRepair(options.flag("mojibake", true));
  }

  @Override
  public String name() {
    return "unicode";
  }

  @Override
  public String describe() {
    return "repairs Unicode: NFC, line ends, control characters" + (mojibake ? ", mojibake" : "");
  }

  @Override
  public @Nullable String apply(Page page) {
    String text = page.text();
    if (!isPlain(text)) {
      text = clean(text);
      if (mojibake && SUSPECT.matcher(text).find()) {
        text = repaired(text);
      }
      text = Normalizer.normalize(text, Normalizer.Form.NFC);
      page.text(text);
    }
    return text.isBlank() ? "empty" : null;
  }

  /** Returns whether a text is printable ASCII, tabs and line ends: nothing is to be done. */
  private static boolean isPlain(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c >= 127 || c < 32 && c != '\n' && c != '\t') {
        return false;
      }
    }
    return true;
  }

  private static String clean(String text) {
    StringBuilder clean = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '\r') {
        if (i + 1 == text.length() || text.charAt(i + 1) != '\n') {
          clean.append('\n');
        }
      } else if (c == '\u2028' || c == '\u2029' || c == '\u0085') {
        // NEL is also the ellipsis of Windows-1252 in mojibake, where it follows a letter.
        clean.append(c == '\u0085' ? '\u0085' : '\n');
      } else if (c >= 32 && c != 127 && c != '\uFEFF' && !isNonCharacter(c)
          || c == '\n'
          || c == '\t') {
        clean.append(c);
      }
    }
    return clean.toString();
  }

  private static boolean isNonCharacter(char c) {
    return c >= '\uFDD0' && c <= '\uFDEF' || c >= '\uFFFE';
  }

  /** Repairs each line that is Windows-1252 whose bytes are UTF-8. */
  private static String repaired(String text) {
    String[] lines = text.split("\n", -1);
    for (int i = 0; i < lines.length; i++) {
      if (SUSPECT.matcher(lines[i]).find()) {
        lines[i] = line(lines[i]);
      }
    }
    return String.join("\n", lines);
  }

  private static String line(String line) {
    try {
      ByteBuffer bytes = ByteBuffer.allocate(line.length());
      for (int i = 0; i < line.length(); i++) {
        char c = line.charAt(i);
        if (c < 256 && (c < 0x80 || c > 0x9F)) {
          bytes.put((byte) c);
        } else if (c < 256) {
          bytes.put(
              (byte) c); // bytes that Windows-1252 has no character for are read as themselves
        } else {
          bytes.put(WINDOWS.newEncoder().encode(CharBuffer.wrap(new char[] {c})));
        }
      }
      return StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString();
    } catch (CharacterCodingException e) {
      return line; // it is what it looks like
    }
  }
}
