package dev.jneox.data;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Writes a little-endian file through a buffer; it appears under its name whole or not at all. */
final class GrowingFile implements AutoCloseable {
  private final Path path;
  private final AtomicFile file;
  private final FileChannel channel;
  private final ByteBuffer buffer = buffer(1 << 18);

  GrowingFile(Path path) {
    this.path = path;
    this.file = new AtomicFile(path);
    try {
      this.channel =
          FileChannel.open(
              file.path(),
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw failure(e);
    }
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Returns the final name. */
  Path path() {
    return path;
  }

  /** Returns the buffer, with room for the next {@code bytes} bytes of the file. */
  ByteBuffer room(int bytes) {
    if (buffer.remaining() < bytes) {
      flush();
    }
    return buffer;
  }

  private void flush() {
    try {
      buffer.flip();
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
      buffer.clear();
    } catch (IOException e) {
      throw failure(e);
    }
  }

  /** Reads bytes that were written earlier. */
  ByteBuffer read(long position, int bytes) {
    flush();
    ByteBuffer target = buffer(bytes);
    try {
      while (target.hasRemaining()) {
        if (channel.read(target, position + target.position()) < 0) {
          throw new IOException("it was cut while being written");
        }
      }
    } catch (IOException e) {
      throw failure(e);
    }
    return target.flip();
  }

  /** Replaces bytes that were written earlier. */
  void overwrite(long position, ByteBuffer bytes) {
    flush();
    try {
      while (bytes.hasRemaining()) {
        channel.write(bytes, position + bytes.position());
      }
    } catch (IOException e) {
      throw failure(e);
    }
  }

  /** Forces the file to disk under its final name. */
  void commit() {
    flush();
    try {
      channel.close();
    } catch (IOException e) {
      throw failure(e);
    }
    file.commit();
  }

  /** Deletes the committed file. */
  void remove() {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      throw failure(e);
    }
  }

  StorageException failure(IOException e) {
    return StorageException.of(path, "cannot be written", e);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw failure(e);
    } finally {
      file.close();
    }
  }
}
