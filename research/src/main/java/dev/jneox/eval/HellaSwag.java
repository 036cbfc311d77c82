package dev.jneox.eval;

import dev.jneox.template.PythonRegex;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Prepares HellaSwag (Zellers et al. 2019): contexts from WikiHow have marks in brackets. */
final class HellaSwag {
  private static final PythonRegex BRACKETS = PythonRegex.compile("\\[.*?\\]");

  private HellaSwag() {}

  static List<Document> documents(List<Document> documents) {
    return documents.stream().map(HellaSwag::prepared).toList();
  }

  private static Document prepared(Document document) {
    String context =
        document.text("activity_label")
            + ": "
            + document.text("ctx_a")
            + " "
            + PythonText.capitalize(document.text("ctx_b"));
    Map<String, Object> prepared = new LinkedHashMap<>();
    prepared.put("query", cleaned(context));
    prepared.put("choices", document.texts("endings").stream().map(HellaSwag::cleaned).toList());
    prepared.put("gold", gold(document));
    return document.with(prepared);
  }

  private static long gold(Document document) {
    try {
      return Long.parseLong(PythonText.strip(PythonText.of(document.value("label"))));
    } catch (NumberFormatException e) {
      throw document.expected("label", "the number of an ending");
    }
  }

  private static String cleaned(String text) {
    String titles = PythonText.strip(text).replace(" [title]", ". ");
    return BRACKETS.sub("", titles, 0).replace("  ", " ");
  }
}
