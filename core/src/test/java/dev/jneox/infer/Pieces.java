package dev.jneox.infer;

import dev.jneox.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * A tokenizer that only writes: each id is the bytes of one string, in Latin-1 so that a piece may
 * be part of a character.
 */
record Pieces(List<String> latin1) implements Tokenizer {
  /** Id 0 is a, 1 is b, and so on, with a digit that tells pieces apart after the first 26. */
  static Pieces letters(int size) {
    return new Pieces(
        IntStream.range(0, size)
            .mapToObj(i -> (char) ('a' + i % 26) + (i < 26 ? "" : "" + i / 26))
            .toList());
  }

  @Override
  public int[] encode(String text) {
    throw new UnsupportedOperationException();
  }

  @Override
  public String decode(int[] ids) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int id : ids) {
      bytes.writeBytes(latin1.get(id).getBytes(StandardCharsets.ISO_8859_1));
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }

  @Override
  public byte[] bytes(int id, boolean first) {
    return latin1.get(id).getBytes(StandardCharsets.ISO_8859_1);
  }

  @Override
  public int vocabSize() {
    return latin1.size();
  }

  @Override
  public OptionalInt id(String token) {
    return OptionalInt.empty();
  }

  @Override
  public void close() {}
}
