package dev.jneox.io;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Computes hashes of files and memory, in hexadecimal as {@code sha256sum} prints them. */
public final class Sha256 {
  private static final int CHUNK = 1 << 20;

  private Sha256() {}

  /**
   * Computes the SHA-256 of memory.
   *
   * @param progress is told the bytes that are read
   */
  public static String of(MemorySegment data, Progress progress) {
    MessageDigest digest = digest("SHA-256");
    for (long at = 0; at < data.byteSize(); at += CHUNK) {
      MemorySegment chunk = data.asSlice(at, Math.min(CHUNK, data.byteSize() - at));
      digest.update(chunk.asByteBuffer());
      progress.step(chunk.byteSize());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /**
   * Computes the SHA-256 of a file.
   *
   * @param progress is told the bytes that are read
   * @throws StorageException when the file cannot be read
   */
  public static String of(Path file, Progress progress) {
    return of(file, digest("SHA-256"), progress);
  }

  /**
   * Computes git's name of a file, by which hubs know small files: the SHA-1 of {@code "blob " +
   * size + "\0"} and the bytes.
   *
   * @throws StorageException when the file cannot be read
   */
  public static String gitBlob(Path file, Progress progress) {
    MessageDigest digest = digest("SHA-1");
    try {
      digest.update(("blob " + Files.size(file) + "\0").getBytes(StandardCharsets.US_ASCII));
    } catch (IOException e) {
      throw unreadable(file, e);
    }
    return of(file, digest, progress);
  }

  private static String of(Path file, MessageDigest digest, Progress progress) {
    ByteBuffer buffer = ByteBuffer.allocate(CHUNK);
    try (FileChannel channel = FileChannel.open(file)) {
      while (channel.read(buffer.clear()) >= 0) {
        progress.step(buffer.flip().limit());
        digest.update(buffer);
      }
    } catch (IOException e) {
      throw unreadable(file, e);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static StorageException unreadable(Path file, IOException e) {
    return StorageException.of(file, "cannot be read", e);
  }

  private static MessageDigest digest(String algorithm) {
    try {
      return MessageDigest.getInstance(algorithm);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has both
    }
  }
}
