package dev.jneox.tokenizer;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import ai.djl.util.Platform;
import dev.jneox.io.InputException;
import dev.jneox.io.NativeLibraries;
import java.net.URL;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Stream;

/**
 * The Hugging Face {@code tokenizers} library (Rust) on a {@code tokenizer.json}: knows every kind of tokenizer, and is the
 * reference for {@link ByteLevelBpe}. No special tokens are put around the text, and the file's truncation and padding are not
 * applied.
 */
public final class HfTokenizer implements Tokenizer {
  // DJL's own HuggingFaceTokenizer reports each start to a server and computes offsets nobody here reads: this is the layer
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
      throw new InputException(path + ": expected a tokenizer.json, but the tokenizers library says: " + reason(e), e);
    }
    library.disableTruncation(handle);
    library.disablePadding(handle);
  }

  /** Loads the library from a folder of ours: DJL would take one that lies in the temporary folder, whoever put it there. */
  private static synchronized void loadLibrary() {
    if (library != null) {
      return;
    }
    String file = System.mapLibraryName("tokenizers");
    Platform platform = Platform.detectPlatform("tokenizers");
    String resources = "native/lib/" + platform.getClassifier() + "/cpu/";
    // On Windows it needs three more.
    List<String> files = Stream.of("libwinpthread-1.dll", "libgcc_s_seh-1.dll", "libstdc++-6.dll", file).filter(name -> find(resources + name) != null).toList();
    if (!files.contains(file)) {
      throw new InputException("the tokenizers library has no version for " + platform.getClassifier() + ": byte-level BPE needs none");
    }
    NativeLibraries libraries =
        NativeLibraries.unpacked(
            "%s-tokenizers-%s".formatted(platform.getClassifier(), platform.getVersion()),
            () -> files.stream().map(name -> NativeLibraries.Source.of(name, find(resources + name))).toList());
    libraries.load();
    System.setProperty("RUST_LIBRARY_PATH", libraries.folder().resolve(file).toString());
    System.setProperty("ai.djl.offline", "true");
    LibUtils.checkStatus();
    library = TokenizersLibrary.LIB;
  }

  private static URL find(String resource) {
    return TokenizersLibrary.class.getClassLoader().getResource(resource);
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
      encoding = library.encode(tokenizer, Utf8.wellFormed(text), false);
    } catch (RuntimeException e) {
      throw new InputException(path + ": the tokenizers library cannot encode a text with it: " + reason(e), e);
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
