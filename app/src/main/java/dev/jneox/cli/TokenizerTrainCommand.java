package dev.jneox.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jneox.data.LearnedVocabulary;
import dev.jneox.io.ByteSize;
import dev.jneox.io.Counted;
import dev.jneox.io.InputException;
import dev.jneox.io.Overwrite;
import dev.jneox.io.Shell;
import dev.jneox.io.TargetLock;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.TrainedBpe;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox tokenizer train}: text in, {@code tokenizer.json} out. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Learn a byte-level BPE vocabulary and write it as a tokenizer.json, which Hugging Face's"
          + " libraries load too.",
      "Every text comes back byte for byte. The same texts give the same file.",
      "The summary goes to standard output, the progress to standard error."
    },
    footer = {
      "",
      "Inputs are .jsonl, .json (.zst or .gz behind it), .txt, .md, .zip, .jar or folders of these."
          + " Memory grows with the number of different words: some gigabytes of text are plenty"
          + " for any vocabulary.",
      "",
      "Example:",
      "  jneox tokenizer train --vocab-size 50304 --out tokenizer.json 00.jsonl.zst"
    })
final class TokenizerTrainCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--vocab-size",
      required = true,
      paramLabel = "N",
      description =
          "Tokens of the vocabulary: <|endoftext|> (id 0), <|padding|> (id 1), the 256 bytes, and"
              + " the merges.")
  private int vocabSize;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "FILE",
      description = "The tokenizer.json to write.")
  private Path out;

  @Option(
      names = "--force",
      description = "Replace a file that is there under that name, once the new one is whole.")
  private boolean force;

  @Option(names = "--json", description = "Print one line of JSON.")
  private boolean json;

  @Option(
      names = "--skip-bad",
      description = "Count documents that are no JSON or no UTF-8 and go on, instead of stopping.")
  private boolean skipBad;

  @Parameters(arity = "1..*", paramLabel = "INPUT", description = "Files or folders to read.")
  private List<Path> inputs;

  @Override
  public Integer call() throws JsonProcessingException {
    Usage.require(
        spec,
        vocabSize >= BpeTrainer.SMALLEST_VOCABULARY,
        "--vocab-size",
        "at least " + BpeTrainer.SMALLEST_VOCABULARY + " (256 bytes and 2 special tokens)",
        vocabSize);
    if (Files.isDirectory(out)) {
      throw new InputException(
          out + ": is a folder: name the file to write, such as " + out.resolve("tokenizer.json"));
    }
    Overwrite.check(out, force);
    try (TargetLock _ = TargetLock.take(out)) {
      return learn();
    }
  }

  private int learn() throws JsonProcessingException {
    long start = System.nanoTime();
    LearnedVocabulary learned =
        LearnedVocabulary.of(
            inputs,
            vocabSize,
            skipBad,
            bytes -> ProgressLine.bytes("counting words", bytes),
            merges -> ProgressLine.of("learning", "merges", merges));
    TrainedBpe trained = learned.bpe();
    trained.write(out);
    if (trained.vocab().size() < vocabSize) {
      spec.commandLine()
          .getErr()
          .println(
              "jneox: no further pair occurs twice in these texts: the vocabulary has "
                  + trained.vocab().size()
                  + " tokens");
    }
    Report report =
        new Report(
            out.toString(),
            trained.vocab().size(),
            trained.documents(),
            learned.skipped().bad(),
            trained.bytes(),
            trained.words(),
            trained.tokens(),
            trained.tokens() == 0 ? 0 : (double) trained.bytes() / trained.tokens(),
            (System.nanoTime() - start) / 1e9);
    PrintWriter console = spec.commandLine().getOut();
    if (json) {
      console.println(
          JsonMapper.builder()
              .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
              .build()
              .writeValueAsString(report));
    } else {
      tell(console, report);
    }
    console.flush();
    return 0;
  }

  private static void tell(PrintWriter out, Report report) {
    out.printf(
        Locale.ROOT,
        "%s: %,d tokens, learned from %s, %s, in %.1f s%n",
        report.tokenizer,
        report.vocabSize,
        Counted.text(report.documents, "document"),
        ByteSize.text(report.bytes),
        report.seconds);
    out.printf(
        Locale.ROOT,
        "%.2f bytes a token on these texts, %,d different words%n",
        report.bytesPerToken,
        report.words);
    if (report.skipped > 0) {
      out.println("skipped as bad: " + Counted.text(report.skipped, "document"));
    }
    out.println(
        "next: jneox prepare --tokenizer "
            + Shell.quoted(report.tokenizer)
            + " --out data/texts INPUT...");
  }

  /** What is printed. */
  private record Report(
      String tokenizer,
      int vocabSize,
      long documents,
      long skipped,
      long bytes,
      long words,
      long tokens,
      double bytesPerToken,
      double seconds) {}
}
