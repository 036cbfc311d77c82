package dev.jneox.weights;

import dev.jneox.model.SamplingDefaults;
import dev.jneox.template.ChatTemplates;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Represents a model on disk: its description, its weights and usually a tokenizer. Once it is
 * open, the file is known to have every tensor of the description, with its shape, and no other.
 * Weights are mapped, never read whole; values in place must not be used after {@link #close}.
 * {@code dev.jneox.format.ModelFiles} opens a model.
 */
public interface StoredModel extends ModelWeights, AutoCloseable {
  /** Returns the folder or file that was opened. */
  Path path();

  /**
   * Returns the text of its {@code tokenizer.json} (HF tokenizers). A format without such a file
   * builds the text from its own vocabulary.
   */
  Optional<String> tokenizerJson();

  /** Returns how the authors of the model want its tokens drawn, where they say so. */
  default SamplingDefaults sampling() {
    return SamplingDefaults.NONE;
  }

  /** Returns the chat templates that the model came with; empty where it has none. */
  default Optional<ChatTemplates> chatTemplates() {
    return Optional.empty();
  }

  @Override
  void close();
}
