package dev.jneox.template;

/**
 * Is a text that filters marked as safe HTML: what is added to it with {@code +} is escaped.
 *
 * @param text the HTML
 */
record Markup(String text) {
  static Markup escape(String text) {
    return new Markup(
        text.replace("&", "&amp;")
            .replace(">", "&gt;")
            .replace("<", "&lt;")
            .replace("'", "&#39;")
            .replace("\"", "&#34;"));
  }
}
