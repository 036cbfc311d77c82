package dev.jneox.convert;

import dev.jneox.format.gguf.GgufModel;
import dev.jneox.format.packed.PackedFolder;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongFunction;

/**
 * What kernels make of a GGUF file, kept in a {@link PackedFolder} beside it, {@code
 * NAME.gguf.jneox}: the same numbers, without bringing them into order each time. It counts for as
 * long as the file's size, its time of last change and its first {@value #HASHED} bytes are those
 * it was made from; it may be deleted at any time.
 */
public final class GgufCache {
  private static final String ENDING = ".jneox";

  /** Metadata and tensor list of most files. */
  private static final int HASHED = 4 << 20;

  private GgufCache() {}

  /** Where that of a file is. */
  public static Path beside(Path gguf) {
    return gguf.resolveSibling(gguf.getFileName() + ENDING);
  }

  /**
   * Opens what is kept of a file; empty where nothing is, or the file has changed since, or is no
   * GGUF file at all.
   */
  public static Optional<StoredModel> open(Path gguf) {
    Path folder = beside(gguf);
    if (!Files.isRegularFile(gguf) || !Files.isDirectory(folder)) {
      return Optional.empty();
    }
    PackedFolder kept;
    try {
      kept = PackedFolder.open(folder);
    } catch (JneoxException e) {
      return Optional.empty(); // of an older version, say: it will be made anew
    }
    if (kept.metadata().entrySet().containsAll(identity(gguf).entrySet())) {
      return Optional.of(kept);
    }
    kept.close();
    return Optional.empty();
  }

  /**
   * Opens what is kept of a file, once it was made if need be.
   *
   * @param progress for so many bytes to be written
   */
  public static StoredModel make(Path gguf, LongFunction<Progress> progress) {
    Optional<StoredModel> kept = open(gguf);
    if (kept.isPresent()) {
      return kept.get();
    }
    try (TargetLock _ = TargetLock.await(beside(gguf), owner -> {});
        StoredModel model = GgufModel.open(gguf)) {
      kept = open(gguf);
      if (kept.isPresent()) {
        return kept.get(); // made by another process in the meantime
      }
      Quantisation quantisation = Quantisation.asLoaded(model).with(identity(gguf));
      quantisation.check(beside(gguf), true);
      try (Progress told = progress.apply(quantisation.bytes())) {
        quantisation.write(beside(gguf), told::step);
      }
    }
    return PackedFolder.open(beside(gguf));
  }

  /** What tells whether a file is still the same. */
  private static Map<String, String> identity(Path gguf) {
    Map<String, String> identity = new LinkedHashMap<>();
    try (InputStream in = Files.newInputStream(gguf)) {
      identity.put("source_bytes", String.valueOf(Files.size(gguf)));
      identity.put("source_modified", Files.getLastModifiedTime(gguf).toInstant().toString());
      byte[] hash = MessageDigest.getInstance("SHA-256").digest(in.readNBytes(HASHED));
      identity.put("source_beginning_sha256", HexFormat.of().formatHex(hash));
    } catch (IOException e) {
      throw StorageException.of(gguf, "cannot be read", e);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e); // every JDK has it
    }
    return identity;
  }
}
