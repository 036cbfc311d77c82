package dev.jneox.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.infer.Completion;
import dev.jneox.infer.Engine;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.Generator;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.LogLikelihood;
import dev.jneox.infer.PackedModel;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.Scorer;
import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Answers the requests of tasks with a model, as lm-evaluation-harness has a model of HF
 * transformers answer them: the same tokens, cut to the context in the same way. An answer is the
 * same to the last bit whatever is asked beside it.
 */
public final class EvaluatedModel implements AutoCloseable {
  private final PackedModel packed;
  private final String tokenizerJson;
  private final Tokenizer tokenizer;
  private final Engine engine;
  private final Scorer scorer;
  private final int context;
  private final int prefix;
  private final String end;
  private final int[] begin;
  private final int sequences;

  /**
   * Starts an engine for the requests of tasks.
   *
   * @param model stays open for as long as this is
   * @param settings as {@link Scorer#settings} makes them
   * @throws InputException if the model has no tokenizer, or no token that begins a text
   */
  public EvaluatedModel(LanguageModel model, Engine.Settings settings) {
    this(
        model.packed(),
        model.tokenizer(),
        model.stored().tokenizerJson().orElse("{}"),
        model.stored().path(),
        settings);
  }

  /**
   * Starts an engine over weights that are no file, as those of a model that is being trained.
   *
   * @param packed stays open for as long as this is
   * @param tokenizer likewise
   * @param tokenizerJson the file of the tokenizer
   * @param place named in errors
   * @param settings as {@link Scorer#settings} makes them
   * @throws InputException if there is no token that begins a text
   */
  public EvaluatedModel(
      PackedModel packed,
      Tokenizer tokenizer,
      String tokenizerJson,
      Path place,
      Engine.Settings settings) {
    this.packed = packed;
    this.tokenizer = tokenizer;
    this.tokenizerJson = tokenizerJson;
    this.begin = begin(tokenizer, tokenizerJson, place);
    int ends = packed.spec().vocabulary().endOfText();
    this.prefix = begin.length > 0 ? begin[0] : ends;
    if (prefix < 0) {
      throw new InputException(
          place
              + ": expected an end-of-text token (eos_token_id), from which texts without a context"
              + " are read, found none");
    }
    this.end = ends < 0 ? "" : tokenizer.decode(new int[] {ends});
    this.context = packed.spec().maxPositions();
    this.sequences = settings.sessions();
    this.engine = new Engine(packed, settings);
    this.scorer = new Scorer(engine);
  }

  /** Returns the tokens that the model's tokenizer puts before each text, by its file. */
  private static int[] begin(Tokenizer tokenizer, String tokenizerJson, Path place) {
    JsonNode processor;
    try {
      processor = new ObjectMapper().readTree(tokenizerJson).path("post_processor");
    } catch (JsonProcessingException e) {
      throw new InputException(place + ": its tokenizer is not JSON", e);
    }
    List<Integer> ids = new ArrayList<>();
    for (JsonNode each :
        processor.path("processors").isArray()
            ? processor.path("processors")
            : List.of(processor)) {
      for (JsonNode part : each.path("single")) {
        String token = part.path("SpecialToken").path("id").asText("");
        if (part.has("Sequence")) {
          break; // what stands behind the text is for texts that end
        }
        OptionalInt id = tokenizer.id(token);
        id.ifPresent(ids::add);
      }
    }
    return ids.stream().mapToInt(id -> id).toArray();
  }

  /**
   * Returns a hash that tells apart models whose answers differ. Reads all weights and the
   * tokenizer.
   */
  public String hash() {
    return TextHash.of(
        HexFormat.of().formatHex(packed.fingerprint())
            + "\n"
            + TextHash.of(tokenizerJson)
            + "\n"
            + prefix);
  }

  /** Returns the most tokens that the model reads. */
  public int context() {
    return context;
  }

  /**
   * Answers requests.
   *
   * @param progress counts them
   * @return in their order
   * @throws InputException if a request cannot be answered
   */
  public List<Response> answers(List<Request> requests, Progress progress) {
    @Nullable Response[] answers = new Response[requests.size()];
    scores(requests, answers, progress);
    rolling(requests, answers, progress);
    texts(requests, answers, progress);
    List<Response> all = new ArrayList<>();
    for (Response answer : answers) {
      if (answer == null) {
        throw new IllegalStateException("a request without an answer");
      }
      all.add(answer);
    }
    return all;
  }

  /** Encodes a text with the tokens that begin one. */
  private int[] encode(String text) {
    int[] ids = tokenizer.encode(text);
    if (begin.length == 0 || ids.length >= begin.length && ids[0] == begin[0]) {
      return ids;
    }
    return concatenated(begin, ids);
  }

  private static int[] concatenated(int[] a, int[] b) {
    int[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  private void scores(List<Request> requests, @Nullable Response[] answers, Progress progress) {
    List<Integer> places = new ArrayList<>();
    List<Scorer.Continuation> continuations = new ArrayList<>();
    for (int i = 0; i < answers.length; i++) {
      if (requests.get(i) instanceof Request.Loglikelihood asked) {
        places.add(i);
        continuations.add(continuation(asked));
      }
    }
    List<Scorer.Continued> scores = scorer.continuations(continuations, progress);
    for (int i = 0; i < scores.size(); i++) {
      Scorer.Continued found = scores.get(i);
      answers[places.get(i)] =
          new Response.Score(
              LogLikelihood.of(found.logProbabilities()).sum(),
              found.logProbabilities().length,
              found.greedy());
    }
  }

  private Scorer.Continuation continuation(Request.Loglikelihood asked) {
    int[] before;
    int[] scored;
    if (asked.context().isEmpty()) {
      int[] ids = tokenizer.encode(asked.continuation());
      boolean begins = ids.length > 0 && ids[0] == prefix;
      before = new int[] {prefix};
      scored = begins ? Arrays.copyOfRange(ids, 1, ids.length) : ids;
    } else {
      // White space at the end of a context is a part of the first word behind it.
      String context = PythonText.stripEnd(asked.context());
      String end = asked.context().substring(context.length());
      before = encode(context);
      int[] whole = encode(context + end + asked.continuation());
      scored = Arrays.copyOfRange(whole, Math.min(before.length, whole.length), whole.length);
    }
    if (before.length == 0 || scored.length == 0 || scored.length > context) {
      throw new InputException(
          "a context of "
              + before.length
              + " tokens and a continuation of "
              + scored.length
              + ": expected a context, and a continuation of 1 to "
              + context
              + " tokens: '"
              + shortened(asked.context())
              + "' '"
              + shortened(asked.continuation())
              + "'");
    }
    int[] ids = concatenated(before, scored);
    int left = Math.max(0, ids.length - context - 1);
    return new Scorer.Continuation(Arrays.copyOfRange(ids, left, ids.length), before.length - left);
  }

  private static String shortened(String text) {
    return text.length() <= 40
        ? text
        : "..." + text.substring(text.offsetByCodePoints(text.length(), -30));
  }

  private void rolling(List<Request> requests, @Nullable Response[] answers, Progress progress) {
    List<Integer> places = new ArrayList<>();
    List<int[]> texts = new ArrayList<>();
    for (int i = 0; i < answers.length; i++) {
      if (requests.get(i) instanceof Request.Rolling(String text)) {
        places.add(i);
        texts.add(concatenated(new int[] {prefix}, encode(text)));
      }
    }
    List<Response> found = new ArrayList<>();
    scorer.rolling(
        texts.iterator(),
        Progress.silent(),
        (_, scores) -> {
          found.add(new Response.Score(LogLikelihood.of(scores).sum(), scores.length, false));
          progress.step(1);
        });
    for (int i = 0; i < found.size(); i++) {
      answers[places.get(i)] = found.get(i);
    }
  }

  private void texts(List<Request> requests, @Nullable Response[] answers, Progress progress) {
    Generator generator = new Generator(engine, tokenizer);
    Semaphore room = new Semaphore(2 * sequences);
    List<Integer> places = new ArrayList<>();
    List<Future<String>> texts = new ArrayList<>();
    Map<Request, Integer> repeats = new HashMap<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < answers.length; i++) {
        if (requests.get(i) instanceof Request.Generate asked) {
          places.add(i);
          // Repeated requests draw other texts, the same ones each time.
          long seed = FewShot.SEED + repeats.merge(asked, 1, Integer::sum) - 1;
          room.acquire();
          texts.add(
              threads.submit(
                  () -> {
                    try {
                      return text(generator, asked, seed);
                    } finally {
                      progress.step(1);
                      room.release();
                    }
                  }));
        }
      }
      for (int i = 0; i < texts.size(); i++) {
        answers[places.get(i)] = new Response.Written(texts.get(i).get());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException("interrupted while texts were generated", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private String text(Generator generator, Request.Generate asked, long seed) {
    Request.Sampling sampling = asked.sampling();
    int most = context - sampling.maxTokens();
    if (most < 1) {
      throw new InputException(
          "max_gen_toks: expected less than the model's context of "
              + context
              + " tokens, found "
              + sampling.maxTokens());
    }
    int[] ids = encode(asked.context());
    int[] read = Arrays.copyOfRange(ids, Math.max(0, ids.length - most), ids.length);
    Sampler sampler =
        sampling.temperature() == 0
            ? Sampler.GREEDY
            : Sampler.GREEDY
                .withTemperature(sampling.temperature())
                .withTopP(sampling.topP())
                .withTopK(sampling.topK())
                .withSeed(seed);
    List<String> until =
        Stream.concat(sampling.until().stream(), Stream.of(end))
            .filter(text -> !text.isEmpty())
            .distinct()
            .toList();
    Completion completion =
        generator.generate(
            GenerationRequest.builder(read.length == 0 ? new int[] {prefix} : read)
                .maxTokens(sampling.maxTokens())
                .sampler(sampler)
                .build(),
            until,
            Generator.Listener.NONE);
    return completion.text() == null ? "" : completion.text();
  }

  /** Ends the engine. */
  @Override
  public void close() {
    engine.close();
  }
}
