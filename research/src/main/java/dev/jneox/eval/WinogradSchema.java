package dev.jneox.eval;

import dev.jneox.template.PythonRegex;

/**
 * Prepares the Winograd schema challenge (Levesque et al. 2012) of SuperGLUE: the passage has the
 * pronoun between asterisks.
 */
final class WinogradSchema {
  private static final PythonRegex BEFORE_MARKS = PythonRegex.compile(" (['.,])");

  private WinogradSchema() {}

  static Object question(Document document) {
    String text = document.text("text");
    String noun = document.text("span1_text");
    String pronoun = document.text("span2_text");
    String before = String.join(" ", PythonText.words(text, number(document, "span2_index")));
    // The harness counts from the joined words: where the text has other spaces, it cuts elsewhere.
    int[] characters = text.codePoints().toArray();
    int from = PythonText.length(before) + PythonText.length(pronoun) + 1;
    String after =
        from >= characters.length ? "" : new String(characters, from, characters.length - from);
    return "Passage: "
        + joined(before + " *" + pronoun + "*" + after)
        + "\nQuestion: In the passage above, does the pronoun \"*"
        + pronoun
        + "*\" refer to \"*"
        + noun
        + "*\"?\nAnswer:";
  }

  private static int number(Document document, String field) {
    if (document.value(field) instanceof Long number && number >= 0) {
      return (int) (long) number;
    }
    throw document.expected(field, "the number of a word, from 0");
  }

  /** Joins what tokens of a treebank separate from words. */
  static String joined(String text) {
    String joined =
        text.replace(" n't", "n't")
            .replace(" )", ")")
            .replace("( ", "(")
            .replace("\" ", "\"")
            .replace(" \"", "\"");
    return BEFORE_MARKS.sub("\\1", joined, 0);
  }
}
