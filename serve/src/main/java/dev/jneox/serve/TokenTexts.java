package dev.jneox.serve;

import dev.jneox.io.InputException;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Writes single tokens as text, for the lists of log-probabilities. A token that is part of a
 * character is written {@code bytes:\xe2\x82}, as OpenAI does, and one that adds nothing to a text
 * {@code token_id:ID}.
 */
final class TokenTexts {
  private static final HexFormat HEX = HexFormat.of().withPrefix("\\x");

  private final Tokenizer tokenizer;
  private final AtomicReferenceArray<Shown> known;

  /**
   * @param bytes in UTF-8
   * @param length characters that it adds to a text
   */
  private record Shown(String text, byte[] bytes, int length) {}

  TokenTexts(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    this.known = new AtomicReferenceArray<>(tokenizer.vocabSize());
  }

  String of(int id) {
    return shown(id).text;
  }

  /** Returns the bytes that a token adds to a text. */
  byte[] bytes(int id) {
    return shown(id).bytes;
  }

  /** Returns the characters that a token adds to a text; none where it is part of one. */
  int length(int id) {
    return shown(id).length;
  }

  /** Names a token by its id. */
  static String name(int id) {
    return "token_id:" + id;
  }

  private Shown shown(int id) {
    if (id < 0 || id >= known.length()) {
      return none(id);
    }
    Shown shown = known.get(id);
    if (shown == null) {
      shown = read(id);
      known.set(id, shown);
    }
    return shown;
  }

  private Shown read(int id) {
    String text = tokenizer.decode(new int[] {id});
    if (text.isEmpty()) {
      return none(id);
    }
    if (text.indexOf('\uFFFD') < 0) {
      return text(text);
    }
    byte[] bytes;
    try {
      bytes = tokenizer.bytes(id, true);
    } catch (InputException e) { // its text depends on the tokens around it
      return none(id);
    }
    if (bytes.length == 0) {
      return none(id);
    }
    try {
      return text(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
    } catch (CharacterCodingException e) {
      return new Shown("bytes:" + HEX.formatHex(bytes), bytes, 0);
    }
  }

  private static Shown text(String text) {
    return new Shown(
        text, text.getBytes(StandardCharsets.UTF_8), text.codePointCount(0, text.length()));
  }

  private static Shown none(int id) {
    return new Shown(name(id), new byte[0], 0);
  }
}
