package dev.jneox.checkpoint;

import dev.jneox.io.Progress;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.nio.file.Path;
import org.bytedeco.pytorch.Tensor;

/**
 * A model that a writer goes through once, tensor by tensor. When the next one is asked for, the memory of those before is given
 * back and they count as done: a model of any size passes through the memory of its largest tensor.
 */
public final class StreamedModel implements StoredModel {
  private final StoredModel model;
  private final Progress progress;
  private final double bytesPerElement;
  private final Map<String, Long> elements = new HashMap<>();
  private long current;

  /**
   * @param progress counted in bytes of the result
   * @param bytesPerElement of the result
   */
  public StreamedModel(StoredModel model, Progress progress, double bytesPerElement) {
    this.model = model;
    this.progress = progress;
    this.bytesPerElement = bytesPerElement;
    for (TensorSpec spec : model.config().tensors()) {
      elements.put(spec.name(), spec.elements());
    }
  }

  @Override
  public Tensor tensor(String canonical) {
    advance();
    // A writer may come back for another part of it: that counts once.
    current = Math.round(elements.getOrDefault(canonical, 0L) * bytesPerElement);
    elements.remove(canonical);
    return model.tensor(canonical);
  }

  private void advance() {
    model.release();
    progress.step(current);
    current = 0;
  }

  @Override
  public Path path() {
    return model.path();
  }

  @Override
  public ModelConfig config() {
    return model.config();
  }

  @Override
  public String storedAs(String canonical) {
    return model.storedAs(canonical);
  }

  @Override
  public Optional<String> tokenizerJson() {
    return model.tokenizerJson();
  }

  /** The last tensor is done; the model itself stays open. */
  @Override
  public void close() {
    advance();
  }
}
