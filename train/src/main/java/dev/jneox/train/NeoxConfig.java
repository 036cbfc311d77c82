package dev.jneox.train;

import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * A training run in GPT-NeoX's own configuration format: what {@link Settings} read, derived and
 * checked as GPT-NeoX does it. One record per concern.
 *
 * <p>Every key of GPT-NeoX is known and has its type checked. Keys about fusions, launchers and
 * loggers have no effect; {@link #ignored()} lists those that somebody may wait for. Keys that ask
 * for something JNeoX does not do and that would change the results do not keep a file from
 * loading: {@link #unsupported()} lists them. Two keys are ours: {@code lr_schedule_version},
 * {@code v2} (the default) or {@code v1.0}, because GPT-NeoX changed its learning-rate formulas
 * without giving the choice a name; and {@code attention_window}, how many of the latest positions
 * a layer of type {@code local} sees, its own included (GPT-3's locally banded attention).
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

  /**
   * Loads a configuration.
   *
   * @param files merged in this order; {@code .yml} is appended to a name without an ending
   * @param overrides {@code key=value}, stronger than the files
   * @throws InputException one line that names file, line and key: what is missing, contradictory
   *     or of the wrong type
   */
  public static NeoxConfig load(List<Path> files, List<String> overrides) {
    return of(Settings.load(files, overrides));
  }

  /** The same for texts that are no files, by the names that messages call them. */
  public static NeoxConfig of(Map<Path, String> texts, List<String> overrides) {
    return of(Settings.of(texts, overrides));
  }

  static NeoxConfig of(Settings s) {
    ParallelSection parallel = ParallelSection.of(s);
    ModelSection model = ModelSection.of(s, parallel);
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

  /** Lines of {@link #unsupported} about the model, not about how it is trained. */
  private static final Pattern ABOUT_THE_MODEL =
      Pattern.compile(
          ".*: (mlp_multiple_of|sliding_window_width|norm|use_qk_layernorm|use_bias_in_attn_linear|use_bias_in_mlp|mlp_type"
              + "|activation|pos_emb|(output_layer_)?init_method|soft_prompt_tuning|moe_num_experts|num_kv_heads|attention_config|sparse_attention):"
              + " .*");

  /** Lists the lines of {@link #unsupported} that say that the model itself cannot be made. */
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
   * Lists the keys that were set and ask for something that JNeoX does not do and that does not
   * change the results, such as a report to another service.
   */
  public List<String> ignored() {
    return settings.ignored();
  }

  /**
   * What the configuration asks for, would change the results, and is not done: one line each, with
   * file and line. Empty when the run can be made as described.
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
    if (parallel.processes() > 1) {
      lines.add(
          settings.place("model_parallel_size")
              + ": "
              + parallel
              + ": one process is done; set pipe_parallel_size, model_parallel_size and"
              + " global_num_gpus to 1");
    }
    return lines;
  }
}
