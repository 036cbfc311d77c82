package dev.jneox.format;

import dev.jneox.format.gguf.GgufModel;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.neox.NeoxCheckpoint;
import dev.jneox.format.neox.RunFolder;
import dev.jneox.format.packed.PackedFolder;
import dev.jneox.io.InputException;
import dev.jneox.weights.StoredModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Detects the format of a model and opens it. */
public final class ModelFiles {
  private ModelFiles() {}

  /**
   * Opens a folder of HF transformers, a checkpoint of GPT-NeoX, a GGUF file, a quantised folder,
   * or the newest checkpoint in the folder of a run.
   *
   * @throws InputException when the path is none of these, or incomplete
   */
  public static StoredModel open(Path path) {
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
   * Resolves the folder of a run to its newest checkpoint; returns any other path unchanged.
   *
   * @throws InputException when the run does not name its newest checkpoint
   */
  public static Path resolve(Path path) {
    return isRun(path) ? RunFolder.of(path).newest() : path;
  }

  /**
   * Returns whether a folder is that of a run rather than a model. A folder with one checkpoint of
   * GPT-NeoX is a model: the configuration and the tokenizer beside the checkpoint belong to it.
   */
  public static boolean isRun(Path path) {
    if (isHf(path) || NeoxCheckpoint.isStep(path) || !RunFolder.is(path)) {
      return false;
    }
    List<Path> checkpoints = RunFolder.of(path).checkpoints();
    return checkpoints.size() != 1 || isHf(checkpoints.getFirst());
  }

  /** Returns whether a path looks like a model, from names alone. */
  public static boolean is(Path path) {
    return Files.isRegularFile(path)
        ? path.toString().endsWith(".gguf")
        : isHf(path) || NeoxCheckpoint.is(path);
  }

  private static boolean isHf(Path folder) {
    return Files.exists(folder.resolve(HfFolder.CONFIG));
  }
}
