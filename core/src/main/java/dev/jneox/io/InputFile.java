package dev.jneox.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * Reads whole files of bounded size. A file from elsewhere may be sparse and of any size, or a FIFO
 * that nobody writes to: the first would fill the memory, the second would be opened without end.
 */
public final class InputFile {
  /** The largest {@code tokenizer.json} that is read; the largest known ones have 35 MB. */
  public static final long MAX_TOKENIZER = 256 << 20;

  /** The largest text that is read whole. */
  public static final long MAX_TEXT = 1L << 30;

  private InputFile() {}

  /**
   * Checks that a file is no FIFO, socket or device, before it is opened.
   *
   * @throws InputException when it is one
   * @throws IOException when there is no such file
   */
  public static BasicFileAttributes check(Path file) throws IOException {
    BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
    if (attributes.isOther()) {
      throw InputException.in(file, "kind", "a regular file", "a FIFO, socket or device");
    }
    return attributes;
  }

  /**
   * Reads a regular file of at most {@code maxBytes} bytes.
   *
   * @throws InputException when it is larger, or no regular file
   * @throws IOException when it cannot be read
   */
  public static byte[] bytes(Path file, long maxBytes) throws IOException {
    BasicFileAttributes attributes = check(file);
    if (attributes.size() > maxBytes) {
      throw tooLarge(file, maxBytes, attributes.size() + " bytes");
    }
    return upTo(file, maxBytes);
  }

  /**
   * Reads a regular file of UTF-8 text, of at most {@code maxBytes} bytes.
   *
   * @throws InputException when it is larger, or no regular file
   * @throws CharacterCodingException when it is not UTF-8
   * @throws IOException when it cannot be read
   */
  public static String text(Path file, long maxBytes) throws IOException {
    return text(file, maxBytes, StandardCharsets.UTF_8);
  }

  /** Does the same in another character set. */
  public static String text(Path file, long maxBytes, Charset charset) throws IOException {
    return decoded(bytes(file, maxBytes), charset);
  }

  /**
   * Reads text in UTF-8 that the user named, of at most {@code maxBytes} bytes. It may come from a
   * FIFO, as a shell makes one for {@code <(command)}.
   */
  public static String stream(Path file, long maxBytes) throws IOException {
    return decoded(upTo(file, maxBytes), StandardCharsets.UTF_8);
  }

  private static String decoded(byte[] bytes, Charset charset) throws CharacterCodingException {
    return charset.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
  }

  /** Does not trust the size: a file may grow, and those of a system such as /proc have none. */
  private static byte[] upTo(Path file, long maxBytes) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(Math.toIntExact(maxBytes) + 1);
      if (bytes.length > maxBytes) {
        throw tooLarge(file, maxBytes, "more");
      }
      return bytes;
    }
  }

  private static InputException tooLarge(Path file, long maxBytes, String found) {
    return InputException.in(file, "size", "at most " + maxBytes + " bytes", found);
  }

  /**
   * Makes a path of a text that {@code file} has at {@code place}.
   *
   * @throws InputException when it is no path, such as one with a NUL
   */
  public static Path path(Path file, String place, String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw InputException.in(file, place, "a path", JsonObject.quoted(text));
    }
  }
}
