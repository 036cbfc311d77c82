package dev.jneox.corpus;

import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Counts words and phrases of a list in each document; removes none. The list is a text file: one
 * word or phrase a line, lines that begin with {@code #} are comments. Words are those of {@link
 * Shingles}: case, accents and punctuation do not count, and a word is found whole alone.
 */
final class Toxicity implements TextStep {
  /** What is counted, for the datasheet. */
  static final String KIND = "toxicity";

  private static final int LARGEST = 64 << 20;

  private final String words;
  private final TreeMap<Integer, long[]> hashes = new TreeMap<>(); // of phrases by their length

  private Toxicity(String words) {
    this.words = words;
  }

  static Step of(Settings options) {
    return new Toxicity(
        Settings.resolved(
            options.folder(),
            options
                .text("words")
                .orElseThrow(
                    () ->
                        options.wrong(
                            "words", "a file with a word or phrase on each line", null))));
  }

  @Override
  public String name() {
    return "toxicity";
  }

  @Override
  public String describe() {
    return "counts the words and phrases of " + words;
  }

  @Override
  public void prepare() {
    Path file = Path.of(words);
    TreeMap<Integer, LongStream.Builder> found = new TreeMap<>();
    try {
      for (String line : InputFile.text(file, LARGEST).lines().toList()) {
        if (line.startsWith("#")) {
          continue;
        }
        int n = new Shingles(1).read(line);
        if (n > 0) {
          Shingles phrase = new Shingles(n);
          phrase.read(line);
          found.computeIfAbsent(n, length -> LongStream.builder()).add(phrase.hashes()[0]);
        }
      }
    } catch (IOException e) {
      throw StorageException.ofText(file, e);
    }
    if (found.isEmpty()) {
      throw new InputException(file + ": expected a word or phrase on each line, found none");
    }
    found.forEach((n, all) -> hashes.put(n, all.build().sorted().distinct().toArray()));
  }

  @Override
  public @Nullable String apply(Page page) {
    int found = 0;
    for (var length : hashes.entrySet()) {
      Shingles shingles = new Shingles(length.getKey());
      int n = shingles.read(page.text());
      for (int i = 0; i < n; i++) {
        found += Arrays.binarySearch(length.getValue(), shingles.hashes()[i]) >= 0 ? 1 : 0;
      }
    }
    page.count(KIND, found);
    return null;
  }
}
