package dev.jneox.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.data.IndexedDataset;
import dev.jneox.data.Prepare;
import dev.jneox.io.ByteSize;
import dev.jneox.io.Counted;
import dev.jneox.io.Overwrite;
import dev.jneox.io.Progress;
import dev.jneox.io.Shell;
import dev.jneox.io.VisibleText;
import dev.jneox.tokenizer.Tokenizer;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox prepare}: text in, {@code PREFIX.bin} and {@code PREFIX.idx} out. */
@Command(
    name = "prepare",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Turn text into PREFIX.bin and PREFIX.idx, the files that GPT-NeoX trains on.",
      "The summary goes to standard output, the progress to standard error.",
      ""
    },
    footer = {
      "",
      "Inputs are files or folders of these (deep, in the order of their paths):",
      "  .jsonl, .json    a line is {\"text\": .., \"meta\": {\"pile_set_name\": ..}}",
      "  the same .zst    or .gz",
      "  .txt, .md        the file is one document",
      "  .zip, .jar       a document per text member",
      "",
      "Example:",
      "  jneox prepare --tokenizer tokenizer.json --out data/pile 00.jsonl.zst"
    })
final class PrepareCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--tokenizer",
      required = true,
      paramLabel = "FILE",
      description = "A tokenizer.json, or GPT-2's vocab.json beside its merges.txt.")
  private Path tokenizer;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "PREFIX",
      description = "Where to write: PREFIX.bin and PREFIX.idx.")
  private Path out;

  @Parameters(arity = "1..*", paramLabel = "INPUT", description = "Files or folders to read.")
  private List<Path> inputs;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that tokenise (default: one for each core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--append-eod",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description =
          "End every document with a token of its own; on unless --no-append-eod says otherwise.")
  private boolean appendEod;

  @Option(
      names = "--eod",
      paramLabel = "TOKEN",
      defaultValue = "<|endoftext|>",
      description = "The token that ends a document (default: ${DEFAULT-VALUE}).")
  private String eod;

  @Option(
      names = "--min-chars",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Leave out documents that are shorter (default: ${DEFAULT-VALUE}, only empty ones).")
  private int minChars;

  @Option(
      names = "--skip-bad",
      description = "Count documents that are no JSON or no UTF-8 and go on, instead of stopping.")
  private boolean skipBad;

  @Option(
      names = "--force",
      description =
          "Replace the files that are there under those names, once the new ones are whole.")
  private boolean force;

  @Option(names = "--json", description = "Print a JSON object.")
  private boolean json;

  @Override
  public Integer call() throws JsonProcessingException {
    Prepare.Options options =
        Usage.of(
            spec, () -> new Prepare.Options(threads, appendEod ? eod : null, skipBad, minChars));
    Overwrite.check(IndexedDataset.bin(out), force);
    Overwrite.check(IndexedDataset.idx(out), force);
    Prepare.Result result;
    try (Tokenizer loaded = Tokenizer.load(tokenizer);
        Progress progress = ProgressLine.bytes("tokenising", -1)) {
      result = Prepare.run(inputs, loaded, out, options, progress);
    }
    PrintWriter console = spec.commandLine().getOut();
    if (json) {
      JsonMapper mapper =
          JsonMapper.builder()
              .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
              .enable(SerializationFeature.INDENT_OUTPUT)
              .build();
      console.println(mapper.writeValueAsString(new Report(out, result)));
    } else {
      tell(console, result);
    }
    console.flush();
    return 0;
  }

  private void tell(PrintWriter console, Prepare.Result result) {
    console.printf(
        Locale.ROOT,
        "%s.bin and .idx: %s in %s%nread %s in %.1f s, %,.0f tokens/s%n",
        out,
        Counted.text(result.tokens(), "token"),
        Counted.text(result.documents(), "document"),
        ByteSize.text(result.bytes()),
        result.seconds(),
        result.tokens() / result.seconds());
    result.skipped().leftOut(result.shorter()).ifPresent(console::println);
    result
        .sets()
        .forEach(
            (set, count) ->
                console.printf(
                    Locale.ROOT,
                    "  %-24s %,12d documents %,16d tokens%n",
                    VisibleText.line(set),
                    count.documents(),
                    count.tokens()));
    console.println(
        "next: jneox train RECIPE.yml --set "
            + Shell.quoted("data_path=" + out)
            + " --set "
            + Shell.quoted("vocab_file=" + tokenizer));
  }

  /** What is printed. */
  private record Report(
      String prefix,
      long documents,
      long tokens,
      long inputBytes,
      double seconds,
      double tokensPerSecond,
      double megabytesPerSecond,
      long emptyOrShort,
      long bad,
      long binaryMembers,
      long otherFiles,
      Map<String, Prepare.Count> sets) {
    Report(Path out, Prepare.Result result) {
      this(
          out.toString(),
          result.documents(),
          result.tokens(),
          result.bytes(),
          result.seconds(),
          result.tokens() / result.seconds(),
          result.bytes() / 1e6 / result.seconds(),
          result.shorter(),
          result.skipped().bad(),
          result.skipped().binary(),
          result.skipped().other(),
          result.sets());
    }
  }
}
