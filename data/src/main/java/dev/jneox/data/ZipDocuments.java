package dev.jneox.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.function.LongConsumer;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * Reads an archive whose text members are one document each, in the order of the archive. Members
 * that are not UTF-8 or hold a zero byte are not text. {@code META-INF} describes the archive and
 * is left out.
 */
final class ZipDocuments extends DocumentFile {
  private final Path file;
  private final ZipFile zip;
  private final Iterator<? extends ZipEntry> entries;
  private final int limit;
  private final LongConsumer onRead;
  private long left;
  private long binary;

  ZipDocuments(Path file, int limit, LongConsumer onRead) throws IOException {
    this.file = file;
    this.zip = new ZipFile(file.toFile());
    this.entries = zip.entries().asIterator();
    this.limit = limit;
    this.onRead = onRead;
    this.left = Files.size(file);
  }

  @Override
  @Nullable RawDocument next() throws IOException {
    while (entries.hasNext()) {
      ZipEntry entry = entries.next();
      read(Math.max(0, entry.getCompressedSize()));
      if (entry.isDirectory() || entry.getName().startsWith("META-INF/")) {
        continue;
      }
      byte[] bytes = content(entry);
      if (isText(bytes)) {
        return new RawDocument(file, entry.getName(), bytes, false);
      }
      binary++;
    }
    read(left);
    return null;
  }

  /**
   * Reports bytes as read. The bytes of the archive's own headers are reported with the last call,
   * so that the sum is the size of the file.
   */
  private void read(long bytes) {
    long told = Math.min(bytes, left);
    left -= told;
    onRead.accept(told);
  }

  private byte[] content(ZipEntry entry) throws IOException {
    try (InputStream in = zip.getInputStream(entry)) {
      byte[] bytes = in.readNBytes(limit);
      if (in.read() >= 0) {
        throw tooLong(file, entry.getName(), limit);
      }
      return bytes;
    } catch (IOException e) {
      throw new IOException("member " + entry.getName() + ": " + e.getMessage(), e);
    }
  }

  private static boolean isText(byte[] bytes) {
    for (byte b : bytes) {
      if (b == 0) {
        return false;
      }
    }
    try {
      StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
      return true;
    } catch (CharacterCodingException e) {
      return false;
    }
  }

  @Override
  long binary() {
    return binary;
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }
}
