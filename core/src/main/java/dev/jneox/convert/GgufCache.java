package dev.jneox.convert;

import dev.jneox.format.gguf.GgufFile;
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
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongFunction;

/**
 * Keeps the weights of a GGUF file in the order in which kernels read them, in a {@link
 * PackedFolder} {@code NAME.gguf.jneox} beside it. The numbers are the same, and opening need not
 * reorder them. The cache is valid while the size, the modification time and the first {@value
 * #HASHED} bytes of the file are unchanged. It may be deleted at any time.
 */
public final class GgufCache {
  private static final String ENDING = ".jneox";

  /** Bytes at the start of a file that are hashed: metadata and tensor list of most files. */
  private static final int HASHED = 4 << 20;

  private GgufCache() {}

  /** Returns the folder of the cache of a file. */
  public static Path beside(Path gguf) {
    return gguf.resolveSibling(gguf.getFileName() + ENDING);
  }

  /**
   * Opens the cache of a file; empty when there is none, the file has changed, or it is no GGUF
   * file.
   */
  public static Optional<StoredModel> open(Path file) {
    Path gguf = first(file);
    Path folder = beside(gguf);
    if (!Files.isRegularFile(gguf) || !Files.isDirectory(folder)) {
      return Optional.empty();
    }
    PackedFolder kept;
    try {
      kept = PackedFolder.open(folder);
    } catch (JneoxException e) {
      return Optional.empty(); // for example of an older version: it will be written again
    }
    if (kept.metadata().entrySet().containsAll(identity(gguf).entrySet())) {
      return Optional.of(kept);
    }
    kept.close();
    return Optional.empty();
  }

  /**
   * Opens the cache of a file, and writes it first if necessary.
   *
   * @param progress creates a progress for a number of bytes
   */
  public static StoredModel make(Path file, LongFunction<Progress> progress) {
    Path gguf = first(file);
    Optional<StoredModel> kept = open(gguf);
    if (kept.isPresent()) {
      return kept.get();
    }
    try (TargetLock _ = TargetLock.await(beside(gguf), owner -> {});
        StoredModel model = GgufModel.open(gguf)) {
      kept = open(gguf);
      if (kept.isPresent()) {
        return kept.get(); // another process has written it meanwhile
      }
      Quantisation quantisation = Quantisation.asLoaded(model).with(identity(gguf));
      quantisation.check(beside(gguf), true);
      try (Progress told = progress.apply(quantisation.bytes())) {
        quantisation.write(beside(gguf), told::step);
      }
    }
    return PackedFolder.open(beside(gguf));
  }

  /** Returns the first part of a split file, else the file. */
  private static Path first(Path gguf) {
    return Files.isRegularFile(gguf) ? GgufFile.files(gguf).getFirst() : gguf;
  }

  /** Returns the properties that identify an unchanged file. */
  private static Map<String, String> identity(Path gguf) {
    Map<String, String> identity = new LinkedHashMap<>();
    List<Path> parts = GgufFile.files(gguf);
    try (InputStream in = Files.newInputStream(gguf)) {
      for (int i = 0; i < parts.size() && parts.size() > 1; i++) {
        identity.put("source_bytes_" + i, String.valueOf(Files.size(parts.get(i))));
        identity.put(
            "source_modified_" + i, Files.getLastModifiedTime(parts.get(i)).toInstant().toString());
      }
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
