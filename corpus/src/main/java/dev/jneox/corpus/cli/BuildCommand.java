package dev.jneox.corpus.cli;

import dev.jneox.cli.ProgressLine;
import dev.jneox.corpus.CorpusBuild;
import dev.jneox.corpus.Datasheet;
import dev.jneox.corpus.Facts;
import dev.jneox.corpus.Pipeline;
import dev.jneox.corpus.Sessions;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.ByteSize;
import dev.jneox.io.Counted;
import dev.jneox.io.Overwrite;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jneox corpus build}: a pipeline file in, a corpus out. */
@Command(
    name = "build",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Build a corpus as a pipeline file says.",
      "The folder appears when it is whole; its bytes depend on the pipeline and its",
      "sources, not on cores, partitions or machines. Where a build was killed, the",
      "same command goes on from its last finished stage, kept in .DIR.stages.",
      ""
    },
    footer = {
      "",
      "A pipeline file:",
      "  sources:",
      "    - {name: manuals, path: manuals/*.jsonl, weight: 2}",
      "    - {name: books, path: books}",
      "  steps:",
      "    - unicode",
      "    - gopher_quality: {min_words: 20, only: [books]}",
      "    - exact_dedup",
      "    - minhash_dedup",
      "  output: {format: megatron, tokenizer: tokenizer.json, held_out: 0.01}",
      "",
      "Formats, by the ending or as a source's format: jsonl (.zst, .gz), text (.txt, .md),",
      "archive (.zip, .jar), parquet, warc (.warc, .wet, .gz), mbox, mediawiki, stackexchange.",
      "weight is in epochs; held_out is the share of documents kept out of training, of the",
      "output or of one source.",
      "Steps: unicode, language, gopher_quality, gopher_repetition, c4, fineweb, pii, toxicity,",
      "quality_classifier, perplexity, decontaminate, exact_dedup, minhash_dedup, line_dedup,",
      "paragraph_dedup, substring_dedup. Each has only: and except:, lists of sources.",
      "exact_dedup and minhash_dedup leave an index in DIR; index: DIR of an earlier build has",
      "them compare with it. A record of more than 256 MB, or a sixteenth of the heap, is",
      "malformed. docs/corpus.md explains the steps.",
      "",
      "Sources of packages are made first, by jneox corpus fetch PIPELINE.yml.",
      "On a cluster -Dspark.KEY=VALUE in JNEOX_JAVA_OPTS sets what Spark needs."
    })
final class BuildCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "PIPELINE.yml", description = "The pipeline file.")
  private Path file;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "The folder to write.")
  private Path out;

  @Option(
      names = "--master",
      paramLabel = "M",
      defaultValue = "local[*]",
      description =
          "Where Spark runs: local[N] for N cores of this machine, or the URL of a cluster"
              + " (default: ${DEFAULT-VALUE}).")
  private String master;

  @Option(
      names = "--partitions",
      paramLabel = "N",
      defaultValue = "0",
      description = "Partitions of a shuffle (default: by the size of the sources).")
  private int partitions;

  @Option(
      names = "--strict",
      description = "Stop at the first malformed record, instead of counting and skipping it.")
  private boolean strict;

  @Option(
      names = "--force",
      description = "Replace a folder of that name, once the new one is whole.")
  private boolean force;

  @Override
  public Integer call() throws IOException {
    Pipeline pipeline = Pipeline.read(file);
    Overwrite.check(out, force);
    long start = System.nanoTime();
    Path scratch = scratch();
    CorpusBuild.Result result;
    try (SparkSession spark = Sessions.open(master, scratch)) {
      result =
          CorpusBuild.run(
              spark,
              pipeline,
              new CorpusBuild.Options(out, partitions, strict, force),
              (task, total) -> ProgressLine.of(task, "tasks", total));
    } finally {
      AtomicFolder.delete(scratch);
    }
    tell(result, (System.nanoTime() - start) / 1e9);
    return 0;
  }

  /** Makes a folder for what Spark spills, on the disk of the output. */
  private Path scratch() {
    Path folder = out.toAbsolutePath().getParent();
    try {
      Files.createDirectories(folder);
      Path scratch = Files.createTempDirectory(folder, "." + out.getFileName() + ".spark");
      Runtime.getRuntime()
          .addShutdownHook(
              new Thread(
                  () -> {
                    try {
                      AtomicFolder.delete(scratch);
                    } catch (IOException e) {
                      // Spark's own hook deletes it at the same time.
                    }
                  }));
      return scratch;
    } catch (IOException e) {
      throw StorageException.of(out, "cannot be written", e);
    }
  }

  private void tell(CorpusBuild.Result result, double seconds) {
    PrintWriter console = spec.commandLine().getOut();
    long documents = 0;
    long tokens = 0;
    int width =
        result.facts().sources().stream()
            .mapToInt(source -> source.name().length())
            .max()
            .orElse(1);
    for (Facts.Component source : result.facts().sources()) {
      documents += source.documents();
      tokens += source.tokens();
      console.printf(
          Locale.ROOT,
          "  %-" + width + "s %s, %s kept (%s), %s written%s%n",
          source.name(),
          Counted.text(source.records(), "record"),
          Counted.text(source.keptDocuments(), "document"),
          ByteSize.text(source.keptBytes()),
          Counted.text(source.documents(), "document"),
          source.malformed() == 0
              ? ""
              : ", " + Counted.text(source.malformed(), "malformed record") + " skipped");
    }
    result
        .facts()
        .duplicates()
        .forEach(
            step ->
                console.printf(
                    Locale.ROOT,
                    "  %s: %s in %s removed%s%s%n",
                    step.step(),
                    Counted.text(step.removed(), "document"),
                    Counted.text(step.groups(), "group"),
                    step.earlier() == 0
                        ? ""
                        : ", " + Counted.text(step.earlier(), "document") + " of earlier builds",
                    step.capped() == 0
                        ? ""
                        : ", "
                            + Counted.text(step.overCap(), "document")
                            + " over group_cap not compared"));
    result
        .facts()
        .spans()
        .forEach(
            step ->
                console.printf(
                    Locale.ROOT,
                    "  %s: %s cut out of %s%n",
                    step.step(),
                    ByteSize.text(step.bytes()),
                    Counted.text(step.documents(), "document")));
    result
        .times()
        .forEach(
            (stage, time) ->
                console.printf(
                    Locale.ROOT,
                    "  %8.1f s, %.1f s of CPU  %s%n",
                    time.seconds(),
                    time.cpuSeconds(),
                    stage));
    console.printf(
        Locale.ROOT,
        "%s: %s%s in %.1f s; see %s%n",
        out,
        Counted.text(documents, "document"),
        tokens == 0 ? "" : ", " + Counted.text(tokens, "token"),
        seconds,
        out.resolve(Datasheet.MARKDOWN));
    console.flush();
  }
}
