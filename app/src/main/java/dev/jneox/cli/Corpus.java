package dev.jneox.cli;

import dev.jneox.data.Documents;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** Looks into a corpus before anything is made of it. */
final class Corpus {
  private Corpus() {}

  /**
   * Requires one document that is long enough: reads up to the first, so nearly nothing of most corpora.
   *
   * @param skipBad whether documents that cannot be read are passed over
   * @param minChars shortest document that is kept
   * @throws InputException when there is none, with what was read and why nothing of it is left
   */
  static void requireText(List<Path> inputs, boolean skipBad, int minChars) {
    if (!inputs.stream().allMatch(input -> Files.isRegularFile(input) || Files.isDirectory(input))) {
      return; // a pipe can be read only once, and Documents reports inputs that do not exist
    }
    try (Documents documents = Documents.open(inputs, skipBad, bytes -> {})) {
      long shorter = 0;
      for (; documents.hasNext(); shorter++) {
        if (documents.next().text().length() >= minChars) {
          return;
        }
      }
      Documents.Skipped skipped = documents.skipped();
      String length = minChars == 1 ? "empty" : "shorter than " + minChars + " characters";
      throw new InputException(
          String.format(
              Locale.ROOT, "%s: expected text, found none: %,d files, %,d documents, %,d skipped as bad, %,d %s%s%s", names(inputs),
              files(inputs) - skipped.other(), shorter + skipped.bad(), skipped.bad(), shorter, length,
              skipped.binary() == 0 ? "" : String.format(Locale.ROOT, "; %,d members of archives are no text", skipped.binary()),
              skipped.other() == 0 ? "" : String.format(Locale.ROOT, "; %,d files are of another kind", skipped.other())));
    }
  }

  private static String names(List<Path> inputs) {
    return inputs.getFirst() + (inputs.size() == 1 ? "" : " and " + (inputs.size() - 1) + " more");
  }

  private static long files(List<Path> inputs) {
    long files = 0;
    for (Path input : inputs) {
      try (Stream<Path> walk = Files.walk(input)) {
        files += walk.filter(Files::isRegularFile).count();
      } catch (IOException e) {
        throw new InputException(input + ": cannot be read: " + AtomicFile.reason(e), e);
      }
    }
    return files;
  }
}
