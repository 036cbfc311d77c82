package dev.jneox.cli;

import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 in hexadecimal, as {@code sha256sum} prints it. */
final class Sha256 {
  private static final int CHUNK = 1 << 20;

  private Sha256() {}

  static String of(MemorySegment data, Progress progress) {
    MessageDigest digest = digest("SHA-256");
    for (long at = 0; at < data.byteSize(); at += CHUNK) {
      MemorySegment chunk = data.asSlice(at, Math.min(CHUNK, data.byteSize() - at));
      digest.update(chunk.asByteBuffer());
      progress.step(chunk.byteSize());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  static String of(Path file, Progress progress) {
    return of(file, digest("SHA-256"), progress);
  }

  /**
   * The name git gives a file: SHA-1 of {@code blob}, its size, a zero and its bytes; hubs tell it
   * for small files.
   */
  static String gitBlob(Path file, Progress progress) {
    MessageDigest digest = digest("SHA-1");
    try {
      digest.update(
          ("blob " + Files.size(file) + "\0").getBytes(java.nio.charset.StandardCharsets.US_ASCII));
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
