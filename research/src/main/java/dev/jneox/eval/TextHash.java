package dev.jneox.eval;

import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/** Computes the SHA-256 of texts in UTF-8. */
final class TextHash {
  private TextHash() {}

  static String of(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return Sha256.of(MemorySegment.ofArray(bytes), Progress.silent());
  }
}
