package dev.jneox.cli;

import dev.jneox.infer.Completion;
import dev.jneox.infer.Engine;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.GenerationResult;
import dev.jneox.infer.Generator;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.TextStream;
import dev.jneox.io.CancelledException;
import dev.jneox.io.Counted;
import dev.jneox.io.Progress;
import dev.jneox.model.SamplingDefaults;
import dev.jneox.tokenizer.Tokenizer;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Continues a text. */
@Command(
    name = "generate",
    sortOptions = false,
    description = {
      "Continue a text with a model.",
      "It ends with an id that ends a text by config.json or generation_config.json (eos_token_id),"
          + " or at --max-tokens. Sampling options that are not given are taken from"
          + " generation_config.json: those of a chat model; a base model mostly has none."
    },
    footer = {
      "",
      "Examples: the likeliest continuation; one drawn, up to the end of the method; one of"
          + " standard input:",
      "  jneox generate --model DIR --prompt \"public final class\" --max-tokens 100",
      "  jneox generate --model DIR --prompt \"int max(int a, int b) {\" \\",
      "      --temperature 0.8 --top-p 0.9 --seed 7 --stop $'\\n}'",
      "  jneox generate --model DIR --prompt - --json < prompt.txt",
      "three of a file:",
      "  jneox generate --model DIR --prompt-file prompt.txt -n 3 --temperature 0.8",
      "with the model of this project, and examples before the prompt:",
      "  jneox generate --few-shot qa --prompt \"What is a kernel?\""
    })
public final class GenerateCommand implements Runnable {
  private static final int MOST_SAMPLES = 10_000;

  /** Samples that are written at a time. */
  private static final int AT_ONCE = 16;

  @Spec private CommandSpec spec;

  @Mixin private ModelOptions model;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Prompt prompt;

  private static final class Prompt {
    @Option(
        names = "--prompt",
        paramLabel = "TEXT",
        description =
            "What to continue; - reads it from standard input. An empty one begins a document.")
    private String text;

    @Option(
        names = "--prompt-ids",
        paramLabel = "IDS",
        converter = TextArgument.Ids.Parser.class,
        description = "What to continue as token ids, \"1 2 3\".")
    private TextArgument.Ids ids;

    @Option(
        names = "--prompt-file",
        paramLabel = "FILE",
        description = "What to continue, a file in UTF-8, its last line end included.")
    private Path file;

    int[] ids(LanguageModel model, FewShotPrompt fewShot) {
      if (ids != null) {
        return ids.ids();
      }
      String own =
          file == null
              ? TextArgument.text("--prompt", text)
              : TextArgument.file("--prompt-file", file);
      return model.tokenizer().encode(fewShot == null ? own : fewShot.text(own));
    }
  }

  @Option(
      names = "--few-shot",
      paramLabel = "KIND",
      description = {
        "Put examples before the prompt, so that a base model sees what is asked:",
        "code (the prompt says what a Java method does), poem (a title), news (a headline) or qa"
            + " (a question). The text ends at an empty line."
      })
  private FewShotPrompt fewShot;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "64",
      description = "Most tokens to write. Default: ${DEFAULT-VALUE}.")
  private int maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = {
        "0 takes the likeliest token each time, 1 draws as the model says, less is safer.",
        "Default: as generation_config.json of the model says; else 0, with --top-k or"
            + " --top-p 1."
      })
  private Double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = {
        "Draw from the K likeliest tokens only.",
        "Default: as generation_config.json of the model says; else 0, all."
      })
  private Integer topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = {
        "Draw from the likeliest tokens that together pass this probability.",
        "Default: as generation_config.json of the model says; else 1, all."
      })
  private Double topP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "F",
      description = {
        "Above 1, tokens that are in the text already become less likely.",
        "Default: as generation_config.json of the model says; else 1, none."
      })
  private Double repetitionPenalty;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1234",
      description = "The same seed writes the same text. Default: ${DEFAULT-VALUE}.")
  private long seed;

  @Option(
      names = {"-n", "--samples"},
      paramLabel = "N",
      defaultValue = "1",
      description = {
        "Write N continuations, with --seed, --seed + 1 and so on, all at once; each is what its"
            + " seed writes alone. Needs a --temperature, --top-k or --top-p.",
        "Default: ${DEFAULT-VALUE}."
      })
  private int samples;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "End the text before this string; may be given several times.")
  private List<String> stop = List.of();

  @Option(
      names = "--json",
      description =
          "Print prompt_ids, ids, text, seconds, first_token_seconds, tokens_per_second (of those"
              + " behind the first) and stop_reason at the end; with -n a line for each sample,"
              + " and its seed.")
  private boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Override
  public void run() {
    // A wrong option is told before the model opens.
    Sampler asked = Usage.of(spec, () -> sampler(SamplingDefaults.NONE));
    Usage.require(spec, maxTokens >= 1, "--max-tokens", "1 or more", maxTokens);
    Usage.require(
        spec,
        samples >= 1 && samples <= MOST_SAMPLES,
        "-n",
        "1 to " + MOST_SAMPLES + " samples",
        samples);
    if (fewShot != null) {
      if (prompt.ids != null) {
        throw new ParameterException(
            spec.commandLine(), "--few-shot takes --prompt or --prompt-file, not --prompt-ids");
      }
      stop = Stream.concat(stop.stream(), FewShotPrompt.STOP.stream()).toList();
    }
    try (LanguageModel loaded = model.open()) {
      Sampler sampler = sampler(loaded.sampling());
      if (samples > 1 && (sampler.temperature() == 0 || sampler.topK() == 1)) {
        throw new ParameterException(
            spec.commandLine(),
            "-n: without a temperature all "
                + samples
                + " samples are the same; give --temperature 0.8 or another");
      }
      if (!json && !sampler.equals(asked)) {
        PrintWriter err = spec.commandLine().getErr();
        err.printf(
            Locale.ROOT,
            "by the model's generation_config.json: temperature %s, top-k %d, top-p %s,"
                + " repetition penalty %s%n",
            sampler.temperature(),
            sampler.topK(),
            sampler.topP(),
            sampler.repetitionPenalty());
        err.flush();
      }
      GenerationRequest request = request(prompt.ids(loaded, fewShot), sampler);
      if (samples > 1) {
        several(loaded, request);
      } else if (json) {
        report(loaded.generator(), request);
      } else {
        stream(loaded, request);
      }
    }
  }

  /** Returns the options given, and the defaults of the model for the others. */
  private Sampler sampler(SamplingDefaults defaults) {
    boolean draws = topK != null && topK > 0 || topP != null && topP > 0 && topP < 1;
    return Sampler.GREEDY
        .withTemperature(
            temperature != null ? temperature : defaults.temperature().orElse(draws ? 1 : 0))
        .withTopK(topK != null ? topK : defaults.topK().orElse(0))
        .withTopP(topP != null ? topP : defaults.topP().orElse(1))
        .withRepetitionPenalty(
            repetitionPenalty != null ? repetitionPenalty : defaults.repetitionPenalty().orElse(1))
        .withSeed(seed);
  }

  private GenerationRequest request(int[] ids, Sampler sampler) {
    return GenerationRequest.builder(ids).maxTokens(maxTokens).sampler(sampler).build();
  }

  /**
   * Writes all samples at once, and prints them in order, each as soon as it and those before are
   * there.
   */
  private void several(LanguageModel loaded, GenerationRequest first) {
    PrintWriter out = spec.commandLine().getOut();
    String prompt = loaded.hasTokenizer() ? loaded.tokenizer().decode(first.promptIds()) : "";
    Engine.Settings settings = Engine.Settings.of(loaded.packed(), Math.min(samples, AT_ONCE));
    try (Engine engine = loaded.engine(settings.withQueue(samples));
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Generator generator =
          new Generator(engine, loaded.hasTokenizer() ? loaded.tokenizer() : null);
      List<Future<Completion>> running = new ArrayList<>();
      for (int i = 0; i < samples; i++) {
        GenerationRequest request = request(first.promptIds(), first.sampler().withSeed(seed + i));
        running.add(
            threads.submit(() -> generator.generate(request, stop, Generator.Listener.NONE)));
      }
      for (int i = 0; i < samples && !out.checkError(); i++) {
        Completion completion = finished(running.get(i));
        if (json) {
          Map<String, Object> line = new LinkedHashMap<>();
          line.put("seed", seed + i);
          line.putAll(json(completion));
          out.println(Json.line(line));
        } else {
          String text =
              completion.text() == null ? ids(completion.generation()) : completion.text();
          out.printf(
              "%s--- sample %d of %d, seed %d%n", i == 0 ? "" : "\n", i + 1, samples, seed + i);
          out.println(prompt + text);
        }
        out.flush();
      }
      if (out.checkError()) {
        threads.shutdownNow();
      }
    }
  }

  private static String ids(GenerationResult result) {
    return Arrays.stream(result.ids()).mapToObj(String::valueOf).collect(Collectors.joining(" "));
  }

  private static Completion finished(Future<Completion> sample) {
    try {
      return sample.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException("interrupted while waiting for a sample", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private void report(Generator generator, GenerationRequest request) {
    Completion completion;
    try (Progress progress = ProgressLine.of("generating", "tokens", maxTokens)) {
      completion =
          generator.generate(
              request,
              stop,
              (id, text) -> {
                progress.step(1);
                return true;
              });
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(Json.line(json(completion)));
    out.flush();
  }

  private static Map<String, Object> json(Completion completion) {
    GenerationResult result = completion.generation();
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("prompt_ids", result.promptIds());
    report.put("ids", result.ids());
    report.put("text", completion.text());
    report.put("seconds", result.times().end());
    report.put("first_token_seconds", result.times().firstToken());
    report.put("tokens_per_second", tokensPerSecond(result));
    report.put("stop_reason", result.reason().name().toLowerCase(Locale.ROOT));
    return report;
  }

  /**
   * The prompt and what follows, each piece as soon as it is there; ids where there is no
   * tokenizer.
   */
  private void stream(LanguageModel loaded, GenerationRequest request) {
    PrintWriter out = spec.commandLine().getOut();
    Tokenizer tokenizer = loaded.hasTokenizer() ? loaded.tokenizer() : null;
    GenerationResult result;
    // The request is checked as the stream begins: a prompt that is refused is not printed.
    try (TextStream pieces = loaded.generator().stream(request, stop)) {
      out.print(tokenizer == null ? "" : tokenizer.decode(request.promptIds()));
      out.flush();
      while (pieces.hasNext()) {
        TextPiece piece = pieces.next();
        out.print(tokenizer == null ? piece.id() + " " : piece.text());
        if (out.checkError()) { // a closed pipe ends the generation
          pieces.cancel();
        }
      }
      result = pieces.result().generation();
    }
    out.println();
    if (out.checkError()) {
      return; // the text was lost, and Main says so
    }
    PrintWriter err = spec.commandLine().getErr();
    int tokens = result.tokens().size();
    err.printf(
        Locale.ROOT,
        "%s in %.2f s; ended by: %s%n",
        Counted.text(tokens, "token"),
        result.times().end(),
        result.reason().description());
    if (tokens > 1) {
      err.printf(
          Locale.ROOT,
          "the first after %.2f s, then %.1f tokens/s%n",
          result.times().firstToken(),
          tokensPerSecond(result));
    }
    err.flush();
  }

  /** Of the tokens behind the first, for which the prompt is read and the engine warms up. */
  private static double tokensPerSecond(GenerationResult result) {
    int tokens = result.tokens().size();
    return tokens < 2
        ? result.tokensPerSecond()
        : (tokens - 1) / (result.times().end() - result.times().firstToken());
  }
}
