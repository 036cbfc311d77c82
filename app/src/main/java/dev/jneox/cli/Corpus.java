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
      String binary = skipped.binary() == 0 ? "" : "; " + count(skipped.binary(), "binary member") + " of archives";
      String other = skipped.other() == 0 ? "" : "; " + count(skipped.other(), "file") + " of another kind";
      throw new InputException(
          String.format(
              Locale.ROOT, "%s: expected text, found none: %s, %s, %,d skipped as bad, %,d %s%s%s", names(inputs),
              count(files(inputs) - skipped.other(), "file"), count(shorter + skipped.bad(), "document"), skipped.bad(), shorter,
              length, binary, other));
    }
  }

  private static String count(long n, String noun) {
    return String.format(Locale.ROOT, "%,d %s%s", n, noun, n == 1 ? "" : "s");
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
