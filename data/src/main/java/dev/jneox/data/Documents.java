package dev.jneox.data;

import dev.jneox.io.Counted;
import dev.jneox.io.FolderFiles;
import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Reads the documents of a corpus one at a time, in a fixed order; memory does not grow with the
 * input. An input is a file or a folder (its readable files, deep, links followed, in the order of
 * their paths):
 *
 * <ul>
 *   <li>{@code .jsonl}, {@code .json}, also with the suffix {@code .zst} or {@code .gz}: a JSON
 *       object per line, with {@code text} (a string, or strings that {@code "\n\n"} joins) and
 *       maybe {@code meta.pile_set_name}, as in the Pile;
 *   <li>{@code .txt}, {@code .md}: one document;
 *   <li>{@code .zip}, {@code .jar}: a document per text member.
 * </ul>
 *
 * One thread reads; {@link #parse} may run in many.
 */
public final class Documents implements Iterator<Document>, AutoCloseable {
  /**
   * Counts what was skipped.
   *
   * @param bad documents that could not be read, with {@code skipBad}
   * @param binary members of archives that are not text
   * @param other files in folders of a kind that is not read
   */
  public record Skipped(long bad, long binary, long other) {
    /**
     * Says in one line what was not taken; empty where all was.
     *
     * @param shorter documents that were left out because they are empty or too short
     */
    public Optional<String> leftOut(long shorter) {
      String left =
          Stream.of(
                  text(shorter, "empty or short document", ""),
                  text(bad, "bad document", ""),
                  text(binary, "binary member", " of archives"),
                  text(other, "file", " of another kind"))
              .flatMap(Optional::stream)
              .collect(Collectors.joining(", "));
      return left.isEmpty() ? Optional.empty() : Optional.of("left out: " + left);
    }

    private static Optional<String> text(long n, String noun, String more) {
      return n == 0 ? Optional.empty() : Optional.of(Counted.text(n, noun) + more);
    }
  }

  private final List<Path> inputs;
  private final List<Path> files;
  private final boolean skipBad;
  private final LongConsumer onRead;
  private final int limit;
  private final long totalBytes;
  private final AtomicLong bad = new AtomicLong();
  private long binary;
  private long other;
  private int nextFile;
  private @Nullable DocumentFile open;
  private @Nullable Document ahead;

  /**
   * Lists the files without reading them.
   *
   * @param skipBad whether a document that cannot be read is counted and skipped; otherwise it is
   *     an error
   * @param onRead called after each read with the number of bytes, compressed as they are on disk
   * @throws InputException if an input does not exist, is of another kind, or a folder has nothing
   *     to read
   */
  public static Documents open(List<Path> inputs, boolean skipBad, LongConsumer onRead) {
    return new Documents(
        inputs,
        skipBad,
        onRead,
        (int) Math.min(256_000_000, Runtime.getRuntime().maxMemory() / 16));
  }

  Documents(List<Path> inputs, boolean skipBad, LongConsumer onRead, int limit) {
    this.inputs = List.copyOf(inputs);
    this.skipBad = skipBad;
    this.onRead = onRead;
    this.limit = limit;
    this.files = new ArrayList<>();
    long bytes = 0;
    for (Path input : inputs) {
      addFiles(input);
    }
    for (Path file : files) {
      try {
        bytes += Files.size(file);
      } catch (IOException e) {
        throw DocumentFile.unreadable(file, e);
      }
    }
    this.totalBytes = bytes;
  }

  private void addFiles(Path input) {
    if (!Files.isDirectory(input)) {
      if (!Files.exists(input)) {
        throw new InputException(input + ": no such file or folder");
      }
      if (!DocumentFile.readable(input)) {
        throw InputException.in(
            input, "name", "one that ends in " + DocumentFile.KINDS, "another kind of file");
      }
      files.add(input);
      return;
    }
    int before = files.size();
    for (Path file : FolderFiles.deep(input)) {
      if (DocumentFile.readable(file)) {
        files.add(file);
      } else {
        other++;
      }
    }
    if (files.size() == before) {
      throw InputException.in(
          input,
          "folder",
          "files that end in " + DocumentFile.KINDS,
          other == 0 ? "no file" : Counted.text(other, "other file"));
    }
  }

  /** Returns the bytes of all files on disk. */
  public long totalBytes() {
    return totalBytes;
  }

  /** Returns the numbers of documents and files skipped so far. */
  public Skipped skipped() {
    return new Skipped(bad.get(), binary + (open == null ? 0 : open.binary()), other);
  }

  /** Iterates over the texts of the remaining documents. */
  public Iterator<String> texts() {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return Documents.this.hasNext();
      }

      @Override
      public String next() {
        return Documents.this.next().text();
      }
    };
  }

  /**
   * Creates the error for a corpus without documents, after it was read.
   *
   * @param shorter documents that were skipped because they are shorter than {@code minChars}
   * @param minChars the shortest document that is kept
   */
  public InputException nothing(long shorter, int minChars) {
    Skipped skipped = skipped();
    String length = minChars == 1 ? "empty" : "shorter than " + minChars + " characters";
    String members =
        skipped.binary == 0
            ? ""
            : "; " + Counted.text(skipped.binary, "binary member") + " of archives";
    String others =
        skipped.other == 0 ? "" : "; " + Counted.text(skipped.other, "file") + " of another kind";
    return new InputException(
        String.format(
            Locale.ROOT,
            "%s%s: expected text, found none: %s, %s, %,d skipped as bad, %,d %s%s%s",
            inputs.getFirst(),
            inputs.size() == 1 ? "" : " and " + (inputs.size() - 1) + " more",
            Counted.text(files.size(), "file"),
            Counted.text(shorter + skipped.bad, "document"),
            skipped.bad,
            shorter,
            length,
            members,
            others));
  }

  /** Returns the next document, undecoded; null at the end. */
  @Nullable RawDocument nextRaw() {
    while (open != null || nextFile < files.size()) {
      Path file = open == null ? files.get(nextFile) : files.get(nextFile - 1);
      try {
        if (open == null) {
          nextFile++;
          open = DocumentFile.open(file, limit, onRead);
        }
        RawDocument document = open.next();
        if (document != null) {
          return document;
        }
        binary += open.binary();
        open.close();
        open = null;
      } catch (IOException e) {
        throw DocumentFile.unreadable(file, e);
      }
    }
    return null;
  }

  /**
   * Decodes a document; safe for many threads.
   *
   * @return null for a bad document that is skipped
   * @throws InputException for a bad document otherwise
   */
  @Nullable Document parse(RawDocument raw) {
    try {
      return raw.parse();
    } catch (InputException e) {
      if (!skipBad) {
        throw e;
      }
      bad.incrementAndGet();
      return null;
    }
  }

  @Override
  public boolean hasNext() {
    while (ahead == null) {
      RawDocument raw = nextRaw();
      if (raw == null) {
        return false;
      }
      ahead = parse(raw);
    }
    return true;
  }

  @Override
  public Document next() {
    Document document = hasNext() ? ahead : null;
    if (document == null) {
      throw new NoSuchElementException();
    }
    ahead = null;
    return document;
  }

  @Override
  public void close() {
    if (open != null) {
      try {
        open.close();
      } catch (IOException e) {
        throw DocumentFile.unreadable(files.get(nextFile - 1), e);
      }
    }
  }
}
