package dev.jneox.corpus;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/** Lists the formats of sources. */
public enum Format {
  /** A JSON object per line, with {@code text} and maybe {@code meta}; also .zst and .gz. */
  JSONL("\\.jsonl?(\\.zst|\\.gz)?"),
  /** A file is one document. */
  TEXT("\\.(txt|md)"),
  /** A document per text member of a ZIP or JAR. */
  ARCHIVE("\\.(zip|jar)"),
  /** A row is a document: column {@code text}; the other columns are its meta. */
  PARQUET("\\.parquet"),
  /** WARC: the main text of HTML responses; WET: the extracted texts. */
  WARC("\\.(warc|wet)(\\.gz)?"),
  /** A mail is a document. */
  MBOX("\\.mbox(\\.gz|\\.zst)?"),
  /** A dump of MediaWiki's pages, as XML. No ending names it. */
  MEDIAWIKI(""),
  /** {@code Posts.xml} of a StackExchange dump. No ending names it. */
  STACKEXCHANGE("");

  private final Pattern ending;

  Format(String ending) {
    this.ending = Pattern.compile(ending.isEmpty() ? "(?!)" : ".*" + ending);
  }

  /** Returns the names that a pipeline file uses. */
  static List<String> names() {
    return Arrays.stream(values()).map(Format::toString).toList();
  }

  static Format named(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  /** Returns the format that the ending of a file's name says. */
  static Optional<Format> of(Path file) {
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    return Arrays.stream(values())
        .filter(format -> format.ending.matcher(name).matches())
        .findFirst();
  }

  /** Returns whether a file can be read in pieces: plain lines. */
  boolean isDivisible(Path file) {
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    return this == JSONL && !name.endsWith(".zst") && !name.endsWith(".gz");
  }

  /** Opens a part of a file whose texts are under the key {@code text}. */
  RecordReader open(Part part) throws IOException {
    return open(part, Source.TEXT);
  }

  /**
   * Opens a part of a file.
   *
   * @param textField the key or column of the text, for formats that name it
   */
  RecordReader open(Part part, String textField) throws IOException {
    Path file = Path.of(part.path());
    return switch (this) {
      case JSONL -> new JsonLinesRecords(file, part.from(), part.to(), textField);
      case TEXT -> new TextRecords(file);
      case ARCHIVE -> new ArchiveRecords(file);
      case PARQUET -> new ParquetRecords(file, textField);
      case WARC -> new WarcRecords(file);
      case MBOX -> new MboxRecords(file);
      case MEDIAWIKI -> new MediaWikiRecords(file);
      case STACKEXCHANGE -> new StackExchangeRecords(file);
    };
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
