package dev.jneox.corpus;

import java.util.function.Consumer;

/** Reads a file of {@code fortune}: quotations with a line of {@code %} between them. */
final class FortuneText {
  private FortuneText() {}

  static void read(String text, Consumer<String> documents) {
    Entries entries = new Entries("%\n", documents);
    for (String quotation : text.replace("\r", "").split("(?m)^%%?[ \t]*$")) {
      // Overstrikes and colours are for terminals.
      entries.add(quotation.replaceAll(".\b", "").replaceAll("\u001B\\[[0-9;]*m", ""));
    }
    entries.end();
  }
}
