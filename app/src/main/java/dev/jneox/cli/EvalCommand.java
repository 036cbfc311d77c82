package dev.jneox.cli;

import dev.jneox.data.Documents;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.UnigramCounts;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.TextLikelihood;
import dev.jneox.io.Counted;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.VisibleText;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jneox eval}: how well a model predicts documents. */
@Command(
    name = "eval",
    sortOptions = false,
    description = {
      "Print how well a model predicts documents: loss, perplexity, bits per byte; of all together,"
          + " then of each.",
      "Below the loss stands that of a unigram model, which knows how often each token comes among"
          + " the others of these documents, and nothing of their order."
    },
    footer = {
      "",
      "Every document is read from an end-of-text token on, apart from the others; one beyond the"
          + " model's context in windows that follow each other, as lm-evaluation-harness reads"
          + " them. bits_per_byte, byte_perplexity and word_perplexity are as it defines them: sums"
          + " over all documents, divided by the bytes of their texts in UTF-8, or by the words"
          + " between white space. Where --data has no text, because the model has no tokenizer,"
          + " they are left out.",
      "",
      "Examples:",
      "  jneox eval --model DIR --file held-out.jsonl",
      "  jneox eval --model DIR --data data/valid --limit 100 --json"
    })
final class EvalCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Mixin private ModelOptions model;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Input input;

  private static final class Input {
    @Option(
        names = "--file",
        paramLabel = "FILE",
        description =
            "Documents: a file or folder of .jsonl, .txt, .zip and the like, as prepare takes"
                + " them; may be given several times.")
    private List<Path> files;

    @Option(
        names = "--data",
        paramLabel = "PREFIX",
        description =
            "Documents as token ids, PREFIX.bin and PREFIX.idx of prepare or GPT-NeoX, tokenized"
                + " as the model's texts are.")
    private Path data;
  }

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Read the first N documents only. Default: all.")
  private Integer limit;

  @Option(names = "--json", description = "Print one line of JSON; losses in nats per token.")
  private boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  /**
   * A document to score.
   *
   * @param ids without an end-of-text token
   * @param text null where there is no tokenizer
   */
  private record Source(int[] ids, @Nullable String text) {}

  /**
   * A document that was scored.
   *
   * @param begin the beginning of the text, or null
   */
  private record Line(TextLikelihood likelihood, @Nullable String begin) {}

  @Override
  public void run() {
    Usage.require(spec, limit == null || limit >= 1, "--limit", "1 or more", limit);
    try (LanguageModel loaded = model.open()) {
      int end = loaded.spec().vocabulary().endOfText();
      if (end < 0) {
        throw new InputException(
            model.path()
                + ": expected an end-of-text token (eos_token_id), from which documents are read,"
                + " found none; score takes a text without one");
      }
      List<Line> lines = new ArrayList<>();
      UnigramCounts unigrams = new UnigramCounts(loaded.spec().vocabulary().rows());
      Queue<Source> read = new ArrayDeque<>(); // documents whose scores are not there yet
      long start = System.nanoTime();
      try (Documents documents =
              input.files == null ? null : Documents.open(input.files, false, bytes -> {});
          Progress progress = ProgressLine.of("evaluating", "tokens", -1)) {
        Iterator<Source> sources =
            documents == null ? ofData(loaded, end) : ofTexts(documents, loaded);
        loaded
            .scorer()
            .rolling(
                begun(sources, read, end),
                progress,
                (ids, scores) -> {
                  unigrams.add(ids, 1);
                  lines.add(line(read.remove(), scores));
                  progress.note(Counted.text(lines.size(), "document"));
                });
      }
      if (lines.isEmpty()) {
        throw new InputException(
            (input.files == null ? input.data : input.files.getFirst())
                + ": expected documents to evaluate, found none that is not empty");
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      print(lines, unigrams.lossOnItself(), loaded.hasTokenizer(), seconds);
    }
  }

  private Iterator<Source> ofTexts(Documents documents, LanguageModel loaded) {
    Iterable<String> texts = documents::texts;
    return StreamSupport.stream(texts.spliterator(), false)
        .map(text -> new Source(loaded.tokenizer().encode(text), text))
        .iterator();
  }

  private Iterator<Source> ofData(LanguageModel loaded, int end) {
    IndexedDataset data = IndexedDataset.open(input.data);
    return IntStream.range(0, data.sequences())
        .mapToObj(
            i -> {
              int[] ids = data.get(i);
              boolean ended = ids.length > 0 && ids[ids.length - 1] == end;
              return ended ? Arrays.copyOf(ids, ids.length - 1) : ids;
            })
        .map(ids -> new Source(ids, loaded.hasTokenizer() ? loaded.tokenizer().decode(ids) : null))
        .iterator();
  }

  /** The ids of each document after an end-of-text token, up to the limit, without empty ones. */
  private Iterator<int[]> begun(Iterator<Source> sources, Queue<Source> read, int end) {
    Iterable<Source> all = () -> sources;
    return StreamSupport.stream(all.spliterator(), false)
        .filter(source -> source.ids.length > 0)
        .limit(limit == null ? Long.MAX_VALUE : limit)
        .map(
            source -> {
              read.add(source);
              int[] ids = new int[source.ids.length + 1];
              ids[0] = end;
              System.arraycopy(source.ids, 0, ids, 1, source.ids.length);
              return ids;
            })
        .iterator();
  }

  private static Line line(Source source, float[] scores) {
    String text = source.text;
    TextLikelihood likelihood = TextLikelihood.of(scores, text == null ? "" : text);
    return new Line(likelihood, text == null ? null : begin(text));
  }

  private static String begin(String text) {
    int end = Math.min(200, text.length());
    end -= end < text.length() && Character.isHighSurrogate(text.charAt(end - 1)) ? 1 : 0;
    String begin = VisibleText.line(text.substring(0, end).strip()).replaceAll("\\s+", " ");
    return begin.length() <= 40
        ? begin
        : begin.substring(
                0,
                begin.offsetByCodePoints(0, Math.min(37, begin.codePointCount(0, begin.length()))))
            + "...";
  }

  private void print(List<Line> lines, double unigram, boolean texts, double seconds) {
    TextLikelihood all =
        lines.stream().map(Line::likelihood).reduce(TextLikelihood.NONE, TextLikelihood::plus);
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      Map<String, Object> report = new LinkedHashMap<>();
      report.put("documents", lines.size());
      report.putAll(Measures.json(all, unigram, texts));
      report.put("seconds", seconds);
      report.put("tokens_per_second", all.tokens() / seconds);
      report.put(
          "per_document",
          lines.stream().map(line -> Measures.json(line.likelihood, texts)).toList());
      out.println(Json.line(report));
    } else {
      Measures.print(out, all, unigram, texts);
      out.printf(
          Locale.ROOT,
          "%s, %,.0f tokens/s%n%n",
          Counted.text(lines.size(), "document"),
          all.tokens() / seconds);
      out.printf(
          "%8s %10s %8s %10s %10s%n", "document", "tokens", "loss", "perplexity", "bits/byte");
      for (int i = 0; i < lines.size(); i++) {
        Line line = lines.get(i);
        TextLikelihood one = line.likelihood;
        String bits = texts ? String.format(Locale.ROOT, "%.4f", one.bitsPerByte()) : "";
        String row =
            String.format(
                Locale.ROOT,
                "%8d %,10d %8.4f %10.2f %10s  %s",
                i + 1,
                one.tokens(),
                one.loss(),
                one.perplexity(),
                bits,
                texts ? line.begin : "");
        out.println(row.stripTrailing());
      }
    }
    out.flush();
  }
}
