package dev.jneox.cli;

import dev.jneox.convert.Quantisation;
import dev.jneox.convert.Quantisation.Written;
import dev.jneox.convert.QuantisationReport;
import dev.jneox.format.ModelFiles;
import dev.jneox.infer.Divergence;
import dev.jneox.infer.Engine;
import dev.jneox.infer.ImportanceProbe;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Scorer;
import dev.jneox.io.ByteSize;
import dev.jneox.io.FreedMemory;
import dev.jneox.io.InputException;
import dev.jneox.io.MemoryException;
import dev.jneox.io.Progress;
import dev.jneox.io.TargetLock;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.Importance;
import dev.jneox.weights.StoredModel;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code jneox quantize}: a model with weights of 4 or 8 bits. */
@Command(
    name = "quantize",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Write a model with weights of 4 or 8 bits, as the kernels read them.",
      "The folder opens at once at any size. One tensor at a time is in memory. Shows the relative"
          + " root mean square error of every matrix and, with a text, how much less likely the"
          + " model finds it and how far its predictions moved."
    },
    footer = {
      "",
      "Weights are in groups of 32 with a scale of 16 bits, those of ggml's Q4_0 and Q8_0; what a"
          + " GGUF file has in these is taken over bit for bit. The head and the embedding have 8"
          + " bits always.",
      "",
      "On a text, KL is the Kullback-Leibler divergence of the new predictions from the old, in"
          + " nats a token: its mean, and what 99 of 100 tokens do not exceed; top-1 is how often"
          + " both find the same token the likeliest.",
      "",
      "With --imatrix-file, scales and integers of q4 minimise sum w (x - d q)^2 over each group,",
      "  w = (I + mean(I) / 100) sqrt(mean(x^2) + x^2),",
      "where I is the mean square, over that text, of the activation that the weight x is"
          + " multiplied by. Best is a text of the kind that the model is for, of ten thousand"
          + " tokens or more, and not the one it is judged by.",
      "",
      "Examples:",
      "  jneox quantize --from EleutherAI/pythia-410m --to pythia-410m-q4 \\",
      "    --dtype q4 --file article.txt",
      "  jneox quantize --from DIR --to DIR-q4 --dtype q4 \\",
      "    --imatrix-file typical.txt --file other.txt",
      "  jneox quantize --from model.gguf --to model-q8 --dtype q8 --json > report.json"
    })
final class QuantizeCommand implements Callable<Integer> {
  /** Bits of a weight. */
  enum Bits {
    Q4(GgmlType.Q4_0),
    Q8(GgmlType.Q8_0);

    private final GgmlType type;

    Bits(GgmlType type) {
      this.type = type;
    }
  }

  /** Former names of options: everywhere else --text is followed by the text itself. */
  private static final String FORMER_FILE = "--text";

  private static final String FORMER_IMATRIX = "--imatrix-text";

  @Spec private CommandSpec spec;

  @Option(
      names = "--from",
      required = true,
      paramLabel = "MODEL",
      description =
          "A model folder or file of any format that is read, a run of train, or ORG/NAME on the"
              + " hub.")
  private String from;

  @Option(names = "--to", required = true, paramLabel = "DIR", description = "The folder to write.")
  private Path to;

  @Option(
      names = "--dtype",
      required = true,
      paramLabel = "q4|q8",
      description = "q4: 4.5 bits a weight. q8: 8.5.")
  private Bits bits;

  @ArgGroup private Text text;

  private static final class Text {
    @Option(
        names = {"--file", FORMER_FILE},
        paramLabel = "FILE",
        description = "A text in UTF-8 to compare the two models on.")
    private Path file;

    @Option(
        names = "--ids",
        paramLabel = "IDS",
        converter = TextArgument.Ids.Parser.class,
        description = "The same as token ids, \"1 2 3\".")
    private TextArgument.Ids ids;

    int[] ids(LanguageModel model) {
      int[] all = file == null ? ids.ids() : model.tokenizer().encode(read());
      if (all.length < 2) {
        String where = file == null ? "--ids" : file.toString();
        throw new InputException(
            where + ": expected two tokens or more to score, found " + all.length);
      }
      return all;
    }

    private String read() {
      return TextArgument.file("--file", file);
    }
  }

  @Option(
      names = {"--imatrix-file", FORMER_IMATRIX},
      paramLabel = "FILE",
      description =
          "With q4: a text in UTF-8 that says which activations are large, so that the weights"
              + " they meet are rounded with more care.")
  private Path imatrixText;

  @Option(
      names = "--force",
      description =
          "Replace a model that is there under that name, once the new one is written in full.")
  private boolean force;

  @Option(names = "--json", description = "Print one line of JSON.")
  private boolean json;

  @Override
  public Integer call() {
    warnOfFormer(FORMER_FILE, "--file");
    warnOfFormer(FORMER_IMATRIX, "--imatrix-file");
    Path source = ModelOptions.path(from, spec.commandLine().getErr());
    if (ConvertCommand.sameFile(source, to)) {
      throw new InputException(to + ": is the model itself: choose another name for the new one");
    }
    if (imatrixText != null && bits != Bits.Q4) {
      throw new ParameterException(
          spec.commandLine(),
          "--imatrix-file is for --dtype q4: with 8 bits a weight there is nothing to gain");
    }
    int @Nullable [] ids = null;
    @Nullable Importance importance = null;
    if (text != null || imatrixText != null) {
      try (LanguageModel model = LanguageModel.open(source, Precision.STORED)) {
        ids = text == null ? null : text.ids(model);
        importance = imatrixText == null ? null : importance(model);
      }
    }
    FreedMemory.returnToSystem();
    long start = System.nanoTime();
    QuantisationReport written;
    try (StoredModel model = ModelFiles.open(source);
        TargetLock _ = TargetLock.take(to)) {
      Quantisation quantisation = Quantisation.to(bits.type, model, importance);
      if (importance != null && !quantisation.isWeighted()) {
        throw new InputException(
            source
                + ": has its matrices in Q4_0 already, which are copied as they are: expected a"
                + " model of more bits for --imatrix-file");
      }
      quantisation.check(to, force);
      try (Progress progress = ProgressLine.bytes("quantizing", quantisation.bytes())) {
        written = quantisation.write(to, progress::step);
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    Divergence change = ids == null ? null : change(source, ids);
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(json(written, seconds, change));
    } else {
      print(out, written, seconds, change);
    }
    out.flush();
    return 0;
  }

  private void warnOfFormer(String former, String present) {
    if (spec.commandLine().getParseResult().originalArgs().stream()
        .anyMatch(arg -> arg.equals(former) || arg.startsWith(former + "="))) {
      spec.commandLine().getErr().println("jneox: " + former + " is called " + present + " now");
    }
  }

  private Importance importance(LanguageModel model) {
    int[] ids = model.tokenizer().encode(TextArgument.file("--imatrix-file", imatrixText));
    if (ids.length < 2) {
      throw new InputException(imatrixText + ": expected two tokens or more, found " + ids.length);
    }
    try (Progress progress = ProgressLine.of("measuring activations", "tokens", ids.length - 1);
        Engine engine = model.engine(Scorer.settings(model.packed()))) {
      return ImportanceProbe.measure(model.packed(), engine, ids, progress);
    }
  }

  /** Reads the text with both models, side by side. */
  private Divergence change(Path source, int[] ids) {
    try (LanguageModel before = LanguageModel.open(source, Precision.STORED);
        LanguageModel after = LanguageModel.open(to, Precision.STORED);
        Progress progress = ProgressLine.of("comparing", "tokens", ids.length - 1);
        Engine old = before.engine(Scorer.settings(before.packed()));
        Engine changed = after.engine(Scorer.settings(after.packed()))) {
      return Divergence.of(old, changed, ids, progress);
    } catch (MemoryException e) {
      throw e.withMessage(to + " is written, but was not compared: " + e.getMessage());
    }
  }

  private String json(QuantisationReport written, double seconds, @Nullable Divergence change) {
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("from", from);
    report.put("to", to.toString());
    report.put("dtype", bits.name().toLowerCase(Locale.ROOT));
    report.put("parameters", written.parameters());
    report.put("bytes", written.bytes());
    report.put("seconds", seconds);
    List<Object> tensors = new ArrayList<>();
    written.tensors().forEach(w -> tensors.add(row("name", w.canonical(), w)));
    report.put("tensors", tensors);
    List<Object> kinds = new ArrayList<>();
    written.kinds().forEach(kind -> kinds.add(row("kind", kind.name(), kind.sum())));
    report.put("kinds", kinds);
    report.put("worst", written.worst().canonical());
    if (change != null) {
      Map<String, Object> scores = new LinkedHashMap<>();
      scores.put("tokens", change.before().tokens());
      scores.put("mean_logprob_before", change.before().mean());
      scores.put("mean_logprob_after", change.after().mean());
      scores.put("perplexity_before", change.before().perplexity());
      scores.put("perplexity_after", change.after().perplexity());
      scores.put("kl_mean", change.meanKl());
      scores.put("kl_99", change.kl99());
      scores.put("top1_agreement", change.topAgreement());
      report.put("text", scores);
    }
    return Json.line(report);
  }

  private static Map<String, Object> row(String key, String name, Written w) {
    Map<String, Object> row = new LinkedHashMap<>();
    row.put(key, name);
    row.put("was", w.was());
    row.put("type", w.type());
    row.put("parameters", w.parameters());
    row.put("bytes", w.bytes());
    row.put("relative_error", w.relativeError());
    return row;
  }

  private void print(
      PrintWriter out, QuantisationReport written, double seconds, @Nullable Divergence change) {
    line(out, "%-48s %-5s %-5s %s", "matrix", "was", "is", "relative error");
    written.tensors().stream()
        .filter(w -> !QuantisationReport.kind(w.canonical()).equals(QuantisationReport.VECTORS))
        .forEach(w -> line(out, "%-48s %-5s %-5s %s", w.canonical(), w.was(), w.type(), error(w)));
    out.println();
    for (QuantisationReport.Kind kind : written.kinds()) {
      line(
          out,
          "%-32s %,16d parameters %10s  %s",
          kind.name() + " " + kind.sum().type(),
          kind.sum().parameters(),
          ByteSize.text(kind.sum().bytes()),
          kind.name().equals(QuantisationReport.VECTORS) ? "" : error(kind.sum()));
    }
    Written worst = written.worst();
    if (worst.squares() > 0) {
      line(out, "worst: %s, %.4f", worst.canonical(), worst.relativeError());
    }
    if (change != null) {
      line(
          out,
          "text of %,d tokens: %.4f -> %.4f nats a token (%+.4f), perplexity %.3f -> %.3f",
          change.before().tokens(),
          -change.before().mean(),
          -change.after().mean(),
          change.before().mean() - change.after().mean(),
          change.before().perplexity(),
          change.after().perplexity());
      line(
          out,
          "KL %.5f nats a token in the mean, %.4f for 99 of 100; the same top-1 token at %.2f %%",
          change.meanKl(),
          change.kl99(),
          100 * change.topAgreement());
    }
    long bytes = written.bytes();
    long parameters = written.parameters();
    line(
        out,
        "%s: %,d parameters in %s, %.2f bits each, in %.1f s, %s/s",
        to,
        parameters,
        ByteSize.text(bytes),
        8.0 * bytes / parameters,
        seconds,
        ByteSize.text(Math.round(bytes / seconds)));
  }

  private static String error(Written w) {
    return w.squares() == 0 ? "copied" : String.format(Locale.ROOT, "%.4f", w.relativeError());
  }

  private static void line(PrintWriter out, String format, Object... values) {
    out.println(String.format(Locale.ROOT, format, values).stripTrailing());
  }
}
