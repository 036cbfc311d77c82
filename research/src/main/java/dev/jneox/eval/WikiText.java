package dev.jneox.eval;

import dev.jneox.template.PythonRegex;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Prepares WikiText (Merity et al. 2016), whose words and marks stand apart. Scored is the text as
 * it was before; divided by are the words and bytes of the page as it stands in the data.
 */
final class WikiText {
  private static final String FIELD = "page";

  private static final PythonRegex SLASHES = PythonRegex.compile("/' [0-9]/");

  /** What a pair of marks has inside at its ends, by the pair. */
  private static final Map<PythonRegex, String> INSIDE = new LinkedHashMap<>();

  static {
    INSIDE.put(PythonRegex.compile("\\(\\s*([^\\)]*?)\\s*\\)"), "(\\1)");
    INSIDE.put(PythonRegex.compile("\\[\\s*([^\\]]*?)\\s*\\]"), "[\\1]");
    INSIDE.put(PythonRegex.compile("{\\s*([^}]*?)\\s*}"), "{\\1}");
    INSIDE.put(PythonRegex.compile("\"\\s*([^\"]*?)\\s*\""), "\"\\1\"");
    INSIDE.put(PythonRegex.compile("'\\s*([^']*?)\\s*'"), "'\\1'");
  }

  private WikiText() {}

  static Object detokenized(Document document) {
    String text = document.text(FIELD).replace("s '", "s'");
    // As the harness has it, slashes and brackets included: its intent was another.
    text = SLASHES.sub("/'[0-9]/", text, 0);
    for (String mark : List.of("-", ",", ".")) {
      text = text.replace(" @" + mark + "@ ", mark);
    }
    for (String mark : List.of(":", ";", ".", "!", "?", ",")) {
      text = text.replace(" " + mark + " ", mark + " ");
    }
    for (Map.Entry<PythonRegex, String> pair : INSIDE.entrySet()) {
      text = pair.getKey().sub(pair.getValue(), text, 0);
    }
    for (int signs = 4; signs >= 2; signs--) {
      text = text.replace("= ".repeat(signs - 1) + "=", "=".repeat(signs));
    }
    return text.replace(" \u00b0 ", "\u00b0")
        .replace(" \n", "\n")
        .replace("\n ", "\n")
        .replace(" N ", " 1 ")
        .replace(" 's", "'s");
  }

  static Map<String, Measured> measures(Document document, List<Response> responses) {
    double sum = Metrics.score(responses.getFirst()).logLikelihood();
    String page = document.text(FIELD);
    return Metrics.rolling(sum, page);
  }
}
