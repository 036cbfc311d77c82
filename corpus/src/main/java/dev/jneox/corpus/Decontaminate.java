package dev.jneox.corpus;

import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Removes documents that share an n-gram of words with a text of an evaluation. Words are those of
 * {@link Shingles}: case, accents, punctuation and the values of numbers do not count.
 */
final class Decontaminate implements TextStep {
  private final List<String> against;
  private final int ngram;
  private long[] hashes = {};

  private Decontaminate(List<String> against, int ngram) {
    this.against = against;
    this.ngram = ngram;
  }

  static Step of(Settings options) {
    List<String> against =
        options.texts("against", List.of()).stream()
            .map(path -> Settings.resolved(options.folder(), path))
            .toList();
    if (against.isEmpty()) {
      throw options.wrong("against", "files with the texts of evaluations", null);
    }
    return new Decontaminate(against, options.integer("ngram", 13, 1, 1000));
  }

  @Override
  public String name() {
    return "decontaminate";
  }

  @Override
  public String describe() {
    return "removes documents with a %d-gram of %s".formatted(ngram, String.join(", ", against));
  }

  @Override
  public void prepare() {
    LongStream.Builder all = LongStream.builder();
    for (String path : against) {
      Path file = Path.of(path);
      Format format =
          Format.of(file)
              .orElseThrow(
                  () ->
                      new InputException(
                          file + ": expected a name whose ending says its format, found another"));
      Shingles shingles = new Shingles(ngram);
      try (RecordReader records = format.open(new Part(0, 0, path, format, 0, Files.size(file)))) {
        for (RecordReader.Raw raw = records.next(); raw != null; raw = records.next()) {
          if (raw.malformed()) {
            throw new InputException(file + ": record " + raw.line() + ": " + raw.text());
          }
          int n = shingles.read(raw.text());
          for (int i = 0; i < n; i++) {
            all.add(shingles.hashes()[i]);
          }
        }
      } catch (IOException e) {
        throw StorageException.of(file, "cannot be read", e);
      }
    }
    hashes = all.build().sorted().distinct().toArray();
  }

  @Override
  public @Nullable String apply(Page page) {
    Shingles shingles = new Shingles(ngram);
    int n = shingles.read(page.text());
    for (int i = 0; i < n; i++) {
      if (Arrays.binarySearch(hashes, shingles.hashes()[i]) >= 0) {
        return "has an n-gram of an evaluation";
      }
    }
    return null;
  }
}
