package dev.jneox.io;

import java.util.List;

/**
 * Builds a page of HTML that needs no other file and no network: headings, texts and tables. Texts
 * are escaped.
 */
public final class HtmlPage {
  private static final String STYLE =
      "body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width:"
          + " 80rem; padding: 0 1rem; color: #1a1a1a; background: #fff; }\n"
          + "table { border-collapse: collapse; }\n"
          + "th, td { border-bottom: 1px solid #ccc; padding: .3rem .7rem; text-align: left;"
          + " vertical-align: top; overflow-wrap: anywhere; }\n"
          + ".number { text-align: right; white-space: nowrap; }\n"
          + "div { overflow-x: auto; }\n";

  private final StringBuilder text = new StringBuilder();

  /**
   * Begins a page.
   *
   * @param style more rules of CSS; empty for none
   */
  public HtmlPage(String title, String style) {
    text.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>")
        .append(escaped(title))
        .append("</title>\n<style>\n")
        .append(STYLE)
        .append(style)
        .append("</style>\n</head>\n<body>\n<h1>")
        .append(escaped(title))
        .append("</h1>\n");
  }

  /** Adds a heading of the second level. */
  public void heading(String heading) {
    text.append("<h2>").append(escaped(heading)).append("</h2>\n");
  }

  /** Adds a paragraph. */
  public void paragraph(String paragraph) {
    text.append("<p>").append(escaped(paragraph)).append("</p>\n");
  }

  /**
   * Adds a table.
   *
   * @param from the first column of numbers
   * @param to the column after the last one of numbers
   */
  public void table(List<String> head, List<List<String>> rows, int from, int to) {
    text.append("<div><table>\n<thead><tr>");
    cells(head, "th", from, to);
    text.append("</tr></thead>\n<tbody>\n");
    for (List<String> row : rows) {
      text.append("<tr>");
      cells(row, "td", from, to);
      text.append("</tr>\n");
    }
    text.append("</tbody>\n</table></div>\n");
  }

  private void cells(List<String> cells, String tag, int from, int to) {
    for (int i = 0; i < cells.size(); i++) {
      text.append('<').append(tag);
      text.append(i >= from && i < to ? " class=\"number\">" : ">");
      text.append(escaped(cells.get(i))).append("</").append(tag).append('>');
    }
  }

  /** Adds HTML as it is, whose texts the caller has escaped. */
  public void html(String html) {
    text.append(html);
  }

  /** Returns the page. */
  public String end() {
    return text.append("</body>\n</html>\n").toString();
  }

  /** Writes a text so that HTML, and values of its attributes, have it as it is. */
  public static String escaped(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }
}
