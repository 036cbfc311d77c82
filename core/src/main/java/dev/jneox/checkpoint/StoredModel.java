package dev.jneox.checkpoint;

import dev.jneox.io.InputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A model on disk, whatever wrote it: its description, its weights, and mostly a tokenizer. Once it
 * is open, every tensor the description asks for is there with its shape, and no other. Weights are
 * mapped, never read whole: no value in place is touched after {@link #close}.
 */
public interface StoredModel extends ModelWeights, AutoCloseable {
  /** The folder or file it was opened from. */
  Path path();

  /**
   * The text of its {@code tokenizer.json} (HF tokenizers); a format that has none builds it from
   * what it has.
   */
  Optional<String> tokenizerJson();

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
