package dev.jneox.tokenizer;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.jneox.io.InputException;
import dev.jneox.io.NativeLibraries;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Properties;
import java.util.stream.Stream;

/**
 * The Hugging Face {@code tokenizers} library (Rust) on a {@code tokenizer.json}: knows every kind
 * of tokenizer, and is the reference for {@link ByteLevelBpe}. No special tokens are put around the
 * text, and the file's truncation and padding are not applied.
 */
public final class HfTokenizer implements Tokenizer {
  // DJL's own HuggingFaceTokenizer reports each start to a server and computes offsets nobody here
  // reads: this is the layer
  // below it.
  private static TokenizersLibrary library;

  private final Path path;
  private final Map<String, Integer> ids;
  private final int vocabSize;
  private long handle;

  private HfTokenizer(TokenizerFile file) {
    ids = file.ids();
    vocabSize = file.vocabSize();
    path = file.path();
    loadLibrary();
    try {
      handle = library.createTokenizerFromString(file.json());
    } catch (RuntimeException e) {
      throw new InputException(
          path + ": expected a tokenizer.json, but the tokenizers library says: " + reason(e), e);
    }
    library.disableTruncation(handle);
    library.disablePadding(handle);
  }

  /**
   * Loads the library from the folder that {@link NativeLibraries} checks. DJL's own loader takes
   * one that lies in the temporary folder, whoever put it there, and looks for CUDA with a library
   * more.
   */
  private static synchronized void loadLibrary() {
    if (library != null) {
      return;
    }
    String system = System.getProperty("os.name");
    String platform =
        (system.startsWith("Mac") ? "osx" : system.startsWith("Windows") ? "win" : "linux")
            + (System.getProperty("os.arch").equals("amd64")
                ? "-x86_64"
                : "-" + System.getProperty("os.arch"));
    String resources = "native/lib/" + platform + "/cpu/";
    // The first three are what the library needs on Windows.
    List<String> files =
        Stream.of(
                "libwinpthread-1.dll",
                "libgcc_s_seh-1.dll",
                "libstdc++-6.dll",
                System.mapLibraryName("tokenizers"))
            .filter(file -> find(resources + file) != null)
            .toList();
    if (files.isEmpty()) {
      throw new InputException(
          "the tokenizers library has no version for "
              + platform
              + ": only byte-level BPE can be used here");
    }
    NativeLibraries.unpacked(
            platform + "-tokenizers-" + version(),
            () ->
                files.stream()
                    .map(file -> NativeLibraries.Source.of(file, find(resources + file)))
                    .toList())
        .load();
    library = TokenizersLibrary.LIB;
  }

  private static String version() {
    Properties properties = new Properties();
    try (InputStream in = find("native/lib/tokenizers.properties").openStream()) {
      properties.load(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return properties.getProperty("version");
  }

  private static URL find(String resource) {
    return TokenizersLibrary.class.getClassLoader().getResource(resource);
  }

  private static String reason(RuntimeException e) {
    return e.getMessage() == null
        ? "no reason given"
        : e.getMessage().lines().findFirst().orElse("");
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
      encoding = library.encode(tokenizer, Utf8.wellFormed(text), false);
    } catch (RuntimeException e) {
      throw new InputException(
          path + ": the tokenizers library cannot encode a text with it: " + reason(e), e);
    }
    try {
      return Arrays.stream(library.getTokenIds(encoding)).mapToInt(Math::toIntExact).toArray();
    } finally {
      library.deleteEncoding(encoding);
    }
  }

  @Override
  public String decode(int[] ids) {
    return library.decode(handle(), Arrays.stream(ids).asLongStream().toArray(), false);
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
      library.deleteTokenizer(handle);
      handle = 0;
    }
  }
}
