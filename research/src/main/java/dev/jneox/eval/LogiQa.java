package dev.jneox.eval;

import java.util.List;

/** Prepares LogiQA (Liu et al. 2020): a passage, a question, and options with letters. */
final class LogiQa {
  private static final String LETTERS = "abcd";

  private LogiQa() {}

  static Object question(Document document) {
    StringBuilder text = new StringBuilder();
    text.append("Passage: ").append(document.text("context")).append("\nQuestion: ");
    text.append(document.text("question")).append("\nChoices:\n");
    List<String> options = document.texts("options");
    for (int i = 0; i < Math.min(options.size(), LETTERS.length()); i++) {
      text.append((char) ('A' + i)).append(". ").append(options.get(i)).append('\n');
    }
    return text.append("Answer:").toString();
  }

  static Object answer(Document document) {
    String letter = PythonText.strip(document.text("label"));
    int place = LETTERS.indexOf(letter);
    if (letter.length() != 1 || place < 0) {
      throw document.expected("label", "one of the letters a to d");
    }
    return (long) place;
  }
}
