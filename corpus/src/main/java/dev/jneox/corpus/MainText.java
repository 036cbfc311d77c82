package dev.jneox.corpus;

import java.nio.charset.Charset;
import java.nio.charset.IllegalCharsetNameException;
import java.util.Set;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;
import org.jsoup.nodes.Node;
import org.jsoup.nodes.TextNode;
import org.jspecify.annotations.Nullable;

/**
 * Extracts the main text of a page. Elements that hold no prose (scripts, forms, navigation,
 * headers and footers of a page) are left out. Each block becomes a paragraph. A paragraph stays if
 * links are less than half of it and it is a heading, a list item, a cell, preformatted, or has ten
 * words or an end of a sentence.
 */
final class MainText {
  private static final Set<String> LEFT_OUT =
      Set.of(
          "script",
          "style",
          "noscript",
          "template",
          "svg",
          "iframe",
          "object",
          "form",
          "button",
          "select",
          "nav",
          "header",
          "footer",
          "aside",
          "menu",
          "dialog",
          "head");

  private static final Set<String> ALWAYS =
      Set.of("h1", "h2", "h3", "h4", "h5", "h6", "li", "td", "th", "pre", "dt", "dd", "blockquote");

  private final StringBuilder out = new StringBuilder();
  private final StringBuilder block = new StringBuilder();
  private final boolean whole;
  private int linked;

  private MainText(boolean whole) {
    this.whole = whole;
  }

  /** Returns all paragraphs of a page that holds prose alone. */
  static String whole(Document page) {
    return of(page.body(), true);
  }

  static String of(Document page) {
    Element main = page.selectFirst("main, article, [role=main]");
    return of(main == null ? page.body() : main, false);
  }

  private static String of(Element element, boolean whole) {
    MainText text = new MainText(whole);
    text.visit(element, false);
    text.end("");
    return text.out.toString().strip();
  }

  /** Returns a character set that there is, or null: jsoup then asks the page. */
  static @Nullable String charset(@Nullable String name) {
    try {
      return name != null && Charset.isSupported(name) ? name : null;
    } catch (IllegalCharsetNameException e) {
      return null;
    }
  }

  private void visit(Element element, boolean inLink) {
    String tag = element.normalName();
    if (LEFT_OUT.contains(tag)) {
      return;
    }
    boolean link = inLink || tag.equals("a");
    boolean isBlock = element.isBlock() || tag.equals("td") || tag.equals("th");
    if (isBlock) {
      end("");
    }
    if (tag.equals("pre")) {
      block.append(element.wholeText());
    } else {
      for (Node child : element.childNodes()) {
        switch (child) {
          case TextNode text -> add(text.text(), link);
          case Element inner when inner.normalName().equals("br") -> block.append('\n');
          case Element inner -> visit(inner, link);
          default -> {} // comments
        }
      }
    }
    if (isBlock) {
      end(tag);
    }
  }

  private void add(String text, boolean link) {
    block.append(text);
    linked += link ? text.length() : 0;
  }

  private void end(String tag) {
    String text = tag.equals("pre") ? block.toString().stripTrailing() : block.toString().strip();
    boolean stays =
        !text.isEmpty()
            && (whole
                || 2 * linked < text.length()
                    && (ALWAYS.contains(tag)
                        || Words.of(text).size() >= 10
                        || ".!?\u3002".indexOf(text.charAt(text.length() - 1)) >= 0));
    if (stays) {
      out.append(text).append("\n\n");
    }
    block.setLength(0);
    linked = 0;
  }
}
