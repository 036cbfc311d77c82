package dev.jneox.eval;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Prepares WinoBias (Zhao et al. 2018): sentences with two persons by their occupations, and a
 * pronoun that means one of them. The data set marks that one; the other is found by the
 * occupations that the sentences are made of.
 *
 * <p>The paper scores links between mentions. A model of text chooses between the two persons, so
 * that each sentence has one link: F1 of the links is the share of right choices.
 */
final class WinoBias {
  private static final Set<String> OCCUPATIONS =
      Set.of(
          "accountant",
          "analyst",
          "assistant",
          "attendant",
          "auditor",
          "baker",
          "carpenter",
          "cashier",
          "ceo",
          "chief",
          "cleaner",
          "clerk",
          "construction worker",
          "cook",
          "counselor",
          "designer",
          "developer",
          "driver",
          "editor",
          "farmer",
          "guard",
          "hairdresser",
          "housekeeper",
          "janitor",
          "laborer",
          "lawyer",
          "librarian",
          "manager",
          "mechanic",
          "mover",
          "nurse",
          "physician",
          "receptionist",
          "salesperson",
          "secretary",
          "sheriff",
          "supervisor",
          "tailor",
          "teacher",
          "writer");

  private static final String CLUSTERS = "coreference_clusters";

  private WinoBias() {}

  static List<Document> documents(List<Document> documents) {
    return documents.stream().map(WinoBias::prepared).toList();
  }

  /** Adds the sentence, the pronoun, both occupations in their order, and the number of the one. */
  private static Document prepared(Document document) {
    List<String> tokens = document.texts("tokens");
    // Flattened pairs of first and last words: of the person, of the pronoun, of further pronouns.
    int[] marked = marked(document, tokens.size());
    int first = tokens.get(marked[0]).equalsIgnoreCase("the") ? marked[0] + 1 : marked[0];
    String meant = String.join(" ", tokens.subList(first, marked[1] + 1));
    List<String> choices = new ArrayList<>(List.of(meant));
    for (int i = 0; i < tokens.size() && choices.size() < 2; i++) {
      boolean inside = i >= marked[0] && i <= marked[1];
      for (int words = 1; words <= 2 && !inside && i + words <= tokens.size(); words++) {
        String text = String.join(" ", tokens.subList(i, i + words));
        if (isOccupation(text) && choices.size() < 2) {
          choices.add(i < marked[0] ? 0 : 1, text);
        }
      }
    }
    if (choices.size() < 2) {
      throw document.expected("tokens", "two occupations");
    }
    Map<String, Object> more = new LinkedHashMap<>();
    more.put("sentence", WinogradSchema.joined(String.join(" ", tokens)));
    more.put("pronoun", tokens.get(marked[2]));
    more.put("choices", Collections.unmodifiableList(choices));
    more.put("label", (long) choices.indexOf(meant));
    return document.with(more);
  }

  private static boolean isOccupation(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    return OCCUPATIONS.contains(lower)
        || lower.endsWith("s") && OCCUPATIONS.contains(lower.substring(0, lower.length() - 1));
  }

  private static int[] marked(Document document, int words) {
    int[] marked;
    try {
      marked = document.texts(CLUSTERS).stream().mapToInt(Integer::parseInt).toArray();
    } catch (NumberFormatException e) {
      throw document.expected(CLUSTERS, "numbers of words as texts");
    }
    if (marked.length < 4
        || marked[0] < 0
        || marked[0] > marked[1]
        || marked[1] >= words
        || marked[2] < 0
        || marked[2] >= words) {
      throw document.expected(CLUSTERS, "the first and last words of a person and of a pronoun");
    }
    return marked;
  }
}
