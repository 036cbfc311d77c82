package dev.jneox.corpus;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.regex.Pattern;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import org.jspecify.annotations.Nullable;

/**
 * Reads the articles of a MediaWiki dump: pages of name space 0 that are no redirects, with the
 * title before the text. Of the markup the text stays; templates, tables, references, files and
 * categories go.
 */
final class MediaWikiRecords extends XmlRecords {
  private static final Pattern REDIRECT =
      Pattern.compile("(?i)^\\s*#redirect\\b.*", Pattern.DOTALL);
  private static final Pattern COMMENT = Pattern.compile("(?s)<!--.*?-->");
  private static final Pattern REFERENCE =
      Pattern.compile("(?is)<ref\\b[^>]*/>|<(ref|gallery|math|timeline)\\b[^>]*>.*?</\\1>");
  private static final Pattern TAG = Pattern.compile("</?[A-Za-z][^<>]*>");
  private static final Pattern LINK = Pattern.compile("\\[\\[(?:[^\\[\\]|]*\\|)?([^\\[\\]|]*)]]");
  private static final Pattern MEDIA =
      Pattern.compile(
          "(?i)\\[\\[(?:file|image|category|datei|bild|kategorie|fichier|cat\u00e9gorie):[^\\[\\]]*]]");
  private static final Pattern OUTSIDE =
      Pattern.compile("\\[https?://\\S+ ([^\\]]*)]|\\[https?://\\S+]");
  private static final Pattern QUOTES = Pattern.compile("'{2,5}");
  private static final Pattern HEADING = Pattern.compile("(?m)^=+\\s*(.*?)\\s*=+\\s*$");
  private static final Pattern LIST = Pattern.compile("(?m)^[*#:;]+\\s*");
  private static final Pattern BLANK = Pattern.compile("\n{3,}");

  MediaWikiRecords(Path file) throws IOException {
    super(file);
  }

  @Override
  @Nullable Raw read() throws XMLStreamException {
    String title = "";
    String space = "0";
    while (xml.hasNext()) {
      int event = xml.next();
      if (event != XMLStreamConstants.START_ELEMENT) {
        continue;
      }
      switch (xml.getLocalName()) {
        case "page" -> {
          line++;
          title = "";
          space = "0";
        }
        case "title" -> title = Objects.requireNonNullElse(text(), "");
        case "ns" -> space = Objects.requireNonNullElse(text(), "").strip();
        case "text" -> {
          String text = text();
          if (text == null) {
            return Raw.malformed(line, Utf8Text.tooLong());
          }
          if (space.equals("0") && !REDIRECT.matcher(text).matches()) {
            return new Raw(
                line, title + "\n\n" + plain(text), RecordReader.meta("title", title), false);
          }
        }
        default -> {} // revisions, contributors
      }
    }
    return null;
  }

  /** Returns the text of wiki markup. */
  static String plain(String markup) {
    String text = COMMENT.matcher(markup).replaceAll("");
    text = REFERENCE.matcher(text).replaceAll("");
    text = without(text, "{{", "}}");
    text = without(text, "{|", "|}");
    text = MEDIA.matcher(LINK.matcher(innermost(text)).replaceAll("$1")).replaceAll("");
    text = OUTSIDE.matcher(text).replaceAll("$1");
    text = QUOTES.matcher(text).replaceAll("");
    text = HEADING.matcher(text).replaceAll("$1");
    text = LIST.matcher(text).replaceAll("");
    text = TAG.matcher(text).replaceAll("");
    return BLANK.matcher(text.replace("&nbsp;", " ")).replaceAll("\n\n").strip();
  }

  /** Takes files and categories away; the links in their captions are plain by then. */
  private static String innermost(String markup) {
    String text = markup;
    while (true) {
      String without = MEDIA.matcher(text).replaceAll("");
      if (without.equals(text) && !text.contains("[[File:") && !text.contains("[[Image:")) {
        return text;
      }
      String plain =
          without.replaceAll(
              "(\\[\\[(?:File|Image):[^\\[\\]]*)\\[\\[(?:[^\\[\\]|]*\\|)?([^\\[\\]|]*)]]", "$1$2");
      if (plain.equals(text)) {
        return text;
      }
      text = plain;
    }
  }

  /** Takes nested spans away; one that does not end stays. */
  private static String without(String text, String open, String close) {
    StringBuilder out = new StringBuilder(text.length());
    int depth = 0;
    int begun = 0;
    for (int i = 0; i < text.length(); i++) {
      if (text.startsWith(open, i)) {
        if (depth++ == 0) {
          begun = i;
        }
        i++;
      } else if (depth > 0 && text.startsWith(close, i)) {
        depth--;
        i++;
      } else if (depth == 0) {
        out.append(text.charAt(i));
      }
    }
    return depth > 0 ? out.append(text, begun, text.length()).toString() : out.toString();
  }
}
