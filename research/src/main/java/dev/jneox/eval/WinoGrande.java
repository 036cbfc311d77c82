package dev.jneox.eval;

import java.util.List;

/**
 * Prepares WinoGrande (Sakaguchi et al. 2019). A sentence has a gap and two options for it: the
 * words behind the gap are scored after the beginning with each option ("partial evaluation").
 */
final class WinoGrande {
  private WinoGrande() {}

  static Object answer(Document document) {
    return switch (document.text("answer")) {
      case "1" -> 0L;
      case "2" -> 1L;
      default -> throw document.expected("answer", "1 or 2");
    };
  }

  static Object ending(Document document) {
    return PythonText.strip(document.text("sentence").substring(gap(document) + 1));
  }

  static Object beginnings(Document document) {
    String beginning = document.text("sentence").substring(0, gap(document));
    return List.of(beginning + document.text("option1"), beginning + document.text("option2"));
  }

  private static int gap(Document document) {
    int gap = document.text("sentence").indexOf('_');
    if (gap < 0) {
      throw document.expected("sentence", "a gap '_'");
    }
    return gap;
  }
}
