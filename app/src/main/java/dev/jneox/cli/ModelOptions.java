package dev.jneox.cli;

import dev.jneox.convert.GgufCache;
import dev.jneox.format.ModelFiles;
import dev.jneox.hub.Hub;
import dev.jneox.hub.HubName;
import dev.jneox.hub.HubSettings;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/** Which model a command uses, and in what precision. */
public final class ModelOptions {
  @Spec(Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description =
          "A folder with config.json, weights and, to read and write text, tokenizer.json; a run of"
              + " train, which stands for its newest checkpoint; a model file; or"
              + " ORG/NAME[@REVISION] on the hub, downloaded the first time (see jneox download"
              + " --help). Default: the model of this project, in the folder models of the"
              + " repository.")
  private String model;

  @Mixin private PrecisionOption dtype;

  /** Has a command take {@code --model} several times; see {@link #models}. */
  public static final class Several implements IModelTransformer {
    /** Less than the -1 of all other options, so that the help begins with it as elsewhere. */
    private static final int FIRST = -2;

    @Override
    public CommandSpec transform(CommandSpec spec) {
      OptionSpec one = spec.findOption("--model");
      spec.remove(one);
      return spec.addOption(
          OptionSpec.builder("--model")
              .order(FIRST)
              .paramLabel(one.paramLabel())
              .description(one.description())
              .type(List.class)
              .auxiliaryTypes(String.class)
              .arity("1")
              .build());
    }
  }

  /**
   * Returns the values of {@code --model} of a command that takes it {@link Several} times; where
   * there are none, the project's own.
   */
  public List<String> models() {
    List<String> models = spec.findOption("--model").getValue();
    return models == null ? List.of(path().toString()) : List.copyOf(models);
  }

  /** The folder or file of the model, downloaded if need be. */
  public Path path() {
    if (model == null) {
      return OwnModel.path()
          .orElseThrow(
              () ->
                  new ParameterException(
                      spec.commandLine(), "Missing required option: '--model=MODEL'"));
    }
    return path(model, spec.commandLine().getErr());
  }

  @Option(
      names = "--cache",
      description = {
        "For a GGUF file: keep its weights as they are read beside it, in FILE.gguf.jneox, which"
            + " takes as much disk again.",
        "What is kept is used, with this or without, until the file changes: the model then opens"
            + " at once."
      })
  private boolean cache;

  /** Returns the value of {@code --model}; null where it was not given. */
  public String model() {
    return model;
  }

  /** Opens the model, and warns where it may not fit. */
  public LanguageModel open() {
    return open(path());
  }

  /** Opens a model at a path likewise. */
  public LanguageModel open(Path path) {
    Precision precision = dtype.precision();
    if (cache && (!Files.isRegularFile(path) || precision != Precision.STORED)) {
      throw new ParameterException(
          spec.commandLine(), "--cache is for a GGUF file, without --dtype");
    }
    LanguageModel loaded =
        cache
            ? LanguageModel.open(
                GgufCache.make(path, bytes -> ProgressLine.bytes("keeping", bytes)), precision)
            : LanguageModel.open(path, precision);
    loaded.warning().ifPresent(warning -> spec.commandLine().getErr().println("jneox: " + warning));
    return loaded;
  }

  /** The model's folder or file; that of a run is its newest checkpoint. */
  public static Path path(String model, PrintWriter err) {
    return ModelFiles.resolve(find(model, err));
  }

  /**
   * Returns the folder or file of a model, that of a run as it is. What is on this machine comes
   * first; the environment decides about the hub.
   */
  public static Path find(String model, PrintWriter err) {
    Optional<Path> local = ModelPath.local(model);
    if (local.isPresent()) {
      if (Files.isDirectory(local.get()) && !ModelFiles.is(local.get())) {
        ModelPath.among(local.get())
            .ifPresent(
                wrong -> {
                  throw wrong;
                });
      }
      return local.get();
    }
    if (ModelPath.is(model)) {
      boolean word = !model.isEmpty() && !model.contains("/");
      throw ModelPath.missing(
          model, "a model's folder or file" + (word ? ", or ORG/NAME on the hub" : ""));
    }
    return fromHub(model, HubSettings.ofEnvironment(), err);
  }

  /** The model of a name in the cache, else from the hub, with progress on standard error. */
  static Path fromHub(String model, HubSettings settings, PrintWriter err) {
    try (Hub hub = hub(settings)) {
      return hub.model(
          HubName.parse(model),
          bytes -> {
            err.println(
                model + ": no such path here, so downloading it from " + settings.endpoint());
            err.flush();
            return ProgressLine.bytes("downloading " + model, bytes);
          });
    }
  }

  /** A hub that tells on standard error of what it tries again. */
  public static Hub hub(HubSettings settings) {
    return new Hub(settings, retry -> ProgressLine.line("jneox: " + retry));
  }
}
