package dev.jneox.eval;

import java.util.List;
import java.util.Map;

/** Prepares the arithmetic of Brown et al. (2020), whose contexts have short marks. */
final class Arithmetic {
  private Arithmetic() {}

  static List<Document> documents(List<Document> documents) {
    return documents.stream().map(Arithmetic::prepared).toList();
  }

  private static Document prepared(Document document) {
    String context =
        PythonText.strip(document.text("context"))
            .replace("\n\n", "\n")
            .replace("Q:", "Question:")
            .replace("A:", "Answer:");
    return document.with(Map.of("context", context));
  }
}
