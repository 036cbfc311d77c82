package dev.jneox.data;

import dev.jneox.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.OptionalInt;

/** A token for each byte and one for the end of a document. */
final class ByteTokenizer implements Tokenizer {
  static final int END = 256;

  @Override
  public int[] encode(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int[] ids = new int[bytes.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = bytes[i] & 0xFF;
    }
    return ids;
  }

  @Override
  public String decode(int[] ids) {
    byte[] bytes = new byte[ids.length];
    for (int i = 0; i < ids.length; i++) {
      bytes[i] = (byte) ids[i];
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  @Override
  public byte[] bytes(int id, boolean first) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int vocabSize() {
    return END + 1;
  }

  @Override
  public OptionalInt id(String token) {
    return token.equals("<|endoftext|>") ? OptionalInt.of(END) : OptionalInt.empty();
  }

  @Override
  public void close() {}
}
