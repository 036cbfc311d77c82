package dev.jneox.cli;

import dev.jneox.convert.Quantisation;
import dev.jneox.convert.Quantisation.Written;
import dev.jneox.convert.QuantisationReport;
import dev.jneox.format.ModelFiles;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.LogLikelihood;
import dev.jneox.infer.Precision;
import dev.jneox.io.FreedMemory;
import dev.jneox.io.InputException;
import dev.jneox.io.InputFile;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import dev.jneox.weights.GgmlType;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jneox quantize}: a model with weights of 4 or 8 bits. */
@Command(
    name = "quantize",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Write a model with weights of 4 or 8 bits, as the kernels read them.",
      "The folder opens at once at any size. One tensor at a time is in memory. Shows the relative"
          + " root mean square error",
      "of every matrix and, with a text, how much less likely the model finds it."
    },
    footer = {
      "",
      "Weights are in groups of 32 with a scale of 16 bits, those of ggml's Q4_0 and Q8_0; what a"
          + " GGUF file has in these",
      "is taken over bit for bit. The head and the embedding have 8 bits always.",
      "",
      "Examples:",
      "  jneox quantize --from EleutherAI/pythia-410m --to pythia-410m-q4 --dtype q4 --text"
          + " article.txt",
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
        names = "--text",
        paramLabel = "FILE",
        description = "A text in UTF-8 to compare the two models on.")
    private Path file;

    @Option(names = "--ids", paramLabel = "IDS", description = "The same as token ids, \"1 2 3\".")
    private String ids;

    int[] ids(LanguageModel model) {
      int[] all = file == null ? TextArgument.ids("--ids", ids) : model.tokenizer().encode(read());
      if (all.length < 2) {
        String where = file == null ? "--ids" : file.toString();
        throw new InputException(
            where + ": expected two tokens or more to score, found " + all.length);
      }
      return all;
    }

    private String read() {
      if (!Files.isRegularFile(file)) {
        String name = file.toString();
        throw new InputException(
            "--text: expected a file, found none of the name "
                + (name.length() > 80 ? name.substring(0, 80) + "..." : name));
      }
      try {
        return InputFile.text(file, InputFile.MAX_TEXT);
      } catch (IOException e) {
        throw StorageException.ofText(file, e);
      }
    }
  }

  @Option(
      names = "--force",
      description =
          "Replace a model that is there under that name, once the new one is written in full.")
  private boolean force;

  @Option(names = "--json", description = "Print one line of JSON.")
  private boolean json;

  /** How likely the two models find the text. */
  private record Likelihood(LogLikelihood before, LogLikelihood after) {}

  @Override
  public Integer call() {
    Path source = ModelOptions.path(from, spec.commandLine().getErr());
    if (ConvertCommand.sameFile(source, to)) {
      throw new InputException(to + ": is the model itself: choose another name for the new one");
    }
    int[] ids = null;
    LogLikelihood before = null;
    if (text != null) {
      try (LanguageModel model = LanguageModel.open(source, Precision.STORED)) {
        ids = text.ids(model);
        before = score(model, ids, "scoring before");
      }
    }
    FreedMemory.returnToSystem();
    long start = System.nanoTime();
    QuantisationReport written;
    try (StoredModel model = ModelFiles.open(source);
        TargetLock _ = TargetLock.take(to)) {
      Quantisation quantisation = Quantisation.to(bits.type, model);
      quantisation.check(to, force);
      try (Progress progress = ProgressLine.bytes("quantizing", quantisation.bytes())) {
        written = quantisation.write(to, progress::step);
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    Likelihood likelihood = null;
    if (ids != null) {
      try (LanguageModel model = LanguageModel.open(to, Precision.STORED)) {
        likelihood = new Likelihood(before, score(model, ids, "scoring after"));
      }
    }
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(json(written, seconds, likelihood));
    } else {
      print(out, written, seconds, likelihood);
    }
    out.flush();
    return 0;
  }

  private static LogLikelihood score(LanguageModel model, int[] ids, String act) {
    try (Progress progress = ProgressLine.of(act, "tokens", ids.length - 1)) {
      return LogLikelihood.of(model.scorer().logProbabilities(ids, progress));
    }
  }

  private String json(QuantisationReport written, double seconds, Likelihood likelihood) {
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
    if (likelihood != null) {
      Map<String, Object> scores = new LinkedHashMap<>();
      scores.put("tokens", likelihood.before.tokens());
      scores.put("mean_logprob_before", likelihood.before.mean());
      scores.put("mean_logprob_after", likelihood.after.mean());
      scores.put("perplexity_before", likelihood.before.perplexity());
      scores.put("perplexity_after", likelihood.after.perplexity());
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
      PrintWriter out, QuantisationReport written, double seconds, Likelihood likelihood) {
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
          InspectCommand.size(kind.sum().bytes()),
          kind.name().equals(QuantisationReport.VECTORS) ? "" : error(kind.sum()));
    }
    Written worst = written.worst();
    if (worst.squares() > 0) {
      line(out, "worst: %s, %.4f", worst.canonical(), worst.relativeError());
    }
    if (likelihood != null) {
      line(
          out,
          "text of %,d tokens: %.4f -> %.4f nats a token (%+.4f), perplexity %.3f -> %.3f",
          likelihood.before.tokens(),
          -likelihood.before.mean(),
          -likelihood.after.mean(),
          likelihood.before.mean() - likelihood.after.mean(),
          likelihood.before.perplexity(),
          likelihood.after.perplexity());
    }
    long bytes = written.bytes();
    long parameters = written.parameters();
    line(
        out,
        "%s: %,d parameters in %s, %.2f bits each, in %.1f s, %s/s",
        to,
        parameters,
        InspectCommand.size(bytes),
        8.0 * bytes / parameters,
        seconds,
        InspectCommand.size(Math.round(bytes / seconds)));
  }

  private static String error(Written w) {
    return w.squares() == 0 ? "copied" : String.format(Locale.ROOT, "%.4f", w.relativeError());
  }

  private static void line(PrintWriter out, String format, Object... values) {
    out.println(String.format(Locale.ROOT, format, values).stripTrailing());
  }
}
