package dev.jneox.corpus;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;

/** Lists how the text of a package's file is found: the key {@code as} of a pipeline's packages. */
enum Extraction {
  /** The file is one document as it is: text, code, reStructuredText, POD. */
  TEXT,
  /** A manual page: {@link ManPage}. */
  MAN,
  /** A page of a handbook in HTML: {@link MarkupText}. */
  HTML,
  /** A page of a handbook in XML, of DocBook or Mallard: {@link MarkupText}. */
  XML,
  /** A dictionary of the DICT server: {@link DictText}. */
  DICT,
  /** A data file of WordNet: {@link WordNetGlosses}. */
  WORDNET,
  /** Quotations with {@code %} between them: {@link FortuneText}. */
  FORTUNES,
  /** An entry on each line: {@link LinesText}. */
  LINES,
  /** A long record with empty lines between its paragraphs: {@link ParagraphsText}. */
  PARAGRAPHS,
  /** Verse as JSON: {@link JsonPoems}. */
  POEMS;

  /** Returns the names that a pipeline file uses. */
  static List<String> names() {
    return Arrays.stream(values()).map(Extraction::toString).toList();
  }

  static Extraction named(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  /**
   * Gives the documents of a file to {@code documents}.
   *
   * @return whether the file was one of this kind; the text of others is not used
   */
  boolean read(byte[] bytes, Consumer<String> documents) {
    String text;
    try {
      text = decoded(bytes);
    } catch (CharacterCodingException e) {
      return false;
    }
    boolean[] any = new boolean[1];
    Consumer<String> filled =
        document -> {
          if (!document.isBlank()) {
            any[0] = true;
            documents.accept(document);
          }
        };
    switch (this) {
      case TEXT -> filled.accept(text);
      case MAN -> ManPage.text(text).ifPresent(filled);
      case HTML -> filled.accept(MarkupText.ofHtml(text));
      case XML -> filled.accept(MarkupText.ofXml(text));
      case DICT -> DictText.read(text, filled);
      case WORDNET -> WordNetGlosses.read(text, filled);
      case FORTUNES -> FortuneText.read(text, filled);
      case LINES -> LinesText.read(text, filled);
      case PARAGRAPHS -> ParagraphsText.read(text, filled);
      case POEMS -> {
        try {
          JsonPoems.read(text, filled);
        } catch (JsonProcessingException e) {
          return false;
        }
      }
    }
    return any[0];
  }

  /**
   * Decodes UTF-8, else ISO 8859-1, in which old packages are written. A text of UTF-8 with a wrong
   * byte in 1,000 or fewer, as old collections have, stays UTF-8 with U+FFFD in their place.
   *
   * @throws CharacterCodingException when the bytes are text in neither encoding
   */
  private static String decoded(byte[] bytes) throws CharacterCodingException {
    String text;
    try {
      text = decoded(bytes, StandardCharsets.UTF_8);
    } catch (CharacterCodingException e) {
      text = new String(bytes, StandardCharsets.UTF_8);
      long wrong = text.chars().filter(c -> c == '\uFFFD').count();
      if (wrong > bytes.length / 1000) {
        text = decoded(bytes, StandardCharsets.ISO_8859_1);
        if (text.chars().anyMatch(c -> c >= 0x80 && c < 0xA0)) {
          throw e;
        }
      }
    }
    if (text.indexOf('\0') >= 0) {
      throw new CharacterCodingException();
    }
    return text.startsWith("\uFEFF") ? text.substring(1) : text;
  }

  private static String decoded(byte[] bytes, Charset charset) throws CharacterCodingException {
    CharBuffer chars = charset.newDecoder().decode(ByteBuffer.wrap(bytes));
    return chars.toString();
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
