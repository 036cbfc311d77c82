package dev.jneox.corpus;

import dev.jneox.data.Documents;
import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads the text members of an archive, a document each. */
final class ArchiveRecords implements RecordReader {
  private final Documents documents;
  private long line;

  ArchiveRecords(Path file) {
    documents = Documents.open(List.of(file), false, bytes -> {});
  }

  @Override
  public @Nullable Raw next() {
    try {
      if (!documents.hasNext()) {
        return null;
      }
      return new Raw(++line, documents.next().text(), "", false);
    } catch (InputException e) { // of this document; the next one may be sound
      return Raw.malformed(
          ++line,
          e.place().orElse("content")
              + ": expected "
              + e.expected().orElse("text")
              + ", found "
              + e.found().orElse("other"));
    }
  }

  @Override
  public long lines() {
    return line;
  }

  @Override
  public void close() {
    documents.close();
  }
}
