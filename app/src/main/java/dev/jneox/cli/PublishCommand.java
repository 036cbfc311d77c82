package dev.jneox.cli;

import dev.jneox.convert.ModelCard;
import dev.jneox.convert.TrainingFacts;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.hub.HubName;
import dev.jneox.hub.Publication;
import dev.jneox.inspect.Verification;
import dev.jneox.io.InputException;
import dev.jneox.io.Shell;
import dev.jneox.weights.StoredModel;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Prepares a model for a hub. */
@Command(
    name = "publish",
    sortOptions = false,
    description = {
      "Prepare a folder to publish a model from.",
      "Checks the model, links or copies its files, writes a model card where there is none,"
          + " .gitattributes for git LFS and SHA256SUMS, and prints the commands that send it."
          + " Sends nothing."
    },
    footer = {
      "",
      "The folder may be a clone of the repository, or one prepared before: README.md is kept, so"
          + " that it can be edited by hand. A card without a licence says so; better state one.",
      "",
      "Examples:",
      "  jneox publish jneox-demo/model --repo me/java-9m --license apache-2.0 \\",
      "    --language code --run jneox-demo/run --data 'Sources of Java libraries.'",
      "  jneox publish run/global_step1000 --repo me/name --license mit \\",
      "    --language en --out name"
    })
public final class PublishCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "MODEL",
      description = "A folder of HF transformers, a run or checkpoint of train, or a GGUF file.")
  private String given;

  @Option(
      names = "--repo",
      required = true,
      paramLabel = "ORG/NAME",
      description = "Its name on the hub.")
  private String repo;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "The folder to prepare. Default: publish/NAME.")
  private Path out;

  @Option(
      names = "--license",
      paramLabel = "ID",
      description = "For the card: apache-2.0, mit, cc-by-4.0, ...")
  private String license;

  @Option(
      names = "--language",
      paramLabel = "CODE",
      description = "For the card: en, de, code, ... May be given several times.")
  private List<String> languages = List.of();

  @Option(
      names = "--data",
      paramLabel = "TEXT",
      description = "For the card: what it was trained on.")
  private String data;

  @Option(
      names = "--base-model",
      paramLabel = "ORG/NAME",
      description = "For the card: what it was converted from or trained on from.")
  private String baseModel;

  @Option(
      names = "--run",
      paramLabel = "DIR",
      description =
          "For the card: the training run or checkpoint. Default: MODEL, where it is a checkpoint.")
  private Path run;

  @Option(
      names = "--json",
      description = "Print repository, path, files, left_out, kept_card and commands.")
  private boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Override
  public void run() {
    HubName name = HubName.parse(repo);
    Path path =
        ModelPath.local(given)
            .orElseThrow(() -> ModelPath.missing(given, "a model's folder or file"));
    Path model = ModelFiles.resolve(path);
    ModelCard.Facts facts =
        ModelCard.Facts.of(name.repository())
            .withLicense(license)
            .withLanguages(languages)
            .withData(data)
            .withBaseModel(baseModel == null ? null : HubName.parse(baseModel).repository())
            .inFile(Files.isRegularFile(model) ? model.getFileName().toString() : null);
    TrainingFacts training = TrainingFacts.read(run == null ? model : run).orElse(null);
    if (run != null && training == null) {
      throw new InputException(
          run + ": expected a training run or a checkpoint, with a training.json, found none");
    }
    requireWhole(model);
    String card;
    try (StoredModel opened = ModelFiles.open(model)) {
      card = ModelCard.text(opened.spec(), facts.withTraining(training));
    }
    Path folder = out == null ? Path.of("publish", name.name()) : out;
    Path own = model.resolve("README.md");
    boolean keepsOwn = !(Files.isRegularFile(own) && ModelCard.isGenerated(HfFolder.text(own)));
    Publication done = Publication.prepare(model, folder, card, keepsOwn, ProgressLine::bytes);
    PrintWriter console = spec.commandLine().getOut();
    if (json) {
      console.println(json(name, done));
    } else {
      tell(console, name, done);
    }
    console.flush();
  }

  private static void requireWhole(Path model) {
    Verification.of(model, ProgressLine::bytes)
        .firstWrong()
        .ifPresent(
            finding -> {
              throw new InputException(
                  model
                      + ": not fit to publish: "
                      + VerifyCommand.name(finding.check())
                      + ": "
                      + finding.message());
            });
  }

  private void tell(PrintWriter console, HubName name, Publication done) {
    console.println(
        done.folder()
            + ": ready, "
            + done.files().size()
            + " files: "
            + String.join(", ", done.files()));
    if (!done.leftOut().isEmpty()) {
      console.println("left out: " + String.join(", ", done.leftOut()));
    }
    if (!done.surplus().isEmpty()) {
      console.println("also there, and not of this model: " + String.join(", ", done.surplus()));
    }
    console.println(
        done.keptCard()
            ? "README.md was there and is kept"
            : "README.md is new: read it, and say in it what only you know");
    if (license == null && !done.keptCard()) {
      console.println("the card states no licence: give --license");
    }
    console.println("To publish it:");
    commands(name, done.folder()).forEach(command -> console.println("  " + command));
    console.println("or, with git:");
    gitCommands(name, done.folder()).forEach(command -> console.println("  " + command));
  }

  private static List<String> commands(HubName name, Path folder) {
    return List.of(
        "hf auth login", "hf upload " + name.repository() + " " + Shell.quoted(folder) + " .");
  }

  private static List<String> gitCommands(HubName name, Path folder) {
    String clone = "https://huggingface.co/" + name.repository();
    return List.of(
        "hf repos create "
            + name.repository()
            + " && git lfs install && git clone "
            + clone
            + " "
            + name.name(),
        "cp -rL "
            + Shell.quoted(folder)
            + "/. "
            + name.name()
            + " && cd "
            + name.name()
            + " && git add -A && git commit -m 'Add the model' && git push");
  }

  private static String json(HubName name, Publication done) {
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("repository", name.repository());
    report.put("path", done.folder().toString());
    report.put("files", done.files());
    report.put("left_out", done.leftOut());
    report.put("surplus", done.surplus());
    report.put("kept_card", done.keptCard());
    report.put("commands", commands(name, done.folder()));
    return Json.line(report);
  }
}
