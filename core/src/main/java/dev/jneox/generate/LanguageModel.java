package dev.jneox.generate;

import dev.jneox.checkpoint.HfFolder;
import dev.jneox.io.InputException;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** A model folder, opened to be used: the network over its weights, and its tokenizer if it has one. */
public final class LanguageModel implements AutoCloseable {
  private final HfFolder folder;
  private final CausalLM network;
  private final Tokenizer tokenizer;

  private LanguageModel(HfFolder folder, CausalLM network, Tokenizer tokenizer) {
    this.folder = folder;
    this.network = network;
    this.tokenizer = tokenizer;
  }

  /**
   * Opens a folder of HF transformers. Weights that are stored in the type wanted stay in the mapped file.
   *
   * @throws InputException if the folder is not a whole model
   */
  public static LanguageModel open(Path dir, Precision precision) {
    HfFolder folder = HfFolder.open(dir);
    CausalLM network = null;
    try {
      network = new CausalLM(folder.config(), weights(folder, precision));
      return new LanguageModel(folder, network, folder.tokenizer().map(Tokenizer::load).orElse(null));
    } catch (RuntimeException e) {
      if (network != null) {
        network.close();
      }
      folder.close();
      throw e;
    }
  }

  private static Map<String, Tensor> weights(HfFolder folder, Precision precision) {
    Map<String, Tensor> weights = new LinkedHashMap<>();
    for (ModelConfig.TensorSpec spec : folder.config().tensors()) {
      try (Tensor stored = folder.tensor(spec.name())) {
        Tensor matrix = weights.get(spec.name().replaceFirst("[.]bias$", ".weight"));
        ScalarType type =
            spec.shape().length > 1
                ? precision.of(stored.scalar_type().intern())
                // A bias is added in the type of its matrix, whatever it is stored in.
                : matrix != null && matrix.dim() > 1 ? matrix.scalar_type().intern() : ScalarType.Float;
        weights.put(spec.name(), stored.to(type));
      }
    }
    return weights;
  }

  public ModelConfig config() {
    return network.config();
  }

  /** The network itself. */
  public CausalLM network() {
    return network;
  }

  public boolean hasTokenizer() {
    return tokenizer != null;
  }

  /** @throws InputException where the folder has no {@code tokenizer.json} */
  public Tokenizer tokenizer() {
    if (tokenizer == null) {
      throw new InputException(
          folder.dir() + ": expected a tokenizer.json, to read and write text with, found none; give token ids instead");
    }
    return tokenizer;
  }

  /** Continues texts; without a tokenizer, ids alone. */
  public Generator generator() {
    return new Generator(network, tokenizer);
  }

  public Scorer scorer() {
    return new Scorer(network);
  }

  @Override
  public void close() {
    network.close();
    if (tokenizer != null) {
      tokenizer.close();
    }
    folder.close();
  }
}
