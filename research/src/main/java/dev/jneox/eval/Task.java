package dev.jneox.eval;

import dev.jneox.io.InputException;
import dev.jneox.io.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Is a task with its documents: it writes prompts, and measures what came of them. */
final class Task {
  final TaskSpec spec;
  final int fewshot;
  final List<Document> documents;

  /** The SHA-256 of each file that was read. */
  final Map<String, String> files = new LinkedHashMap<>();

  /** A hash of each split that was read. */
  final Map<String, String> hashes = new LinkedHashMap<>();

  private final Set<String> fields = new LinkedHashSet<>();
  private final FewShot examples;
  private final boolean severalInputs;
  private final boolean severalTargets;
  private final Map<String, List<Document>> splits = new LinkedHashMap<>();

  /**
   * Reads the documents of a task.
   *
   * @param fewshot examples in front of each document
   */
  Task(TaskSpec spec, DataFolder data, int fewshot, long seed) {
    this.spec = spec;
    this.fewshot = fewshot;
    this.documents = processed(data, spec.split(), spec.process);
    documents.forEach(document -> fields.addAll(document.fields().keySet()));
    this.examples = new FewShot(spec, fewshot == 0 ? List.of() : pool(data), seed);
    Document first = documents.getFirst();
    this.severalInputs = spec.choice != null && isNumber(text(first, spec.text));
    this.severalTargets = target(first, spec.target) instanceof List<?> list && !list.isEmpty();
  }

  private List<Document> processed(
      DataFolder data, String split, TaskFunction.@Nullable OfDocuments process) {
    List<Document> raw = splits.get(split);
    if (raw == null) {
      DataFolder.Split read = data.read(spec, split);
      files.putAll(read.files());
      hashes.put(split, read.hash());
      raw = read.documents();
      splits.put(split, raw);
    }
    List<Document> documents = process == null ? raw : process.apply(raw);
    if (documents.isEmpty()) {
      throw new InputException(
          "task " + spec.name + ": split " + split + ": expected documents, found none");
    }
    return documents;
  }

  private List<Document> pool(DataFolder data) {
    String split = spec.examples.split();
    if (split != null) {
      return processed(data, split, spec.examples.process());
    }
    if (!spec.examples.samples().isEmpty()) {
      return spec.examples.samples();
    }
    String other = spec.trainingSplit != null ? spec.trainingSplit : spec.validationSplit;
    return processed(data, other != null ? other : spec.split(), spec.process);
  }

  private static boolean isNumber(@Nullable Object value) {
    return value instanceof Long || value instanceof Boolean;
  }

  // What the task takes from a document.

  private <T> T of(String key, Document document, Supplier<T> made) {
    try {
      return made.get();
    } catch (InputException e) {
      String message = String.valueOf(e.getMessage());
      String source = document.source();
      throw e.withMessage(
          "task "
              + spec.name
              + ": "
              + key
              + ": "
              + (message.startsWith(source) ? "" : source + ": ")
              + message);
    }
  }

  /** Returns the value of a field or of a rendered template. */
  private @Nullable Object value(Document document, TextSource source) {
    return switch (source) {
      case TextSource.Constant(Object value) -> value;
      case TextSource.Computed(_, TaskFunction.OfDocument function) -> function.apply(document);
      case TextSource.Template template ->
          fields.contains(template.text())
              ? document.value(template.text())
              : new Rendered(template.render(document), template.text());
    };
  }

  /** Is a text that a template made, of which numbers and lists are read. */
  private record Rendered(String text, String template) {
    @Nullable Object literal() {
      try {
        return PythonLiteral.parse(text);
      } catch (InputException e) {
        throw e.withMessage("template " + JsonObject.quoted(template) + ": " + e.getMessage());
      }
    }
  }

  private @Nullable Object text(Document document, @Nullable TextSource source) {
    if (source == null) {
      return "";
    }
    return this.<@Nullable Object>of(
        "doc_to_text",
        document,
        () -> {
          Object value = value(document, source);
          if (value instanceof Rendered rendered) {
            return isChoice(rendered.text) ? rendered.literal() : rendered.text;
          }
          return value;
        });
  }

  private boolean isChoice(String text) {
    return spec.choice != null && PythonText.isDigits(text);
  }

  private @Nullable Object target(Document document, @Nullable TextSource source) {
    if (source == null) {
      throw new IllegalStateException("a task without targets");
    }
    return this.<@Nullable Object>of(
        "doc_to_target",
        document,
        () -> {
          Object value = value(document, source);
          if (!(value instanceof Rendered rendered)) {
            return value;
          }
          String text = rendered.text;
          if (isChoice(text)) {
            return rendered.literal();
          }
          if (text.length() >= 2 && text.startsWith("[") && text.endsWith("]")) {
            try {
              return PythonLiteral.parse(text);
            } catch (InputException e) {
              return text; // no list, but a text in brackets
            }
          }
          return text;
        });
  }

  private List<String> choices(Document document, @Nullable TextSource source) {
    if (source == null) {
      return List.of();
    }
    return of(
        "doc_to_choice",
        document,
        () -> {
          Object value = value(document, source);
          Object choices = value instanceof Rendered rendered ? rendered.literal() : value;
          if (!(choices instanceof List<?> list)) {
            throw new InputException(
                "expected a list of choices, found " + Document.shown(choices));
          }
          List<String> texts = new ArrayList<>();
          for (Object each : list) {
            if (!(each instanceof String text)) {
              throw new InputException("expected texts as choices, found " + Document.shown(each));
            }
            texts.add(text);
          }
          if (texts.isEmpty()) {
            throw new InputException("expected choices, found none");
          }
          return texts;
        });
  }

  /** Returns a text that may be left out: a description, a prefix of answers. */
  private String optional(String key, Document document, @Nullable TextSource source) {
    if (source == null) {
      return "";
    }
    return of(
        key,
        document,
        () -> {
          Object value = value(document, source);
          return value instanceof Rendered rendered
              ? rendered.text
              : value == null ? "" : PythonText.of(value);
        });
  }

  // Prompts.

  private static boolean bounded(String before, String after) {
    return PythonText.isSpace(before.charAt(before.length() - 1))
        || PythonText.isSpace(after.charAt(0));
  }

  /** Joins two texts, by a delimiter where neither has white space there. */
  private static String joined(String before, String after, String delimiter) {
    if (before.isEmpty() || after.isEmpty()) {
      return before + after;
    }
    return before + (bounded(before, after) ? "" : delimiter) + after;
  }

  /** Writes a question, the prefix of its answer, and the answer where there is one. */
  private static String turn(
      String question, String prefix, String answer, String targetDelimiter, String delimiter) {
    boolean delimited =
        prefix.isEmpty() ? !answer.isEmpty() : !question.isEmpty() && !bounded(question, prefix);
    String turn = question + (delimited ? targetDelimiter : "");
    return answer.isEmpty() ? turn + prefix : turn + joined(prefix, answer, " ") + delimiter;
  }

  private String example(Document document) {
    TaskSpec.Examples as = spec.examples;
    Object question = text(document, as.text());
    List<String> choices = choices(document, as.choice());
    Object answer = target(document, as.target());
    String prefix = optional("gen_prefix", document, as.prefix());
    return of(
        "fewshot_config",
        document,
        () -> {
          Object written = answer;
          if (severalInputs) {
            return turn(
                choices.get(place(question, choices)),
                prefix,
                asText(written),
                as.targetDelimiter(),
                as.delimiter());
          }
          if (isNumber(written) && !choices.isEmpty()) {
            written = choices.get(place(written, choices));
          } else if (written instanceof List<?> list && !list.isEmpty()) {
            written = list.getFirst();
          }
          return turn(
              asText(question), prefix, asText(written), as.targetDelimiter(), as.delimiter());
        });
  }

  private static int place(@Nullable Object number, List<String> choices) {
    long place =
        switch (number) {
          case Boolean flag -> flag ? 1 : 0;
          case Long given -> given < 0 ? choices.size() + given : given;
          case null, default -> -1;
        };
    if (place < 0 || place >= choices.size()) {
      throw new InputException(
          "expected the number of one of "
              + choices.size()
              + " choices, found "
              + Document.shown(number));
    }
    return (int) place;
  }

  private static String asText(@Nullable Object value) {
    if (value instanceof String text) {
      return text;
    }
    throw new InputException("expected a text, found " + Document.shown(value));
  }

  /** Returns what stands before the answer: one context, or one for each choice. */
  private List<String> contexts(Document document) {
    StringBuilder before = new StringBuilder(optional("description", document, spec.description));
    // The harness compares the names of the splits, and both may have none.
    String split = spec.examples.split();
    boolean same = split == null ? spec.testSplit == null : split.equals(spec.testSplit);
    for (Document example : examples.examples(fewshot, same ? document : null)) {
      before.append(example(example));
    }
    String prefix = optional("gen_prefix", document, spec.prefix);
    if (severalInputs) {
      return choices(document, spec.choice).stream()
          .map(question -> before + turn(question, prefix, "", "", ""))
          .toList();
    }
    Object question = text(document, spec.text);
    String asked = of("doc_to_text", document, () -> asText(question));
    return List.of(before + turn(asked, prefix, "", spec.targetDelimiter, ""));
  }

  /**
   * Returns the requests for a document. They have to be asked for in the order of the documents,
   * because the examples of one depend on those before.
   */
  List<Request> requests(Document document) {
    List<String> contexts = contexts(document);
    return switch (spec.output) {
      case LOGLIKELIHOOD ->
          List.of(new Request.Loglikelihood(contexts.getFirst(), targetText(document)));
      case LOGLIKELIHOOD_ROLLING -> List.of(new Request.Rolling(targetText(document)));
      case GENERATE_UNTIL -> {
        Request.Sampling sampling = spec.sampling;
        if (sampling == null) {
          throw new IllegalStateException("a task that generates without saying how");
        }
        yield List.of(new Request.Generate(contexts.getFirst(), sampling));
      }
      case MULTIPLE_CHOICE -> choiceRequests(document, contexts);
    };
  }

  private String targetText(Document document) {
    Object target = target(document, spec.target);
    return of("doc_to_target", document, () -> asText(target));
  }

  private List<Request> choiceRequests(Document document, List<String> contexts) {
    List<String> choices = choices(document, spec.choice);
    List<Request> requests = new ArrayList<>();
    if (severalInputs) {
      String ending = spec.targetDelimiter + PythonText.of(target(document, spec.target));
      contexts.forEach(context -> requests.add(new Request.Loglikelihood(context, ending)));
    } else {
      for (String choice : choices) {
        requests.add(new Request.Loglikelihood(contexts.getFirst(), spec.targetDelimiter + choice));
      }
    }
    if (spec.metrics.stream().anyMatch(metric -> metric.name().equals("acc_mutual_info"))) {
      for (String choice : choices) {
        requests.add(new Request.Loglikelihood("", spec.targetDelimiter + choice));
      }
    }
    return requests;
  }

  /**
   * Says what is wrong with the right answer of a multiple choice where it is none of the choices,
   * so that no prediction is right; null where it is one.
   *
   * @throws InputException for an answer that cannot be scored
   */
  @Nullable String outOfRange(Document document) {
    if (spec.measures != null || spec.choice == null) {
      return null;
    }
    List<String> choices = choices(document, spec.choice);
    TextSource source = severalInputs ? spec.text : spec.target;
    Object gold = severalInputs ? text(document, source) : target(document, source);
    boolean sound =
        of(
            severalInputs ? "doc_to_text" : "doc_to_target",
            document,
            () ->
                spec.output == OutputType.MULTIPLE_CHOICE
                    ? Metrics.golds(gold, choices).stream().allMatch(i -> i >= 0)
                    : place(gold, choices) >= 0);
    return sound
        ? null
        : document.source()
            + ": "
            + Document.shown(gold)
            + " of "
            + choices.size()
            + " choices"
            + (source instanceof TextSource.Template template
                ? ", from " + template.values(document)
                : "");
  }

  // Measures.

  /** Returns the right answer, as samples show it. */
  @Nullable Object target(Document document) {
    return target(document, spec.target);
  }

  /**
   * Measures what came of the requests for a document.
   *
   * @param responses of each request, after the filters; more than one where those keep more
   */
  Map<String, Measured> measures(Document document, List<List<Response>> responses) {
    return of(
        "metric_list",
        document,
        () -> {
          List<Response> first = responses.stream().map(List::getFirst).toList();
          if (spec.measures != null) {
            return spec.measures.apply(document, first);
          }
          return switch (spec.output) {
            case LOGLIKELIHOOD -> Metrics.loglikelihood(spec, first.getFirst());
            case LOGLIKELIHOOD_ROLLING ->
                Metrics.rolling(spec, first.getFirst(), targetText(document));
            case MULTIPLE_CHOICE ->
                Metrics.choice(
                    spec,
                    choices(document, spec.choice),
                    severalInputs ? text(document, spec.text) : target(document, spec.target),
                    severalTargets,
                    first);
            case GENERATE_UNTIL -> Metrics.generated(spec, golds(document), responses.getFirst());
          };
        });
  }

  private List<String> golds(Document document) {
    Object target = target(document, spec.target);
    if (spec.choice != null) {
      List<String> choices = choices(document, spec.choice);
      return List.of(choices.get(place(target, choices)));
    }
    if (severalTargets && target instanceof List<?> list) {
      return list.stream().map(PythonText::of).toList();
    }
    return List.of(PythonText.of(target));
  }
}
