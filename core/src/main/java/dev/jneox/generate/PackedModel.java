package dev.jneox.generate;

import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.MappedTensor;
import dev.jneox.checkpoint.QuantisedMatrix;
import dev.jneox.checkpoint.StoredModel;
import dev.jneox.io.InputException;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.quant.PackedWeight;
import dev.jneox.tensor.Tensors;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;

/**
 * A network as inference reads it: weights in the layouts of {@link PackedWeight}, over the mapped
 * file where it holds them so, and norms and biases in fp32. What {@link CausalLM} is for training
 * and research this is for writing and scoring: the same model without libtorch. Immutable; any
 * number of engines may read it.
 */
public final class PackedModel implements AutoCloseable {
  /** A layer norm. */
  record Norm(float[] weight, float[] bias) {}

  /**
   * One block.
   *
   * @param mlpNorm null where the MLP reads what attention reads
   * @param window how many positions a query sees, itself included; 0 is all
   */
  record Layer(
      Norm attentionNorm,
      Norm mlpNorm,
      PackedLinear queryKeyValue,
      PackedLinear dense,
      PackedLinear up,
      PackedLinear down,
      int window) {}

  private final ModelConfig config;
  private final Arena arena = Arena.ofShared();
  private final List<Tensor> made; // by libtorch, where the file holds no such tensor as it is
  final WeightReader.Rows embedding;
  final WeightReader.Rows positions; // null where the model is rotary
  final List<Layer> layers = new ArrayList<>();
  final Norm finalNorm;
  final PackedLinear head;

  private PackedModel(
      ModelConfig config, Precision precision, WeightReader.Source source, List<Tensor> made) {
    this.config = config;
    this.made = made;
    WeightReader reader = new WeightReader(source, precision, arena);
    embedding = reader.rows("embed_in.weight", config.hiddenSize());
    positions =
        config.position() instanceof Position.Learned
            ? reader.rows("embed_positions.weight", config.hiddenSize())
            : null;
    for (int l = 0; l < config.layers(); l++) {
      String p = "layers." + l + ".";
      layers.add(
          new Layer(
              reader.norm(p + "input_layernorm"),
              config.residual() == Residual.PARALLEL_ONE_NORM
                  ? null
                  : reader.norm(p + "post_attention_layernorm"),
              reader.linear(
                  p + "attention.query_key_value",
                  3 * config.hiddenSize(),
                  config.hiddenSize(),
                  config.qkvBias()),
              reader.linear(
                  p + "attention.dense",
                  config.hiddenSize(),
                  config.hiddenSize(),
                  config.denseBias()),
              reader.linear(
                  p + "mlp.dense_h_to_4h", config.intermediateSize(), config.hiddenSize(), true),
              reader.linear(
                  p + "mlp.dense_4h_to_h", config.hiddenSize(), config.intermediateSize(), true),
              config.windows().get(l)));
    }
    finalNorm = reader.norm("final_layer_norm");
    head =
        new PackedLinear(
            reader.weight(
                config.tiedHead() ? "embed_in.weight" : "embed_out.weight",
                config.vocabSize(),
                config.hiddenSize()),
            reader.bias("embed_out", config.headBias()));
  }

  /** Over the weights of a model on disk, which stays open for as long as this is used. */
  public static PackedModel of(StoredModel stored, Precision precision) {
    List<Tensor> made = new ArrayList<>();
    WeightReader.Source source =
        new WeightReader.Source() {
          @Override
          public MappedTensor tensor(String name) {
            Optional<MappedTensor> mapped = stored.mapped(name);
            if (mapped.isEmpty()) {
              made.add(stored.tensor(name).retainReference());
            }
            return mapped.orElseGet(() -> view(made.getLast()));
          }

          @Override
          public Optional<QuantisedMatrix> quantised(String name) {
            return stored.quantised(name);
          }

          @Override
          public InputException broken(String name, String found) {
            return InputException.in(
                stored.path(), "tensor \"" + name + '"', "finite numbers", found);
          }
        };
    return new PackedModel(stored.config(), precision, source, made);
  }

  /**
   * Over the weights of a model in libtorch's memory, which stays open for as long as this is used;
   * norms and biases are copied.
   */
  public static PackedModel of(CausalLM model) {
    WeightReader.Source source =
        new WeightReader.Source() {
          @Override
          public MappedTensor tensor(String name) {
            return view(model.weights().get(name));
          }

          @Override
          public Optional<QuantisedMatrix> quantised(String name) {
            return Optional.empty();
          }
        };
    return new PackedModel(model.config(), Precision.STORED, source, List.of());
  }

  private static MappedTensor view(Tensor tensor) {
    return new MappedTensor(Dtype.of(tensor.scalar_type().intern()), Tensors.segment(tensor));
  }

  public ModelConfig config() {
    return config;
  }

  /** Bytes of weights that one decoding step reads, however many texts share it. */
  public long stepBytes() {
    long bytes = head.weight().bytes();
    for (Layer layer : layers) {
      for (PackedLinear linear : List.of(layer.queryKeyValue, layer.dense, layer.up, layer.down)) {
        bytes += linear.weight().bytes();
      }
    }
    return bytes;
  }

  /** Frees the weights that had to be converted. */
  @Override
  public void close() {
    made.forEach(Tensor::close);
    arena.close();
  }
}
