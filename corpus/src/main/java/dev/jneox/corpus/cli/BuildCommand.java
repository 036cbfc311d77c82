package dev.jneox.corpus.cli;

import dev.jneox.cli.ProgressLine;
import dev.jneox.corpus.CorpusBuild;
import dev.jneox.corpus.Datasheet;
import dev.jneox.corpus.Facts;
import dev.jneox.corpus.Output;
import dev.jneox.corpus.Pipeline;
import dev.jneox.corpus.Sessions;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.ByteSize;
import dev.jneox.io.Counted;
import dev.jneox.io.Overwrite;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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
      "The options of the steps, and the keys of a source and of output: jneox corpus steps [NAME]",
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
    CorpusBuild.Result result;
    try (TargetLock _ = TargetLock.take(out)) { // before the scratch of a killed build is deleted
      Path scratch = scratch();
      Thread stopped = new Thread(() -> stopped(scratch));
      Runtime.getRuntime().addShutdownHook(stopped);
      spec.commandLine().getErr().println("starting Spark, which takes some seconds");
      spec.commandLine().getErr().flush();
      try (SparkSession spark = Sessions.open(master, scratch)) {
        result =
            CorpusBuild.run(
                spark,
                pipeline,
                new CorpusBuild.Options(out, partitions, strict, force),
                (task, total) -> ProgressLine.of(task, "tasks", total));
      } finally {
        remove(stopped);
        AtomicFolder.delete(scratch);
      }
    }
    tell(result, (System.nanoTime() - start) / 1e9);
    if (pipeline.output().kind() == Output.Kind.MEGATRON) {
      tellHowToTrain(pipeline.output().heldOut() > 0);
    }
    return 0;
  }

  /**
   * Makes a folder for what Spark spills, on the disk of the output, and deletes those of builds
   * that were killed.
   */
  private Path scratch() {
    Path folder = out.toAbsolutePath().getParent();
    String name = "." + out.getFileName() + ".spark";
    try {
      Files.createDirectories(folder);
      List<Path> left;
      try (Stream<Path> all = Files.list(folder)) {
        left = all.filter(path -> isScratch(path, name)).toList();
      }
      for (Path path : left) {
        AtomicFolder.delete(path);
      }
      return Files.createTempDirectory(folder, name);
    } catch (IOException e) {
      throw StorageException.of(out, "cannot be written", e);
    }
  }

  private static boolean isScratch(Path path, String name) {
    String of = String.valueOf(path.getFileName());
    return of.startsWith(name) && of.substring(name.length()).matches("\\d+");
  }

  private static void remove(Thread hook) {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is told to end, and the hook runs.
    }
  }

  /** Cleans up when the process is told to end. Spark's own hook deletes at the same time. */
  private void stopped(Path scratch) {
    System.err.println(
        CorpusBuild.kept(out)
            .map(
                stages ->
                    "jneox: stopped; the same command goes on from the stages that are finished,"
                        + " kept in "
                        + stages)
            .orElse("jneox: stopped before a stage was finished; nothing is kept"));
    for (int tries = 0; tries < 50; tries++) {
      try {
        AtomicFolder.delete(scratch);
        return;
      } catch (IOException | UncheckedIOException e) {
        try {
          Thread.sleep(100);
        } catch (InterruptedException interrupted) {
          return;
        }
      }
    }
  }

  /**
   * Says which keys of a training name the corpus, so that no copy of a document is on both sides.
   */
  private void tellHowToTrain(boolean heldOut) {
    PrintWriter console = spec.commandLine().getOut();
    String train = "[\"" + out.resolve("train") + "\"]";
    if (heldOut) {
      String held = "[\"" + out.resolve("held_out") + "\"]";
      console.println("to train on it, in the configuration:");
      console.println("  train_data_paths: " + train);
      console.println("  valid_data_paths: " + held);
      console.println("  test_data_paths: " + held);
    } else {
      console.println(
          "to train on it: data_path: "
              + out.resolve("train")
              + "; where weights copy documents, split has copies on both sides: held_out in the"
              + " pipeline's output keeps whole documents for validation");
    }
    console.flush();
  }

  /** Says what the steps removed from a source. */
  private static String removed(Facts facts, String source) {
    String removed =
        facts.removals().stream()
            .filter(removal -> removal.source().equals(source))
            .map(removal -> removal.documents() + " by " + removal.step() + ": " + removal.rule())
            .collect(Collectors.joining(", "));
    return removed.isEmpty() ? "" : "; removed " + removed;
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
          "  %-" + width + "s %s, %s kept (%s), %s written%s%s%n",
          source.name(),
          Counted.text(source.records(), "record"),
          Counted.text(source.keptDocuments(), "document"),
          ByteSize.text(source.keptBytes()),
          Counted.text(source.documents(), "document"),
          source.malformed() == 0
              ? ""
              : ", " + Counted.text(source.malformed(), "malformed record") + " skipped",
          removed(result.facts(), source.name()));
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
    if (!result.reused().isEmpty()) {
      console.println(
          "  went on from stages of an earlier run: " + String.join(", ", result.reused()));
    }
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
