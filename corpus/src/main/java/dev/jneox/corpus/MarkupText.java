package dev.jneox.corpus;

import java.util.Set;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;
import org.jsoup.nodes.Node;
import org.jsoup.nodes.TextNode;
import org.jsoup.parser.Parser;

/**
 * Turns a page of a handbook (HTML, or XML of DocBook or Mallard) into plain text.
 *
 * <p>Unlike {@link MainText}, which looks for prose on pages of the web, all of the page's content
 * stays; only navigation, headers, footers, links to the heading itself and XML's {@code info} are
 * left out. Paragraphs become one line each with an empty line between them, items of lists begin
 * with a dash, cells of a row are separated by tabs, and preformatted text keeps its lines.
 */
final class MarkupText {
  private static final Set<String> LEFT_OUT =
      Set.of(
          "head",
          "script",
          "style",
          "noscript",
          "template",
          "svg",
          "img",
          "iframe",
          "object",
          "form",
          "button",
          "select",
          "nav",
          "header",
          "footer",
          "info",
          "bookinfo",
          "articleinfo",
          "media",
          "mediaobject",
          "toc",
          "index",
          "remark");
  private static final Set<String> BLOCKS =
      Set.of(
          "page",
          "section",
          "title",
          "subtitle",
          "desc",
          "list",
          "steps",
          "terms",
          "note",
          "example",
          "comment",
          "synopsis",
          "chapter",
          "sect1",
          "sect2",
          "sect3",
          "sect4",
          "para",
          "simpara",
          "itemizedlist",
          "orderedlist",
          "variablelist",
          "varlistentry",
          "term",
          "book",
          "article",
          "appendix",
          "quote",
          "figure",
          "informalexample",
          "links",
          "tree");
  private static final Set<String> ITEMS = Set.of("li", "item", "listitem");
  private static final Set<String> ROWS = Set.of("tr", "row");
  private static final Set<String> CELLS = Set.of("td", "th", "entry");
  private static final Set<String> LINES =
      Set.of("pre", "screen", "programlisting", "literallayout", "listing");
  private static final String FURNITURE =
      ".navheader, .navfooter, .sphinxsidebar, .related, .headerlink, .footer, #footer, .toc, .nav,"
          + " .docnav, #banner, #title, #quickview, #page-header, #path, .top, .up, .bottomlang,"
          + " .toplang, .header, .nav-header, .book-navigation, .tagline, .menu, .searchmenu,"
          + " .copyright, [role=navigation], [role=search], [role=banner], [role=contentinfo],"
          + " [aria-hidden=true]";

  private final StringBuilder out = new StringBuilder();
  private final StringBuilder block = new StringBuilder();
  private boolean item;

  private MarkupText() {}

  /** Returns the text of an HTML page. */
  static String ofHtml(String source) {
    Document page = Jsoup.parse(source);
    page.select(FURNITURE).remove();
    Element main = page.selectFirst("main, [role=main], article");
    return of(main == null ? page.body() : main);
  }

  /** Returns the text of an XML page, of DocBook or Mallard. */
  static String ofXml(String source) {
    return of(Jsoup.parse(source, Parser.xmlParser()));
  }

  private static String of(Element root) {
    MarkupText text = new MarkupText();
    text.children(root);
    text.end("\n\n");
    String plain = text.out.toString().strip();
    return plain.isEmpty() ? "" : plain + "\n";
  }

  private void visit(Element element) {
    String tag = element.normalName();
    if (LEFT_OUT.contains(tag)) {
      return;
    }
    boolean lines =
        LINES.contains(tag)
            || tag.equals("code")
                && element.parent() != null
                && (BLOCKS.contains(element.parent().normalName())
                    || ITEMS.contains(element.parent().normalName()));
    if (lines) {
      end("\n\n");
      String text = element.wholeText();
      int first = 0;
      while (first < text.length() && text.charAt(first) == '\n') {
        first++;
      }
      block.append(text.substring(first).stripTrailing());
      end("\n\n");
    } else if (ITEMS.contains(tag)) {
      end("\n\n");
      item = true;
      children(element);
      end("\n");
      item = false;
    } else if (ROWS.contains(tag)) {
      end("\n");
      children(element);
      end("\n");
    } else if (CELLS.contains(tag)) {
      if (!block.isEmpty()) {
        block.append('\t');
      }
      cell(element);
    } else if (BLOCKS.contains(tag) || element.isBlock()) {
      end("\n\n");
      children(element);
      end("\n\n");
    } else {
      children(element);
    }
  }

  /** Appends a cell on one line, whatever blocks it has. */
  private void cell(Element element) {
    block.append(element.text().strip());
  }

  private void children(Element element) {
    for (Node child : element.childNodes()) {
      switch (child) {
        case TextNode text -> add(text.getWholeText());
        case Element inner when inner.normalName().equals("br") -> {
          trim();
          block.append('\n');
        }
        case Element inner -> visit(inner);
        default -> {} // comments
      }
    }
  }

  private void add(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean space = c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
      if (!space) {
        block.append(c);
      } else if (!block.isEmpty() && " \n\t".indexOf(block.charAt(block.length() - 1)) < 0) {
        block.append(' ');
      }
    }
  }

  private void trim() {
    while (!block.isEmpty() && block.charAt(block.length() - 1) == ' ') {
      block.setLength(block.length() - 1);
    }
  }

  private void end(String separator) {
    String text = block.toString().stripTrailing();
    block.setLength(0);
    if (text.isBlank()) {
      if (separator.length() == 2 && out.length() > 1 && out.charAt(out.length() - 2) != '\n') {
        out.append('\n'); // below the rows of a table
      }
      return;
    }
    if (item) {
      // Items follow each other without an empty line.
      if (out.length() > 2 && out.charAt(out.length() - 2) == '\n' && lastIsItem()) {
        out.setLength(out.length() - 1);
      }
      out.append("- ");
      item = false;
      out.append(text).append("\n\n");
      return;
    }
    out.append(text).append(separator);
  }

  private boolean lastIsItem() {
    int end = out.length() - 2;
    int start = out.lastIndexOf("\n", end - 1) + 1;
    return out.indexOf("- ", start) == start;
  }
}
