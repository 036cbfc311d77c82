package dev.jneox.serve;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.infer.Completion;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.GenerationResult;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.Token;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Answers {@code POST /v1/completions}, as OpenAI's API defines it and vLLM extends it. */
final class Completions {
  private static final int MOST_PROMPTS = 2048;
  private static final int MOST_ANSWERS = 4096;
  private static final int MAX_TOKENS = 16; // OpenAI's default

  private final ServedModel model;
  private final Call call;
  private final List<Prompt> prompts;
  private final GenerationOptions options;
  private final int maxTokens;
  private final boolean echo;
  private final OptionalInt logprobs;
  private final int bestOf;
  private final long created = System.currentTimeMillis() / 1000;

  /**
   * @param text as it was given, or that of the ids; only read where it is echoed
   */
  private record Prompt(String text, int[] ids) {}

  /** Reads a request. */
  Completions(Body body, ServedModel model, Call call) {
    this.model = model;
    this.call = call;
    this.prompts = prompts(body);
    this.options = GenerationOptions.read(body, model);
    this.echo = body.flag("echo", false);
    this.logprobs = body.integer("logprobs", 0, GenerationRequest.MAX_LOGPROBS);
    OptionalInt given = body.integer("max_tokens", 0, Integer.MAX_VALUE);
    this.bestOf =
        body.integer("best_of", 1, GenerationOptions.MOST_CHOICES).orElse(options.choices());
    body.flag("add_special_tokens", true);
    body.refuse("suffix", "the models here write what follows a text, not what lies between two");
    body.end();
    if (bestOf < options.choices()) {
      throw ApiException.invalid(
          "best_of",
          "best_of: expected at least n = %d, found %d".formatted(options.choices(), bestOf));
    }
    if (bestOf > options.choices() && options.stream()) {
      throw ApiException.invalid(
          "best_of",
          "best_of: expected n where the answer is streamed: the best is known at its end");
    }
    if ((long) prompts.size() * bestOf > MOST_ANSWERS) {
      throw ApiException.invalid(
          "prompt",
          "prompt: expected at most %d answers in one request, found %d prompts with %d each"
              .formatted(MOST_ANSWERS, prompts.size(), bestOf));
    }
    int longest =
        prompts.stream().mapToInt(prompt -> Math.max(1, prompt.ids.length)).max().orElse(1);
    this.maxTokens = given.orElse(Math.clamp(model.context() - longest, 1, MAX_TOKENS));
    options.checkLeast(maxTokens);
    for (Prompt prompt : prompts) {
      // The last token of an echoed answer is not read by the model.
      boolean scored = echo && maxTokens <= 1;
      check(
          Math.max(1, prompt.ids.length), maxTokens, model.context() + (scored ? 1 : 0), "prompt");
    }
  }

  /** Checks that prompt and answer fit. */
  static void check(long prompt, long answer, long context, String param) {
    if (prompt > context && answer == 0) {
      throw ApiException.tooLong(
          param, "the context is %d tokens, found %d of the %s".formatted(context, prompt, param));
    }
    if (prompt + answer > context) {
      throw ApiException.tooLong(
          param,
          "the context is %d tokens, found %d: %d of the prompt and max_tokens %d"
              .formatted(context, prompt + answer, prompt, answer));
    }
  }

  boolean streamed() {
    return options.stream();
  }

  private List<Prompt> prompts(Body body) {
    return new PromptReader(body, model, "prompt", MOST_PROMPTS).read(Prompt::new);
  }

  /** Writes the answers and returns the body of the response. */
  ObjectNode answer() {
    ObjectNode root = head();
    ArrayNode choices = root.putArray("choices");
    List<List<Completion>> answers = run(Answers.Listener.NONE);
    for (int p = 0; p < prompts.size(); p++) {
      for (Completion completion : best(answers.get(p))) {
        Prompt prompt = prompts.get(p);
        ObjectNode choice = choices.addObject().put("index", choices.size() - 1);
        choice.put("text", (echo ? prompt.text : "") + completion.text());
        choice.set(
            "logprobs", logprobs.isEmpty() ? null : logprobs(prompt, completion.generation()));
        choice.put("finish_reason", reason(completion.reason()));
      }
    }
    root.set("usage", usage(answers.stream().flatMap(List::stream).toList()));
    return root;
  }

  private ObjectNode head() {
    return JsonNodeFactory.instance
        .objectNode()
        .put("id", "cmpl-" + call.id())
        .put("object", "text_completion")
        .put("created", created)
        .put("model", model.id());
  }

  /** Runs every prompt {@link #bestOf} times; the answers of each prompt in their order. */
  private List<List<Completion>> run(Answers.Listener listener) {
    List<GenerationRequest> requests = new ArrayList<>();
    for (Prompt prompt : prompts) {
      for (int choice = 0; choice < bestOf; choice++) {
        requests.add(request(prompt, choice));
      }
    }
    List<Completion> all =
        maxTokens == 0 && !scoresPrompt()
            ? prompts.stream()
                .flatMap(prompt -> IntStream.range(0, bestOf).mapToObj(_ -> nothing(prompt)))
                .toList()
            : new Answers(model, call, bestOf).run(requests, options.stop(), listener);
    List<List<Completion>> grouped = new ArrayList<>();
    for (int p = 0; p < prompts.size(); p++) {
      grouped.add(all.subList(p * bestOf, (p + 1) * bestOf));
    }
    return grouped;
  }

  private boolean scoresPrompt() {
    return echo && logprobs.isPresent();
  }

  private GenerationRequest request(Prompt prompt, int choice) {
    boolean nothing = maxTokens == 0 && !scoresPrompt();
    GenerationRequest.Builder builder =
        options.request(prompt.ids, nothing ? 1 : maxTokens, choice);
    if (logprobs.isPresent()) {
      builder.logprobs(logprobs.getAsInt());
      if (scoresPrompt()) {
        builder.promptLogprobs(logprobs.getAsInt());
      }
    } else if (bestOf > options.choices()) {
      builder.logprobs(0);
    }
    return builder.build();
  }

  /** The answer where neither a token nor a score is wanted. */
  private static Completion nothing(Prompt prompt) {
    return new Completion(
        "",
        new GenerationResult(
            prompt.ids,
            List.of(),
            List.of(),
            FinishReason.MAX_TOKENS,
            new GenerationResult.Usage(prompt.ids.length, 0, 0),
            new GenerationResult.Times(0, Double.NaN, 0)));
  }

  /** Returns the answers that are likeliest by the mean log-probability of their tokens. */
  private List<Completion> best(List<Completion> answers) {
    return bestOf == options.choices()
        ? answers
        : answers.stream()
            .sorted(Comparator.comparingDouble(Completions::meanLogProb).reversed())
            .limit(options.choices())
            .toList();
  }

  private static double meanLogProb(Completion completion) {
    return completion.generation().tokens().stream()
        .mapToDouble(Token::logProb)
        .average()
        .orElse(Double.NEGATIVE_INFINITY);
  }

  /** The lists of log-probabilities of prompt and answer, or of the answer alone. */
  private ObjectNode logprobs(Prompt prompt, GenerationResult result) {
    LogprobLists lists = new LogprobLists(model.texts(), logprobs.getAsInt(), 0);
    if (echo) {
      int[] ids = result.promptIds();
      lists.addFirst(ids[0]);
      result.prompt().forEach(lists::add);
    }
    result.tokens().forEach(lists::add);
    return lists.json();
  }

  /** Writes the answers as they grow. */
  void stream(EventStream events) {
    boolean whole = scoresPrompt(); // the scores of a prompt are there when it ends
    int total = prompts.size() * options.choices();
    int[] offsets = new int[total];
    if (echo && !whole) {
      for (int i = 0; i < total; i++) {
        String text = prompts.get(i / bestOf).text;
        offsets[i] = text.codePointCount(0, text.length());
        events.send(chunk(i, text, null, null));
      }
    }
    List<List<Completion>> answers =
        run(
            new Answers.Listener() {
              private final LogprobLists[] pending = new LogprobLists[total];

              @Override
              public void piece(int answer, TextPiece piece) {
                if (whole) {
                  return;
                }
                if (logprobs.isPresent()) {
                  if (pending[answer] == null) {
                    pending[answer] =
                        new LogprobLists(model.texts(), logprobs.getAsInt(), offsets[answer]);
                  }
                  pending[answer].add(piece.token());
                }
                if (!piece.text().isEmpty()) {
                  offsets[answer] += piece.text().codePointCount(0, piece.text().length());
                  events.send(chunk(answer, piece.text(), take(answer), null));
                }
              }

              private @Nullable ObjectNode take(int answer) {
                LogprobLists lists = pending[answer];
                pending[answer] = null;
                return lists == null ? null : lists.json();
              }

              @Override
              public void end(int answer, Completion completion) {
                Prompt prompt = prompts.get(answer / bestOf);
                events.send(
                    whole
                        ? chunk(
                            answer,
                            prompt.text + completion.text(),
                            logprobs(prompt, completion.generation()),
                            completion.reason())
                        : chunk(answer, "", take(answer), completion.reason()));
              }
            });
    if (maxTokens == 0 && !whole) {
      for (int i = 0; i < total; i++) {
        events.send(chunk(i, "", null, FinishReason.MAX_TOKENS));
      }
    }
    if (options.streamUsage()) {
      ObjectNode last = head();
      last.putArray("choices");
      last.set("usage", usage(answers.stream().flatMap(List::stream).toList()));
      events.send(last);
    }
    events.done();
  }

  private ObjectNode chunk(
      int index, String text, @Nullable ObjectNode logprobs, @Nullable FinishReason reason) {
    ObjectNode root = head();
    ObjectNode choice = root.putArray("choices").addObject();
    choice.put("index", index).put("text", text);
    choice.set("logprobs", logprobs);
    choice.put("finish_reason", reason == null ? null : reason(reason));
    if (options.streamUsage()) {
      root.putNull("usage");
    }
    return root;
  }

  /** Counts the tokens of prompts and answers; a prompt counts once, however many its answers. */
  ObjectNode usage(List<Completion> answers) {
    long prompt = 0;
    long reused = 0;
    for (int i = 0; i < answers.size(); i += bestOf) {
      prompt += answers.get(i).usage().promptTokens();
      reused += answers.get(i).usage().reusedTokens();
    }
    return usage(prompt, reused, answers.stream().mapToLong(c -> c.usage().newTokens()).sum());
  }

  static ObjectNode usage(long prompt, long reused, long completion) {
    ObjectNode usage =
        JsonNodeFactory.instance
            .objectNode()
            .put("prompt_tokens", prompt)
            .put("completion_tokens", completion)
            .put("total_tokens", prompt + completion);
    usage.putObject("prompt_tokens_details").put("cached_tokens", reused);
    return usage;
  }

  /** Names a reason as OpenAI does. */
  static String reason(FinishReason reason) {
    return switch (reason) {
      case END_OF_TEXT, STOP_TOKEN, STOP_STRING, CONSTRAINT -> "stop";
      case MAX_TOKENS, CONTEXT_FULL -> "length";
      case CANCELLED, STALLED -> "stop"; // never sent: an error is
    };
  }
}
