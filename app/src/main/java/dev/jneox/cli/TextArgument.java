package dev.jneox.cli;

import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Texts and token ids as they are given on the command line. */
final class TextArgument {
  private TextArgument() {}

  /** The text of an option, {@code -} being all of standard input in UTF-8. */
  static String text(String option, String value) {
    if (value.equals("-")) {
      return standardInput();
    }
    // Java reads arguments in the locale's encoding, and in the C locale that is ASCII: all else is
    // lost before we see it.
    String encoding = System.getProperty("sun.jnu.encoding", "UTF-8");
    if (value.indexOf('\uFFFD') >= 0 && !encoding.equals("UTF-8")) {
      throw new InputException(
          option
              + ": the locale's encoding, "
              + encoding
              + ", lost a part of the text: set LC_ALL=C.UTF-8, or give it with \""
              + option
              + " -\" on standard input");
    }
    return value;
  }

  /** The text of a file in UTF-8. */
  static String file(String option, Path file) {
    if (!Files.isRegularFile(file)) {
      String name = file.toString();
      throw new InputException(
          option
              + ": expected a file, found "
              + (Files.isDirectory(file)
                  ? "the folder "
                  : Files.exists(file) ? "a pipe or device: " : "none of the name ")
              + (name.length() > 80 ? name.substring(0, 80) + "..." : name));
    }
    try {
      return InputFile.text(file, InputFile.MAX_TEXT);
    } catch (IOException e) {
      throw StorageException.ofText(file, e);
    }
  }

  private static String standardInput() {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(System.in.readAllBytes()))
          .toString();
    } catch (CharacterCodingException e) {
      throw new InputException("standard input: expected UTF-8, found other bytes", e);
    } catch (IOException e) {
      throw StorageException.ofStream("standard input", "cannot be read", e);
    }
  }

  /** Ids between blanks or commas, as {@code "1 2 3"} or {@code "[1, 2, 3]"}. */
  record Ids(int[] ids) {
    static final class Parser implements ITypeConverter<Ids> {
      @Override
      public Ids convert(String value) {
        String list = value.strip().replaceAll("^\\[(.*)]$", "$1").strip();
        return new Ids(
            list.isEmpty()
                ? new int[0]
                : Arrays.stream(list.split("\\s*,\\s*|\\s+", -1)).mapToInt(Parser::id).toArray());
      }

      private static int id(String id) {
        try {
          return Integer.parseInt(id);
        } catch (NumberFormatException e) {
          throw new TypeConversionException(
              "expected token ids such as \"1 2 3\", found \"" + id + "\"");
        }
      }
    }
  }
}
