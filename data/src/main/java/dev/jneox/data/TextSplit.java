package dev.jneox.data;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.JsonObject;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.function.LongConsumer;

/**
 * Divides texts into training, validation and test, each a {@code .jsonl} file. About one part in
 * twenty goes to validation and one to the test.
 *
 * <p>Of forty documents or more, every twentieth is held out whole, in turn for validation and
 * test. Of fewer, and where so little or so much text would be held out that the parts would be of
 * no use, the last tenth of each is held out, cut at a line where there is one.
 *
 * @param training file to train on
 * @param validation file that is held out
 * @param test another one
 * @param documents that were read and are not empty
 * @param empty documents that were left out
 * @param skipped what was left out besides
 * @param characters of the training texts
 */
public record TextSplit(
    Path training,
    Path validation,
    Path test,
    long documents,
    long empty,
    Documents.Skipped skipped,
    long characters) {
  /** Fewer documents are not held out whole. */
  private static final int WHOLE = 40;

  /**
   * The parts of the text, in characters, that validation and test may be, where documents are
   * whole.
   */
  private static final double LEAST = 1 / 200.0;

  private static final double MOST = 1 / 8.0;

  /** The shortest text, in characters, of which parts can be held out. */
  private static final int SHORTEST = 10_000;

  /**
   * Reads the texts twice: once to count them.
   *
   * @param inputs files or folders, as {@link Documents#open} reads them
   * @param folder that {@code train.jsonl}, {@code valid.jsonl} and {@code test.jsonl} are written
   *     into; made where it does not exist
   * @param skipBad whether a document that cannot be read is counted and left out; otherwise it is
   *     an error
   * @param progress counts the bytes of the inputs, half of each in either pass
   * @throws InputException when the inputs cannot be read, cannot be read twice, as a FIFO, or have
   *     less than 10,000 characters
   * @throws StorageException when a file cannot be written
   */
  public static TextSplit of(List<Path> inputs, Path folder, boolean skipBad, Progress progress) {
    long documents = 0;
    long empty = 0;
    long characters = 0;
    long valid = 0;
    long tested = 0;
    inputs.forEach(TextSplit::checkKind);
    Documents.Skipped skipped;
    LongConsumer onRead = halves(progress);
    try (Documents counted = Documents.open(inputs, skipBad, onRead)) {
      progress.total(counted.totalBytes());
      for (Iterator<String> texts = counted.texts(); texts.hasNext(); ) {
        int length = texts.next().length();
        characters += length;
        if (length == 0) {
          empty++;
          continue;
        }
        valid += isValidation(documents) ? length : 0;
        tested += isTest(documents) ? length : 0;
        documents++;
      }
      if (characters == 0) {
        throw counted.nothing(empty, 1);
      }
      skipped = counted.skipped();
    }
    if (characters < SHORTEST) {
      throw new InputException(
          String.format(
              Locale.ROOT,
              "%s: expected %,d characters of text or more, found %,d: too little to learn from",
              inputs.getFirst(),
              SHORTEST,
              characters));
    }
    boolean whole =
        documents >= WHOLE
            && Math.min(valid, tested) >= LEAST * characters
            && Math.max(valid, tested) <= MOST * characters;
    Path training = folder.resolve("train.jsonl");
    Path validation = folder.resolve("valid.jsonl");
    Path test = folder.resolve("test.jsonl");
    try {
      Files.createDirectories(folder);
      try (Documents read = Documents.open(inputs, skipBad, onRead);
          Writer trainWriter = new Writer(training);
          Writer validWriter = new Writer(validation);
          Writer testWriter = new Writer(test)) {
        long d = 0;
        for (Iterator<String> texts = read.texts(); texts.hasNext(); ) {
          String text = texts.next();
          if (text.isEmpty()) {
            continue;
          }
          if (whole) {
            (isValidation(d) ? validWriter : isTest(d) ? testWriter : trainWriter).add(text);
          } else {
            int first = cut(text, text.length() - text.length() / 10);
            int second = cut(text, Math.max(first, text.length() - text.length() / 20));
            trainWriter.add(text.substring(0, first));
            validWriter.add(text.substring(first, second));
            testWriter.add(text.substring(second));
          }
          d++;
        }
        return new TextSplit(
            training, validation, test, documents, empty, skipped, trainWriter.characters);
      }
    } catch (IOException e) {
      throw StorageException.of(folder, "cannot be written", e);
    }
  }

  /** Counts half of the bytes of each read, so that two passes count all of them once. */
  private static LongConsumer halves(Progress progress) {
    long[] read = {0};
    return bytes -> {
      long before = read[0] / 2;
      read[0] += bytes;
      progress.step(read[0] / 2 - before);
    };
  }

  private static boolean isValidation(long document) {
    return document % 40 == 19;
  }

  private static boolean isTest(long document) {
    return document % 40 == 39;
  }

  /** Refuses a FIFO: its text is gone after the first reading. */
  private static void checkKind(Path input) {
    try {
      InputFile.check(input);
    } catch (NoSuchFileException e) {
      // Documents says so.
    } catch (IOException e) {
      throw StorageException.of(input, "cannot be read", e);
    }
  }

  /** Moves a place to the begin of the next line, where one is near. */
  private static int cut(String text, int place) {
    int line = text.indexOf('\n', place) + 1;
    if (line > 0 && line - place <= text.length() / 40) {
      return line;
    }
    boolean insidePair =
        place > 0
            && place < text.length()
            && Character.isSurrogatePair(text.charAt(place - 1), text.charAt(place));
    return insidePair ? place + 1 : place;
  }

  private static final class Writer implements AutoCloseable {
    private final JsonGenerator json;
    private long characters;

    Writer(Path file) throws IOException {
      json =
          JsonObject.LINES.createGenerator(new BufferedOutputStream(Files.newOutputStream(file)));
      json.setRootValueSeparator(new SerializedString("\n"));
    }

    void add(String text) throws IOException {
      if (text.isEmpty()) {
        return;
      }
      json.writeStartObject();
      json.writeStringField("text", text);
      json.writeEndObject();
      characters += text.length();
    }

    @Override
    public void close() throws IOException {
      json.writeRaw('\n');
      json.close();
    }
  }
}
