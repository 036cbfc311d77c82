package dev.jneox.cli;

import dev.jneox.data.UnigramCounts;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.TextLikelihood;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.tokenizer.StreamingDecoder;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Says how likely a model finds each token of a text. */
@Command(
    name = "score",
    sortOptions = false,
    description = {
      "Print how likely a model finds each token of a text, given those before it.",
      "Scores are natural logarithms of probabilities. First comes the loss of all, beside that of"
          + " a unigram model, which knows how often each token comes among the others of this"
          + " text.",
      "A text beyond the model's context is read in windows that overlap by half."
    },
    footer = {
      "",
      "Examples:",
      "  jneox score --model DIR --text \"for (int i = 0; i < n; i++)\"",
      "  jneox score --model DIR --file Example.java",
      "  jneox score --model DIR --ids \"1 2 3\" --json"
    })
public final class ScoreCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Mixin private ModelOptions model;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Input input;

  private static final class Input {
    @Option(
        names = "--text",
        paramLabel = "TEXT",
        description = "The text; - reads it from standard input.")
    private String text;

    @Option(names = "--file", paramLabel = "FILE", description = "The text of a file in UTF-8.")
    private Path file;

    @Option(
        names = "--ids",
        paramLabel = "IDS",
        converter = TextArgument.Ids.Parser.class,
        description = "The text as token ids, \"1 2 3\".")
    private TextArgument.Ids ids;

    private String option() {
      return text != null ? "--text" : file != null ? file.toString() : "--ids";
    }

    private int[] ids(LanguageModel model) {
      return ids != null
          ? ids.ids()
          : model
              .tokenizer()
              .encode(
                  file == null
                      ? TextArgument.text("--text", text)
                      : TextArgument.file("--file", file));
    }
  }

  @Option(
      names = "--json",
      description =
          "Print {\"ids\":[..],\"logprobs\":[null,..],\"summary\":{..}}: nothing is before the"
              + " first token, so it has no score, and its bytes are not counted.")
  private boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Override
  public void run() {
    try (LanguageModel loaded = model.open()) {
      int[] ids = input.ids(loaded);
      if (ids.length == 0) {
        throw new InputException(input.option() + ": expected a text to score, found an empty one");
      }
      float[] scores;
      try (Progress progress =
          ids.length > loaded.spec().maxPositions()
              ? ProgressLine.of("scoring", "tokens", ids.length - 1)
              : Progress.silent()) {
        scores = loaded.scorer().logProbabilities(ids, progress);
      }
      PrintWriter out = spec.commandLine().getOut();
      if (json) {
        out.println(json(loaded, ids, scores));
      } else {
        table(out, loaded, ids, scores);
      }
      out.flush();
    }
  }

  private static String json(LanguageModel model, int[] ids, float[] scores) {
    // As doubles: a reader of JSON makes another double of a float's shortest decimals.
    List<Double> logProbs = new ArrayList<>();
    logProbs.add(null);
    for (float score : scores) {
      logProbs.add((double) score);
    }
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("ids", ids);
    report.put("logprobs", logProbs);
    if (scores.length > 0) {
      report.put(
          "summary",
          Measures.json(likelihood(model, ids, scores), unigram(model, ids), model.hasTokenizer()));
    }
    return Json.line(report);
  }

  private static void table(PrintWriter out, LanguageModel model, int[] ids, float[] scores) {
    if (scores.length > 0) {
      Measures.print(
          out, likelihood(model, ids, scores), unigram(model, ids), model.hasTokenizer());
      out.println();
    }
    out.printf("%8s  %9s  %s%n", "id", "ln p", model.hasTokenizer() ? "token" : "");
    for (int i = 0; i < ids.length; i++) {
      String score = i == 0 ? "" : String.format(Locale.ROOT, "%.4f", scores[i - 1]);
      String token =
          model.hasTokenizer() ? Json.line(model.tokenizer().decode(new int[] {ids[i]})) : "";
      out.println(String.format(Locale.ROOT, "%8d  %9s  %s", ids[i], score, token).stripTrailing());
    }
  }

  /** The sums over the text behind its first token, which has no score. */
  private static TextLikelihood likelihood(LanguageModel model, int[] ids, float[] scores) {
    if (!model.hasTokenizer()) {
      return TextLikelihood.of(scores, "");
    }
    String first = new StreamingDecoder(model.tokenizer()).next(ids[0]);
    String text = model.tokenizer().decode(ids);
    return TextLikelihood.of(
        scores, text.startsWith(first) ? text.substring(first.length()) : text);
  }

  private static double unigram(LanguageModel model, int[] ids) {
    return new UnigramCounts(model.spec().vocabulary().rows()).add(ids, 1).lossOnItself();
  }
}
