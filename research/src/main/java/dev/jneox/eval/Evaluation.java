package dev.jneox.eval;

import dev.jneox.io.Counted;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Evaluates a model on tasks, with the results that lm-evaluation-harness gives for it. */
public final class Evaluation {
  /**
   * Says how tasks are run.
   *
   * @param fewshot examples in front of each document, where the task's file does not say 0; empty
   *     for what it says
   * @param limit the first documents of each task alone; empty for all
   * @param bootstrap samples drawn for a standard error that no formula gives; 0 for no errors
   * @param seed of the examples
   */
  public record Settings(OptionalInt fewshot, OptionalInt limit, int bootstrap, long seed) {
    /** The harness's settings. */
    public static final Settings DEFAULT =
        new Settings(OptionalInt.empty(), OptionalInt.empty(), 100_000, FewShot.SEED);

    /**
     * @throws InputException that names the setting which is out of range
     */
    public Settings {
      if (fewshot.isPresent() && fewshot.getAsInt() < 0) {
        throw new InputException("num fewshot: expected 0 or more, found " + fewshot.getAsInt());
      }
      if (limit.isPresent() && limit.getAsInt() < 1) {
        throw new InputException("limit: expected 1 or more, found " + limit.getAsInt());
      }
    }

    /** Returns a copy with another number of examples. */
    public Settings withFewshot(OptionalInt value) {
      return new Settings(value, limit, bootstrap, seed);
    }

    /** Returns a copy with another limit. */
    public Settings withLimit(OptionalInt value) {
      return new Settings(fewshot, value, bootstrap, seed);
    }

    /** Returns a copy with another number of drawn samples. */
    public Settings withBootstrap(int value) {
      return new Settings(fewshot, limit, value, seed);
    }
  }

  /** Tasks whose failures are told one by one. */
  private static final int MOST_TOLD = 20;

  private final Settings settings;
  private final DataFolder data;
  private final Consumer<String> notes;

  /** Makes an evaluation with settings, on data. */
  public Evaluation(Settings settings, DataFolder data) {
    this(settings, data, note -> {});
  }

  /**
   * Makes an evaluation that tells what is odd about the data.
   *
   * @param notes receives one line for each kind of oddity in a task, and one for each further task
   *     that cannot be evaluated, before {@link #run} throws the error of the first
   */
  public Evaluation(Settings settings, DataFolder data, Consumer<String> notes) {
    this.settings = settings;
    this.data = data;
    this.notes = notes;
  }

  /** Holds a document with its requests. */
  private record Asked(int number, Document document, List<Request> requests) {}

  /** Holds a task whose prompts are written. */
  private record Prepared(Task task, List<Asked> asked) {
    long requests() {
      return (long) task.spec.repeats * asked.stream().mapToInt(each -> each.requests.size()).sum();
    }
  }

  /** Holds tasks whose data are read and whose prompts are written, for any number of models. */
  public static final class Ready {
    private final List<Prepared> tasks;
    private final List<Group> groups;

    private Ready(List<Prepared> tasks, List<Group> groups) {
      this.tasks = tasks;
      this.groups = groups;
    }
  }

  /**
   * Reads the data of tasks and writes their prompts, so that what is wrong with them shows before
   * the work begins.
   *
   * @throws InputException if data are missing or not as a task needs them; those of further tasks
   *     are suppressed in it
   */
  public Ready prepare(Selection selection) {
    List<Prepared> tasks = new ArrayList<>();
    List<InputException> failures = new ArrayList<>();
    for (TaskSpec spec : selection.tasks()) {
      try {
        Task task = new Task(spec, data, fewshot(spec), settings.seed());
        tasks.add(new Prepared(task, asked(task)));
      } catch (InputException e) {
        failures.add(e);
      }
    }
    refuse(failures);
    return new Ready(tasks, selection.groups());
  }

  /**
   * Evaluates tasks.
   *
   * @param progress counts requests, and notes the task
   * @throws InputException if data are missing or not as a task needs them; those of further tasks
   *     are suppressed in it
   */
  public EvaluationResults run(Selection selection, EvaluatedModel model, Progress progress) {
    return run(prepare(selection), model, null, progress);
  }

  /**
   * Evaluates tasks, and asks the model for no answer that it gave before.
   *
   * @param log has the model's answers, and keeps new ones; null for none
   * @param progress counts requests, and notes the task
   * @throws InputException if the data are not those that the answers in the log are of
   */
  public EvaluationResults run(
      Ready ready, EvaluatedModel model, @Nullable AnswerLog log, Progress progress) {
    List<Prepared> tasks = ready.tasks;
    if (log != null) {
      tasks.forEach(each -> log.require(each.task.spec.name(), each.task.hashes));
    }
    progress.total(tasks.stream().mapToLong(Prepared::requests).sum());
    Map<String, TaskResult> results = new LinkedHashMap<>();
    for (Prepared each : tasks) {
      progress.note(each.task.spec.name());
      results.put(each.task.spec.name(), run(each.task, each.asked, model, log, progress));
    }
    Map<String, Group> byName = new LinkedHashMap<>();
    ready.groups.forEach(group -> byName.put(group.name(), group));
    Map<String, GroupResult> groups = new LinkedHashMap<>();
    for (Group group : ready.groups) {
      int documents =
          group.tasks(byName).stream()
              .map(results::get)
              .filter(Objects::nonNull)
              .mapToInt(TaskResult::documents)
              .sum();
      groups.put(
          group.name(),
          new GroupResult(
              group.name(),
              group.alias(),
              group.version(),
              group.members(),
              documents,
              group.scores(byName, results)));
    }
    return new EvaluationResults(
        Collections.unmodifiableMap(results), Collections.unmodifiableMap(groups));
  }

  /** Throws the first failure, and tells the others. */
  private void refuse(List<InputException> failures) {
    if (failures.isEmpty()) {
      return;
    }
    InputException first = failures.getFirst();
    for (InputException more : failures.subList(1, Math.min(failures.size(), MOST_TOLD))) {
      first.addSuppressed(more);
      notes.accept(String.valueOf(more.getMessage()));
    }
    if (failures.size() > MOST_TOLD) {
      notes.accept(failures.size() - MOST_TOLD + " more tasks cannot be evaluated");
    }
    throw first;
  }

  private int fewshot(TaskSpec spec) {
    boolean fixed = spec.fewshot.isPresent() && spec.fewshot.getAsInt() == 0;
    return fixed ? 0 : settings.fewshot().orElse(spec.fewshot.orElse(0));
  }

  private List<Asked> asked(Task task) {
    int n = Math.min(task.documents.size(), settings.limit().orElse(Integer.MAX_VALUE));
    List<Asked> asked = new ArrayList<>(n);
    List<String> outOfRange = new ArrayList<>();
    List<String> blank = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      Document document = task.documents.get(i);
      List<Request> requests = task.requests(document);
      asked.add(new Asked(i, document, requests));
      String odd = task.outOfRange(document);
      if (odd != null) {
        outOfRange.add(odd);
      }
      if (requests.stream().anyMatch(Evaluation::isBlank)) {
        blank.add(document.source());
      }
    }
    warn(task, outOfRange, "a label that is none of the choices, which no answer can match");
    warn(task, blank, "white space alone to predict, whose score means little");
    return asked;
  }

  private static boolean isBlank(Request request) {
    return switch (request) {
      case Request.Loglikelihood asked -> asked.continuation().isBlank();
      case Request.Rolling asked -> asked.text().isBlank();
      case Request.Generate _ -> false;
    };
  }

  private void warn(Task task, List<String> places, String what) {
    if (!places.isEmpty()) {
      notes.accept(
          "warning: task "
              + task.spec.name()
              + ": "
              + Counted.text(places.size(), "document")
              + (places.size() == 1 ? " has " : " have ")
              + what
              + ": "
              + (places.size() == 1 ? "" : "the first is ")
              + places.getFirst());
    }
  }

  private TaskResult run(
      Task task,
      List<Asked> asked,
      EvaluatedModel model,
      @Nullable AnswerLog log,
      Progress progress) {
    int repeats = task.spec.repeats;
    List<Request> requests = new ArrayList<>();
    for (Asked each : asked) {
      for (Request request : each.requests) {
        requests.addAll(Collections.nCopies(repeats, request));
      }
    }
    List<Response> answers;
    try {
      answers =
          log == null ? model.answers(requests, progress) : log.answers(requests, model, progress);
    } catch (InputException e) {
      throw e.withMessage("task " + task.spec.name() + ": " + e.getMessage());
    }
    List<Sample> samples = new ArrayList<>();
    List<Score> scores = new ArrayList<>();
    for (TaskSpec.FilterChain chain : task.spec.filters) {
      Map<String, List<Measured>> measured = new LinkedHashMap<>();
      int at = 0;
      for (Asked each : asked) {
        List<List<Response>> responses = new ArrayList<>();
        for (int i = 0; i < each.requests.size(); i++) {
          responses.add(answers.subList(at, at + repeats));
          at += repeats;
        }
        Sample sample = sample(task, chain, each, responses);
        samples.add(sample);
        sample
            .measures()
            .forEach(
                (metric, value) ->
                    measured.computeIfAbsent(metric, _ -> new ArrayList<>()).add(value));
      }
      measured.forEach((metric, values) -> scores.add(score(task, chain, metric, values)));
    }
    return new TaskResult(
        task.spec.name(),
        task.spec.alias,
        task.spec.version,
        task.fewshot,
        task.documents.size(),
        asked.size(),
        scores,
        samples,
        task.spec.settings,
        Collections.unmodifiableMap(new LinkedHashMap<>(task.files)));
  }

  private static Sample sample(
      Task task, TaskSpec.FilterChain chain, Asked asked, List<List<Response>> responses) {
    List<List<Response>> filtered = new ArrayList<>();
    for (List<Response> each : responses) {
      List<Response> left = each;
      for (ResponseFilter filter : chain.filters()) {
        left = filter.apply(left, asked.document);
      }
      filtered.add(left);
    }
    return new Sample(
        asked.number,
        asked.document,
        task.target(asked.document),
        chain.name(),
        asked.requests,
        responses,
        filtered,
        task.measures(asked.document, filtered));
  }

  private Score score(Task task, TaskSpec.FilterChain chain, String name, List<Measured> values) {
    Metric metric =
        task.spec.metrics.stream()
            .filter(each -> each.name().equals(name))
            .findFirst()
            .orElseGet(() -> Metric.mean(name));
    try {
      return new Score(
          name,
          chain.name(),
          metric.aggregation().of().apply(values),
          metric.aggregation().standardError(values, settings.bootstrap()),
          metric.higherIsBetter());
    } catch (InputException e) {
      throw e.withMessage("task " + task.spec.name() + ": " + name + ": " + e.getMessage());
    }
  }
}
