package dev.jneox.corpus.cli;

import dev.jneox.cli.ProgressLine;
import dev.jneox.corpus.CorpusFetch;
import dev.jneox.io.ByteSize;
import dev.jneox.io.Counted;
import dev.jneox.io.Progress;
import dev.jneox.io.Shell;
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

/** {@code jneox corpus fetch}: the packages of a pipeline in, its sources out. */
@Command(
    name = "fetch",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Make the sources of a pipeline that come from packages.",
      "Downloads the packages with apt-get, mvn and npm, checks their hashes, and",
      "writes the text in them as JSON lines.",
      "What is there already is not made again.",
      ""
    },
    footer = {
      "",
      "A source of packages, and one that is generated:",
      "  - name: manual_pages",
      "    path: pilot/manual_pages.jsonl",
      "    licence: GPL-2.0-or-later",
      "    packages:",
      "      - {package: debian:manpages, files: usr/share/man/man*/*, as: man}",
      "  - {name: mathematics, path: pilot/mathematics.jsonl, licence: Apache-2.0,",
      "     generator: mathematics, documents: 20000, seed: 1}",
      "",
      "package: debian:NAME, maven:GROUP:ARTIFACT:VERSION (its jar of sources), npm:NAME@VERSION",
      "files, except: globs of names in the package; ** goes through folders",
      "licence: of the files taken, an SPDX expression; AND joins those of different files. Take"
          + " no",
      "  files whose licence forbids redistribution, changes or commercial use.",
      "as: text, man, html, xml (DocBook, Mallard), dict, wordnet, fortunes, lines, paragraphs,"
          + " poems",
      "",
      "Example:",
      "  jneox corpus fetch pipelines/pilot.yml"
    })
final class FetchCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "PIPELINE.yml", description = "The pipeline file.")
  private Path file;

  @Parameters(
      index = "1..*",
      arity = "0..*",
      paramLabel = "SOURCE",
      description = "Names of sources; all where there are none.")
  private List<String> sources = List.of();

  @Option(
      names = "--into",
      paramLabel = "DIR",
      description =
          "Where the sources' relative paths start; the pipeline is copied there to build from."
              + " Default: the folder of the pipeline.")
  private Path into;

  @Option(
      names = "--update-lock",
      description =
          "Take the versions of Debian's packages that its mirrors have now, and write their"
              + " hashes into the lock beside the pipeline.")
  private boolean updateLock;

  @Override
  public Integer call() {
    List<CorpusFetch.Fetched> fetched;
    boolean locked = Files.exists(CorpusFetch.lock(file));
    try (Progress progress = ProgressLine.bytes("fetching", -1)) {
      fetched = CorpusFetch.run(file, into, sources, updateLock, progress);
    }
    PrintWriter console = spec.commandLine().getOut();
    long bytes = 0;
    int width = fetched.stream().mapToInt(source -> source.name().length()).max().orElse(1);
    for (CorpusFetch.Fetched source : fetched) {
      console.printf(
          Locale.ROOT,
          "%-" + width + "s %9s of text in %s%s%s%n",
          source.name(),
          ByteSize.text(source.bytes()),
          Counted.text(source.documents(), "document"),
          source.skipped() == 0
              ? ""
              : ", left out " + Counted.text(source.skipped(), "file") + " without such text",
          source.made() ? "" : " (was there)");
      bytes += source.bytes();
    }
    Path pipeline = into == null ? file : into.resolve(file.getFileName());
    console.printf(
        "%s of text in %s%n", ByteSize.text(bytes), Counted.text(fetched.size(), "source"));
    if (!locked && Files.exists(CorpusFetch.lock(file))) {
      console.println(
          "no lock was there: "
              + CorpusFetch.lock(file)
              + " now has the versions that came; keep it to get them again");
    }
    console.println("next: jneox corpus build " + Shell.quoted(pipeline.toString()) + " --out DIR");
    console.flush();
    return 0;
  }
}
