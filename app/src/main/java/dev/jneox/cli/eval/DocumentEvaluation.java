package dev.jneox.cli.eval;

import dev.jneox.cli.Json;
import dev.jneox.cli.Measures;
import dev.jneox.cli.ProgressLine;
import dev.jneox.data.CorpusComponents;
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
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/** Measures how well a model predicts documents, and prints that. */
final class DocumentEvaluation {
  private final PrintWriter out;
  private final @Nullable List<Path> files;
  private final @Nullable Path data;
  private final @Nullable Integer limit;
  private final boolean json;

  /**
   * @param files of texts, or null
   * @param data the prefix of tokens, or null
   */
  DocumentEvaluation(
      PrintWriter out,
      @Nullable List<Path> files,
      @Nullable Path data,
      @Nullable Integer limit,
      boolean json) {
    this.out = out;
    this.files = files;
    this.data = data;
    this.limit = limit;
    this.json = json;
  }

  /**
   * A document to score.
   *
   * @param index in its file or files
   * @param ids without an end-of-text token
   * @param text null where there is no tokenizer
   */
  private record Source(int index, int[] ids, @Nullable String text) {}

  /**
   * A document that was scored.
   *
   * @param index in its file or files
   * @param begin the beginning of the text, or null
   */
  private record Line(int index, TextLikelihood likelihood, @Nullable String begin) {}

  void run(LanguageModel loaded, Path model) {
    int end = loaded.spec().vocabulary().endOfText();
    if (end < 0) {
      throw new InputException(
          model
              + ": expected an end-of-text token (eos_token_id), from which documents are read,"
              + " found none; score takes a text without one");
    }
    List<Line> lines = new ArrayList<>();
    UnigramCounts unigrams = new UnigramCounts(loaded.spec().vocabulary().rows());
    Queue<Source> read = new ArrayDeque<>(); // documents whose scores are not there yet
    long start = System.nanoTime();
    try (Documents documents = files == null ? null : Documents.open(files, false, bytes -> {});
        Progress progress = ProgressLine.of("evaluating", "tokens", -1)) {
      Iterator<Source> sources =
          documents == null
              ? ofData(IndexedDataset.open(Objects.requireNonNull(data)), loaded, end)
              : ofTexts(documents, loaded);
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
          (files == null ? data : files.getFirst())
              + ": expected documents to evaluate, found none that is not empty");
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    print(lines, unigrams.lossOnItself(), loaded.hasTokenizer(), seconds);
  }

  private Iterator<Source> ofTexts(Documents documents, LanguageModel loaded) {
    Iterable<String> texts = documents::texts;
    AtomicInteger index = new AtomicInteger();
    return StreamSupport.stream(texts.spliterator(), false)
        .map(text -> new Source(index.getAndIncrement(), loaded.tokenizer().encode(text), text))
        .iterator();
  }

  private static Iterator<Source> ofData(IndexedDataset dataset, LanguageModel loaded, int end) {
    return IntStream.range(0, dataset.sequences())
        .mapToObj(
            i -> {
              int[] ids = dataset.get(i);
              boolean ended = ids.length > 0 && ids[ids.length - 1] == end;
              int[] own = ended ? Arrays.copyOf(ids, ids.length - 1) : ids;
              return new Source(
                  i, own, loaded.hasTokenizer() ? loaded.tokenizer().decode(own) : null);
            })
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
    return new Line(source.index, likelihood, text == null ? null : begin(text));
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
    TextLikelihood all = sum(lines.stream());
    Map<String, TextLikelihood> components = byComponent(lines);
    if (json) {
      Map<String, Object> report = new LinkedHashMap<>();
      report.put("documents", lines.size());
      report.putAll(Measures.json(all, unigram, texts));
      report.put("seconds", seconds);
      report.put("tokens_per_second", all.tokens() / seconds);
      if (!components.isEmpty()) {
        Map<String, Object> each = new LinkedHashMap<>();
        components.forEach((name, sum) -> each.put(name, Measures.json(sum, texts)));
        report.put("per_component", each);
      }
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
      if (!components.isEmpty()) {
        printComponents(components, texts);
      }
      out.printf(
          "%8s %10s %8s %10s %10s%n", "document", "tokens", "loss", "perplexity", "bits/byte");
      for (int i = 0; i < lines.size(); i++) {
        Line line = lines.get(i);
        TextLikelihood one = line.likelihood;
        String row =
            String.format(
                Locale.ROOT,
                "%8d %,10d %8.4f %10.2f %10s  %s",
                i + 1,
                one.tokens(),
                one.loss(),
                one.perplexity(),
                bits(one, texts),
                texts ? line.begin : "");
        out.println(row.stripTrailing());
      }
    }
    out.flush();
  }

  private static TextLikelihood sum(Stream<Line> lines) {
    return lines.map(Line::likelihood).reduce(TextLikelihood.NONE, TextLikelihood::plus);
  }

  /** Returns the sums by component of the corpus that the data is of; empty where it is of none. */
  private Map<String, TextLikelihood> byComponent(List<Line> lines) {
    Map<String, TextLikelihood> sums = new LinkedHashMap<>();
    if (data != null) {
      CorpusComponents.of(data)
          .ifPresent(
              components -> {
                for (int c = 0; c < components.names().size(); c++) {
                  int component = c;
                  TextLikelihood sum =
                      sum(
                          lines.stream()
                              .filter(line -> components.ofDocument()[line.index] == component));
                  if (sum.tokens() > 0) {
                    sums.put(components.names().get(c), sum);
                  }
                }
              });
    }
    return sums;
  }

  private void printComponents(Map<String, TextLikelihood> components, boolean texts) {
    out.printf(
        "%-28s %10s %8s %10s %10s%n", "component", "tokens", "loss", "perplexity", "bits/byte");
    components.forEach(
        (name, sum) ->
            out.println(
                String.format(
                        Locale.ROOT,
                        "%-28s %,10d %8.4f %10.2f %10s",
                        name,
                        sum.tokens(),
                        sum.loss(),
                        sum.perplexity(),
                        bits(sum, texts))
                    .stripTrailing()));
    out.println();
  }

  private static String bits(TextLikelihood one, boolean texts) {
    return texts ? String.format(Locale.ROOT, "%.4f", one.bitsPerByte()) : "";
  }
}
