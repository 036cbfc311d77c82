package dev.jneox.tokenizer;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.OptionalInt;

/**
 * The Hugging Face {@code tokenizers} library (Rust) on a {@code tokenizer.json}: knows every kind of tokenizer, and is the
 * reference for {@link ByteLevelBpe}. No special tokens are put around the text, and the file's truncation and padding are not
 * applied.
 */
public final class HfTokenizer implements Tokenizer {
  static {
    // DJL would otherwise look for a CUDA build of the library on its site; the one for the CPU is in its jar.
    System.setProperty("RUST_FLAVOR", "cpu");
    System.setProperty("ai.djl.offline", "true");
    LibUtils.checkStatus();
  }

  // DJL's own HuggingFaceTokenizer reports each start to a server and computes offsets nobody here reads: this is the layer
  // below it.
  private static final TokenizersLibrary LIBRARY = TokenizersLibrary.LIB;

  private final Path path;
  private final Map<String, Integer> ids;
  private final int vocabSize;
  private long handle;

  private HfTokenizer(TokenizerFile file) {
    ids = file.ids();
    vocabSize = file.vocabSize();
    path = file.path();
    try {
      handle = LIBRARY.createTokenizerFromString(file.json());
    } catch (RuntimeException e) {
      throw new InputException(path + ": expected a tokenizer.json, but the tokenizers library says: " + reason(e), e);
    }
    LIBRARY.disableTruncation(handle);
    LIBRARY.disablePadding(handle);
  }

  private static String reason(RuntimeException e) {
    return e.getMessage() == null ? "no reason given" : e.getMessage().lines().findFirst().orElse("");
  }

  /** Loads a local {@code tokenizer.json}; an {@link InputException} says what is wrong with it. */
  public static HfTokenizer load(Path path) {
    return of(TokenizerFile.read(path));
  }

  static HfTokenizer of(TokenizerFile file) {
    return new HfTokenizer(file);
  }

  @Override
  public int[] encode(String text) {
    long tokenizer = handle();
    long encoding;
    try {
      encoding = LIBRARY.encode(tokenizer, Utf8.wellFormed(text), false);
    } catch (RuntimeException e) {
      throw new InputException(path + ": the tokenizers library cannot encode a text with it: " + reason(e), e);
    }
    try {
      return Arrays.stream(LIBRARY.getTokenIds(encoding)).mapToInt(Math::toIntExact).toArray();
    } finally {
      LIBRARY.deleteEncoding(encoding);
    }
  }

  @Override
  public String decode(int[] ids) {
    return LIBRARY.decode(handle(), Arrays.stream(ids).asLongStream().toArray(), false);
  }

  @Override
  public int vocabSize() {
    return vocabSize;
  }

  @Override
  public OptionalInt id(String token) {
    Integer id = ids.get(token);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  private long handle() {
    if (handle == 0) {
      throw new IllegalStateException("this tokenizer is closed");
    }
    return handle;
  }

  /** Frees the native tokenizer; no other call may be running or follow. */
  @Override
  public void close() {
    if (handle != 0) {
      LIBRARY.deleteTokenizer(handle);
      handle = 0;
    }
  }
}
