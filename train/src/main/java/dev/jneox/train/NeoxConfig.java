package dev.jneox.train;

import dev.jneox.dist.Layout;
import dev.jneox.dist.Partition;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/**
 * Describes a training run that is configured in GPT-NeoX's format, with values derived and checked
 * as in GPT-NeoX. There is one record per section.
 *
 * <p>Every key of GPT-NeoX is known, and its type is checked. Keys about fusions, launchers and
 * loggers have no effect; {@link #ignored()} lists those of them whose effect a user may expect. A
 * configuration that asks for something JNeoX does not do and that would change the results can be
 * loaded all the same: {@link #unsupported()} lists such keys.
 *
 * <p>JNeoX adds two keys. {@code lr_schedule_version} is {@code v2} (the default) or {@code v1.0},
 * because GPT-NeoX has changed its learning-rate formulas and has no key to choose them. {@code
 * attention_window} is the number of latest positions that a layer of type {@code local} sees, its
 * own included (GPT-3's locally banded attention).
 *
 * @param settings the keys as they were read
 * @param model but for the vocabulary
 * @param optimizer with the learning rate
 * @param precision of the forward and backward pass
 * @param parallel numbers of processes
 * @param batch sequences per step
 * @param data with the tokenizer
 * @param run its length, validation and logs
 * @param checkpoint where and when the run is saved, and from what it starts
 */
public record NeoxConfig(
    Settings settings,
    ModelSection model,
    OptimizerSection optimizer,
    PrecisionSection precision,
    ParallelSection parallel,
    BatchSection batch,
    DataSection data,
    RunSection run,
    CheckpointSection checkpoint) {
  private static final String PARTITION = "pipe_partition_method";

  /**
   * Loads a configuration.
   *
   * @param files merged in this order; {@code .yml} is appended to a name without an ending
   * @param overrides {@code key=value}, which replace values of the files
   * @throws InputException one line that names file, line and key: what is missing, contradictory
   *     or of the wrong type
   */
  public static NeoxConfig load(List<Path> files, List<String> overrides) {
    return of(Settings.load(files, overrides));
  }

  /**
   * Loads a configuration for processes that run.
   *
   * @param processes number of them, which decides how many copies of the model there are
   * @throws InputException as {@link #load(List, List)}, and when the parts of the model or the
   *     batch do not divide so many processes
   */
  public static NeoxConfig load(List<Path> files, List<String> overrides, int processes) {
    return of(Settings.load(files, overrides), OptionalInt.of(processes));
  }

  /**
   * Reads a configuration from texts.
   *
   * @param texts by the names that messages give them; merged in their order
   * @param overrides {@code key=value}, which replace values of the texts
   * @throws InputException one line that names text, line and key: what is missing, contradictory
   *     or of the wrong type
   */
  public static NeoxConfig of(Map<Path, String> texts, List<String> overrides) {
    return of(Settings.of(texts, overrides));
  }

  /**
   * Reads a configuration from texts, for processes that run.
   *
   * @param processes number of them
   * @throws InputException as {@link #of(Map, List)}, and when the parts of the model or the batch
   *     do not divide so many processes
   */
  public static NeoxConfig of(Map<Path, String> texts, List<String> overrides, int processes) {
    return of(Settings.of(texts, overrides), OptionalInt.of(processes));
  }

  static NeoxConfig of(Settings s) {
    return of(s, OptionalInt.empty());
  }

  private static NeoxConfig of(Settings s, OptionalInt processes) {
    ParallelSection parallel = ParallelSection.of(s, processes);
    ModelSection model = ModelSection.of(s, parallel);
    partition(s);
    DataSection data = DataSection.of(s);
    RunSection run = RunSection.of(s);
    if (run.epochs().isPresent() && !evenlyMixed(data)) {
      throw s.wrong(
          "train_epochs",
          "needs equal weights of the training data: epochs of a weighted mix are not defined");
    }
    return new NeoxConfig(
        s,
        model,
        OptimizerSection.of(s),
        PrecisionSection.of(s),
        parallel,
        BatchSection.of(s, parallel.data()),
        data,
        run,
        CheckpointSection.of(s));
  }

  private static Partition partition(Settings s) {
    return placed(s, PARTITION, () -> Partition.of(s.text(PARTITION)));
  }

  /**
   * Divides a model among the ranks of one copy, as the keys say.
   *
   * @throws InputException when it cannot be divided so, naming the nearest numbers that work
   */
  public Layout layout(ModelSpec shape) {
    try {
      return Layout.of(shape, parallel.tensor(), parallel.pipeline(), 1, partition(settings));
    } catch (InputException e) {
      String key = e.getMessage().replaceFirst("(?s):.*", ""); // the one that is named first
      throw NeoxKeys.find(key).isEmpty()
          ? e
          : e.withMessage(settings.place(key) + ": " + e.getMessage());
    }
  }

  /** Names the place of a key where what was made by its value is refused. */
  private static <T> T placed(Settings s, String key, Supplier<T> made) {
    try {
      return made.get();
    } catch (InputException e) {
      throw e.withMessage(s.place(key) + ": " + e.getMessage());
    }
  }

  /** Lines of {@link #unsupported} about the model, not about how it is trained. */
  private static final Pattern ABOUT_THE_MODEL =
      Pattern.compile(
          ".*: (mlp_multiple_of|sliding_window_width|norm|use_qk_layernorm|use_bias_in_attn_linear|use_bias_in_mlp|mlp_type"
              + "|activation|pos_emb|(output_layer_)?init_method|soft_prompt_tuning|moe_num_experts|num_kv_heads|attention_config|sparse_attention):"
              + " .*");

  /** Returns the lines of {@link #unsupported} about the model itself, not about its training. */
  public List<String> unsupportedInModel() {
    return unsupported().stream().filter(line -> ABOUT_THE_MODEL.matcher(line).matches()).toList();
  }

  private static boolean evenlyMixed(DataSection data) {
    return !data.weightByDocuments()
        && switch (data.source().orElse(null)) {
          case DataSection.Source.Separate parts ->
              parts.train().weights().stream().distinct().count() == 1;
          case null, default -> true;
        };
  }

  /**
   * Returns the keys that were set and ask for something that JNeoX does not do and that does not
   * change the results, such as a report to another service.
   */
  public List<String> ignored() {
    return settings.ignored();
  }

  /**
   * Returns a line, with file and line number, for everything that the configuration asks for, that
   * JNeoX does not do, and that would change the results. Without one the run can be made.
   */
  public List<String> unsupported() {
    List<String> lines = new ArrayList<>(settings.unsupported());
    TreeSet<String> types = new TreeSet<>(model.attentionTypes());
    types.removeAll(List.of("global", "flash", "local"));
    if (!types.isEmpty()) {
      lines.add(
          settings.place("attention_config")
              + ": attention_config: attention of type "
              + String.join(", ", types)
              + ": only global, flash and local are done");
    }
    if (model.attentionTypes().contains("local") && model.attentionWindow() == 0) {
      lines.add(
          settings.place("attention_config")
              + ": attention_config: attention of type local goes by blocks in GPT-NeoX, which is"
              + " not done; set attention_window to the number of latest positions that a local"
              + " layer sees");
    }
    if (parallel.processes() > 1 && optimizer.zeroStage() > 1) {
      lines.add(
          settings.message(
              "zero_optimization",
              "stage " + optimizer.zeroStage() + " is not done: set it to 0 or 1"));
    }
    return lines;
  }
}
