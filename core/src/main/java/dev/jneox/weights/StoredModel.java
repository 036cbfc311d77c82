package dev.jneox.weights;

import java.nio.file.Path;
import java.util.Optional;

/**
 * A model on disk, whatever wrote it: its description, its weights, and mostly a tokenizer. Once it
 * is open, every tensor the description asks for is there with its shape, and no other. Weights are
 * mapped, never read whole: no value in place is touched after {@link #close}. {@code
 * dev.jneox.format.ModelFiles} opens one.
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
}
