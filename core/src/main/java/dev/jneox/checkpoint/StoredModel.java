package dev.jneox.checkpoint;

import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;

/**
 * A model on disk, whatever wrote it: its shape, its tensors by the canonical names of {@link
 * ModelConfig#tensors()}, and mostly a tokenizer. Once it is open, every tensor the configuration
 * asks for is there with its shape, and no other. Weights are mapped, never read whole: let go of
 * every tensor before {@link #close}, a later touch ends the process.
 */
public interface StoredModel extends AutoCloseable {
  /** The folder or file it was opened from. */
  Path path();

  ModelConfig config();

  /** How a tensor is stored, as its format calls it: {@code BF16}, {@code Q4_0}. */
  String storedAs(String canonical);

  /**
   * A tensor in canonical layout: a view of the mapped file where it lies there so, else a fresh
   * copy (transposed, fused, merged; quantised ones in fp32). The caller owns it.
   */
  Tensor tensor(String canonical);

  /**
   * A tensor's values where the file holds them, or rows of them, in canonical layout, valid until
   * {@link #close}; empty where it does not, and {@link #tensor} makes them. Starts no libtorch,
   * which takes longer than a small model takes to answer.
   */
  default Optional<MappedTensor> mapped(String canonical) {
    return Optional.empty();
  }

  /**
   * A matrix that the file keeps as integers with scales, for kernels that multiply those and for
   * writers that take them over; valid until {@link #close}. Empty for any other tensor.
   */
  default Optional<QuantisedMatrix> quantised(String canonical) {
    return Optional.empty();
  }

  /**
   * The text of its {@code tokenizer.json} (HF tokenizers); a format that has none builds it from
   * what it has.
   */
  Optional<String> tokenizerJson();

  /**
   * All tensors by canonical name, in the order of {@link ModelConfig#tensors}; the caller owns
   * them.
   */
  default Map<String, Tensor> tensors() {
    Map<String, Tensor> all = new LinkedHashMap<>();
    config().tensors().forEach(spec -> all.put(spec.name(), tensor(spec.name())));
    return all;
  }

  /**
   * Gives the memory of what was read back to the system; views stay valid and read it again. Who
   * goes through a large model calls it after each tensor.
   */
  default void release() {}

  @Override
  void close();

  /**
   * Opens a folder of HF transformers, a checkpoint of GPT-NeoX, a GGUF file, or the newest
   * checkpoint in the folder of a run.
   *
   * @throws InputException when it is none, or not whole
   */
  static StoredModel open(Path path) {
    if (!Files.exists(path)) {
      throw new InputException(path + ": there is no such model folder or file");
    }
    if (Files.isRegularFile(path)) {
      return GgufModel.open(path);
    }
    Path folder = resolve(path);
    if (PackedFolder.is(folder)) {
      return PackedFolder.open(folder);
    }
    return !isHf(folder) && NeoxCheckpoint.is(folder)
        ? NeoxCheckpoint.open(folder)
        : HfFolder.open(folder);
  }

  /**
   * Resolves the folder of a run to its newest checkpoint; every other path stands for itself.
   *
   * @throws InputException when the run does not say which one that is
   */
  static Path resolve(Path path) {
    return isRun(path) ? RunFolder.of(path).newest() : path;
  }

  /**
   * Tells whether a folder is that of a run rather than a model. With one checkpoint of GPT-NeoX it
   * is a model: the configuration and the tokenizer beside the checkpoint are parts of it.
   */
  static boolean isRun(Path path) {
    if (isHf(path) || NeoxCheckpoint.isStep(path) || !RunFolder.is(path)) {
      return false;
    }
    List<Path> checkpoints = RunFolder.of(path).checkpoints();
    return checkpoints.size() != 1 || isHf(checkpoints.getFirst());
  }

  /** Tells by names alone whether a path looks like what {@link #open} takes. */
  static boolean is(Path path) {
    return Files.isRegularFile(path)
        ? path.toString().endsWith(".gguf")
        : isHf(path) || NeoxCheckpoint.is(path);
  }

  private static boolean isHf(Path folder) {
    return Files.exists(folder.resolve(HfFolder.CONFIG));
  }
}
