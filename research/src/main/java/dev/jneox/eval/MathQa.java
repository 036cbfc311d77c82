package dev.jneox.eval;

import dev.jneox.template.PythonRegex;
import java.util.List;

/**
 * Prepares MathQA (Amini et al. 2019): the five options are one text. As for the harness, an option
 * that has a comma and a space in it ends there.
 */
final class MathQa {
  private static final PythonRegex OPTION = PythonRegex.compile("[abcd] \\) .*?, |e \\) .*?$");

  private MathQa() {}

  static Object options(Document document) {
    List<String> options =
        OPTION.findAll(document.text("options")).stream()
            .map(found -> withoutEnd(found.getFirst().substring("a ) ".length())))
            .toList();
    if (options.isEmpty()) {
      throw document.expected("options", "options 'a ) ... , b ) ...'");
    }
    return options;
  }

  private static String withoutEnd(String option) {
    int end = option.length();
    while (end > 0 && (option.charAt(end - 1) == ' ' || option.charAt(end - 1) == ',')) {
      end--;
    }
    return option.substring(0, end);
  }
}
