package dev.jneox.cli;

import dev.jneox.hub.Hub;
import dev.jneox.hub.HubFile;
import dev.jneox.hub.HubName;
import dev.jneox.hub.HubSettings;
import dev.jneox.hub.Selection;
import dev.jneox.io.ByteSize;
import dev.jneox.io.Counted;
import dev.jneox.io.InputException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Fetches a model from a hub. */
@Command(
    name = "download",
    sortOptions = false,
    description = {
      "Download a model from the Hugging Face Hub, or a mirror of it, into the cache that Python's"
          + " tools use too.",
      "Goes on where an interrupted download stopped; a file counts only when its size and hash are"
          + " right.",
      "Environment: HF_TOKEN (or what \"hf auth login\" wrote) for private and gated models;"
          + " HF_ENDPOINT; HF_HOME or HF_HUB_CACHE; HF_HUB_OFFLINE."
    },
    footer = {
      "",
      "Examples: a model; its weights at another revision; everything but one folder; from a"
          + " mirror:",
      "  jneox download EleutherAI/pythia-160m",
      "  jneox download EleutherAI/pythia-160m --revision step3000",
      "  jneox download ORG/NAME --include '*' --exclude 'onnx/*'",
      "  jneox download ORG/NAME --endpoint https://hub.example.org --jobs 8"
    })
public final class DownloadCommand implements Runnable {
  private static final int SHOWN = 8;

  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "ORG/NAME",
      description =
          "The model's name on the hub; ORG/NAME@REVISION for a revision, and where there is a"
              + " folder ORG here.")
  private String name;

  @Option(
      names = "--revision",
      paramLabel = "R",
      description = "A branch, tag or commit. Default: main.")
  private String revision;

  @Option(
      names = "--include",
      paramLabel = "GLOB",
      description = {
        "Fetch the files that match, instead of what a model needs (configuration, tokenizer, and"
            + " weights once:",
        "safetensors where there are any). * matches folders too. May be given several times."
      })
  private List<String> include = List.of();

  @Option(
      names = "--exclude",
      paramLabel = "GLOB",
      description = "Leave these out. May be given several times.")
  private List<String> exclude = List.of();

  @Option(
      names = "--cache",
      paramLabel = "DIR",
      description = {
        "Where models are kept.",
        "Default: HF_HUB_CACHE, else ~/.cache/huggingface/hub."
      })
  private Path cache;

  @Option(
      names = "--endpoint",
      paramLabel = "URL",
      description = {"The hub.", "Default: HF_ENDPOINT, else https://huggingface.co."})
  private String endpoint;

  @Option(names = "--offline", description = "Only look whether it is all in the cache.")
  private boolean offline;

  @Option(names = "--jobs", paramLabel = "N", description = "Files fetched at once. Default: 4.")
  private Integer jobs;

  @Option(
      names = "--json",
      description =
          "Print repository, revision, commit, path, files, left_out, fetched_bytes and seconds.")
  private boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Override
  public void run() {
    HubName wanted = HubName.parse(name);
    if (revision == null && ModelPath.is(name)) {
      throw ModelPath.local(name).isPresent()
          ? new InputException(
              name
                  + ": is a path on this machine, so the hub is not asked; on the hub it is "
                  + name
                  + "@main")
          : ModelPath.missing(name, "ORG/NAME on the hub");
    }
    wanted = revision == null ? wanted : wanted.at(revision);
    String task = "downloading " + wanted;
    try (Hub hub = ModelOptions.hub(settings())) {
      Hub.Download done =
          hub.download(
              wanted, new Selection(include, exclude), bytes -> ProgressLine.bytes(task, bytes));
      PrintWriter out = spec.commandLine().getOut();
      if (json) {
        out.println(json(done));
      } else {
        tell(out, done);
      }
      out.flush();
    }
  }

  private HubSettings settings() {
    HubSettings settings = HubSettings.ofEnvironment();
    settings = cache == null ? settings : settings.withCache(cache);
    settings = endpoint == null ? settings : settings.withEndpoint(endpoint);
    settings = jobs == null ? settings : settings.withJobs(jobs);
    return offline ? settings.asOffline() : settings;
  }

  private static void tell(PrintWriter out, Hub.Download done) {
    long bytes = done.files().stream().mapToLong(HubFile::size).sum();
    out.println(
        String.format(
            Locale.ROOT,
            "%s, commit %s: %s, %s, all in the cache%s",
            done.name(),
            done.commit().substring(0, 8),
            Counted.text(done.files().size(), "file"),
            ByteSize.text(bytes),
            done.fetchedBytes() == 0
                ? " already"
                : "; fetched " + ByteSize.text(done.fetchedBytes())));
    if (!done.left().isEmpty()) {
      String first =
          done.left().stream()
              .limit(SHOWN)
              .map(
                  file ->
                      file.name()
                          + " ("
                          + (file.size() < 0 ? "size unknown" : ByteSize.text(file.size()))
                          + ")")
              .collect(Collectors.joining(", "));
      int more = done.left().size() - SHOWN;
      out.println(
          "left out: "
              + first
              + (more > 0 ? " and " + more + " more" : "")
              + "; --include chooses others");
    }
    out.println(done.model());
  }

  private static String json(Hub.Download done) {
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("repository", done.name().repository());
    report.put("revision", done.name().revision());
    report.put("commit", done.commit());
    report.put("path", done.model().toString());
    report.put("files", files(done.files()));
    report.put("left_out", files(done.left()));
    report.put("fetched_bytes", done.fetchedBytes());
    report.put("seconds", done.seconds());
    return Json.line(report);
  }

  private static List<Map<String, Object>> files(List<HubFile> files) {
    return files.stream()
        .map(
            file -> {
              Map<String, Object> one = new LinkedHashMap<>();
              one.put("name", file.name());
              one.put("bytes", file.size());
              one.put("sha256", file.sha256().orElse(null));
              return one;
            })
        .toList();
  }
}
