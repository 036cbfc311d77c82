package dev.jneox.tokenizer;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.OptionalInt;

/**
 * The Hugging Face {@code tokenizers} library (Rust) on a {@code tokenizer.json}: what the
 * project's own tokenizers are held against. No special tokens are put around the text, and the
 * file's truncation and padding are not applied. A file or a text may bring the library down, and
 * the JVM with it.
 */
final class HfTokenizer implements Tokenizer {
  // DJL's own HuggingFaceTokenizer reports each start to a server and computes offsets nobody here
  // reads: this is the layer below it.
  private static final TokenizersLibrary LIBRARY = library();

  private final Path path;
  private long handle;

  private HfTokenizer(Path path, String json) {
    this.path = path;
    try {
      handle = LIBRARY.createTokenizerFromString(json);
    } catch (RuntimeException e) {
      throw new InputException(path + ": the library says: " + e.getMessage(), e);
    }
    LIBRARY.disableTruncation(handle);
    LIBRARY.disablePadding(handle);
  }

  @SuppressWarnings("restricted") // that a native library is loaded
  private static TokenizersLibrary library() {
    String platform =
        (System.getProperty("os.name").startsWith("Mac") ? "osx" : "linux")
            + (System.getProperty("os.arch").equals("amd64") ? "-x86_64" : "-aarch64");
    String name = System.mapLibraryName("tokenizers");
    try (InputStream in =
        TokenizersLibrary.class
            .getClassLoader()
            .getResourceAsStream("native/lib/" + platform + "/cpu/" + name)) {
      Path file = Files.createTempFile("jneox-test", name);
      Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
      System.load(file.toString());
      Files.delete(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return TokenizersLibrary.LIB;
  }

  static HfTokenizer load(Path path) {
    try {
      return of(path, Files.readString(path));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static HfTokenizer of(Path path, String json) {
    return new HfTokenizer(path, json);
  }

  @Override
  public int[] encode(String text) {
    long encoding;
    try {
      encoding = LIBRARY.encode(handle, Utf8.wellFormed(text), false);
    } catch (RuntimeException e) {
      throw new InputException(path + ": the library says: " + e.getMessage(), e);
    }
    try {
      return Arrays.stream(LIBRARY.getTokenIds(encoding)).mapToInt(Math::toIntExact).toArray();
    } finally {
      LIBRARY.deleteEncoding(encoding);
    }
  }

  @Override
  public String decode(int[] ids) {
    return LIBRARY.decode(handle, Arrays.stream(ids).asLongStream().toArray(), false);
  }

  @Override
  public byte[] bytes(int id, boolean first) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int vocabSize() {
    throw new UnsupportedOperationException();
  }

  @Override
  public OptionalInt id(String token) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {
    LIBRARY.deleteTokenizer(handle);
  }
}
