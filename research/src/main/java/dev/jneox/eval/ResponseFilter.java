package dev.jneox.eval;

import dev.jneox.io.InputException;
import dev.jneox.template.PythonRegex;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/** Changes the responses to one request, before they are measured. */
@FunctionalInterface
interface ResponseFilter {
  /** Keeps the first of the repeated responses. */
  ResponseFilter TAKE_FIRST = (responses, _) -> List.of(responses.getFirst());

  /** Returns what is left, at least one response. */
  List<Response> apply(List<Response> responses, Document document);

  /** Makes the filter that a task names. */
  static ResponseFilter of(TaskSettings settings) {
    String name = settings.text("function", "");
    switch (name) {
      case "take_first" -> {
        return TAKE_FIRST;
      }
      case "take_first_k" -> {
        settings.only(Set.of("function", "k"));
        int k = settings.integer("k", 1, 1);
        return (responses, _) -> {
          if (responses.size() < k) {
            throw new InputException(
                settings.place("k")
                    + ": expected at most the "
                    + responses.size()
                    + " responses that repeats asks for, found "
                    + k);
          }
          return responses.subList(0, k);
        };
      }
      case "majority_vote" -> {
        return (responses, _) -> List.of(mostFrequent(responses));
      }
      case "remove_whitespace" -> {
        return texts(PythonText::strip);
      }
      case "lowercase" -> {
        return texts(text -> text.toLowerCase(Locale.ROOT));
      }
      case "uppercase" -> {
        return texts(text -> text.toUpperCase(Locale.ROOT));
      }
      case "regex" -> {
        return regex(settings);
      }
      case "map" -> {
        settings.only(Set.of("function", "mapping_dict", "default_value"));
        Map<String, String> mapping = new LinkedHashMap<>();
        settings
            .below("mapping_dict")
            .values()
            .forEach((from, to) -> mapping.put(from, PythonText.of(JsonValues.of(to))));
        String absent = PythonText.of(JsonValues.of(settings.value("default_value")));
        return texts(text -> mapping.getOrDefault(text, absent));
      }
      default ->
          throw settings.expected(
              "function",
              "one of take_first, take_first_k, majority_vote, regex, map, remove_whitespace,"
                  + " lowercase, uppercase");
    }
  }

  private static ResponseFilter texts(UnaryOperator<String> change) {
    return (responses, _) -> responses.stream().map(each -> changed(each, change)).toList();
  }

  private static Response changed(Response response, UnaryOperator<String> change) {
    if (response instanceof Response.Written(String text)) {
      return new Response.Written(change.apply(text));
    }
    throw new InputException("a filter of texts: expected a task that generates, found a score");
  }

  private static Response mostFrequent(List<Response> responses) {
    Map<Response, Integer> counts = new LinkedHashMap<>();
    responses.forEach(each -> counts.merge(each, 1, Integer::sum));
    Response most = responses.getFirst();
    for (Map.Entry<Response, Integer> each : counts.entrySet()) {
      if (each.getValue() > counts.getOrDefault(most, 0)) {
        most = each.getKey();
      }
    }
    return most;
  }

  private static ResponseFilter regex(TaskSettings settings) {
    settings.only(Set.of("function", "regex_pattern", "group_select", "fallback"));
    PythonRegex regex =
        PythonRegex.compile(settings.text("regex_pattern", "#### (\\-?[0-9\\.\\,]+)"));
    int select = settings.integer("group_select", 0, Integer.MIN_VALUE);
    String fallback = settings.text("fallback", "[invalid]");
    return texts(
        text -> {
          List<List<String>> all = regex.findAll(text);
          int at = select < 0 ? all.size() + select : select;
          if (all.isEmpty()) {
            return fallback;
          }
          if (at < 0 || at >= all.size()) {
            throw settings.expected("group_select", "one of the " + all.size() + " matches");
          }
          List<String> groups = all.get(at);
          // Of several groups the first that has something; of one, what it has.
          String found =
              groups.size() == 1
                  ? groups.getFirst()
                  : groups.stream().filter(group -> !group.isEmpty()).findFirst().orElse(fallback);
          return PythonText.strip(found);
        });
  }
}
