package dev.jneox.generate;

import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.MappedTensor;
import dev.jneox.checkpoint.StoredModel;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.quant.Bf16Weight;
import dev.jneox.quant.F32Weight;
import dev.jneox.quant.PackedWeight;
import dev.jneox.tensor.Tensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;

/**
 * A network as inference reads it: weights in the layouts of {@link PackedWeight}, over the mapped file where it holds them so, and
 * norms and biases in fp32. What {@link CausalLM} is for training and research this is for writing and scoring: the same model
 * without libtorch. Immutable; any number of engines may read it.
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
      Norm attentionNorm, Norm mlpNorm, PackedLinear queryKeyValue, PackedLinear dense, PackedLinear up, PackedLinear down, int window) {}

  private final ModelConfig config;
  private final Arena arena = Arena.ofShared();
  private final List<Tensor> made; // by libtorch, where the file holds no such tensor as it is
  final MappedTensor embedding;
  final MappedTensor positions; // null where the model is rotary
  final List<Layer> layers = new ArrayList<>();
  final Norm finalNorm;
  final PackedLinear head;

  private PackedModel(ModelConfig config, Precision precision, Function<String, MappedTensor> tensors, List<Tensor> made) {
    this.config = config;
    this.made = made;
    embedding = tensors.apply("embed_in.weight");
    positions = config.position() instanceof Position.Learned ? tensors.apply("embed_positions.weight") : null;
    Reader reader = new Reader(precision, tensors);
    for (int l = 0; l < config.layers(); l++) {
      String p = "layers." + l + ".";
      layers.add(
          new Layer(
              reader.norm(p + "input_layernorm"),
              config.residual() == Residual.PARALLEL_ONE_NORM ? null : reader.norm(p + "post_attention_layernorm"),
              reader.linear(p + "attention.query_key_value", 3 * config.hiddenSize(), config.hiddenSize(), config.qkvBias()),
              reader.linear(p + "attention.dense", config.hiddenSize(), config.hiddenSize(), config.denseBias()),
              reader.linear(p + "mlp.dense_h_to_4h", config.intermediateSize(), config.hiddenSize(), true),
              reader.linear(p + "mlp.dense_4h_to_h", config.hiddenSize(), config.intermediateSize(), true),
              config.windows().get(l)));
    }
    finalNorm = reader.norm("final_layer_norm");
    head =
        new PackedLinear(
            reader.weight(config.tiedHead() ? "embed_in.weight" : "embed_out.weight", config.vocabSize(), config.hiddenSize()),
            reader.bias("embed_out", config.headBias()));
  }

  /** Over the weights of a model on disk, which stays open for as long as this is used. */
  public static PackedModel of(StoredModel stored, Precision precision) {
    List<Tensor> made = new ArrayList<>();
    return new PackedModel(
        stored.config(),
        precision,
        name ->
            stored
                .mapped(name)
                .orElseGet(
                    () -> {
                      made.add(stored.tensor(name).retainReference());
                      return view(made.getLast());
                    }),
        made);
  }

  /** Over the weights of a model in libtorch's memory, which stays open for as long as this is used; norms and biases are copied. */
  public static PackedModel of(CausalLM model) {
    return new PackedModel(model.config(), Precision.STORED, name -> view(model.weights().get(name)), List.of());
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

  /** Brings stored tensors into the form that the kernels read. */
  private final class Reader {
    private static final int STRIP = 1 << 14;

    private final Precision precision;
    private final Function<String, MappedTensor> tensors;

    Reader(Precision precision, Function<String, MappedTensor> tensors) {
      this.precision = precision;
      this.tensors = tensors;
    }

    Norm norm(String name) {
      return new Norm(tensors.apply(name + ".weight").floats(), tensors.apply(name + ".bias").floats());
    }

    PackedLinear linear(String name, int out, int in, boolean bias) {
      return new PackedLinear(weight(name + ".weight", out, in), bias(name, bias));
    }

    float[] bias(String name, boolean there) {
      return there ? tensors.apply(name + ".bias").floats() : null;
    }

    PackedWeight weight(String name, int out, int in) {
      MappedTensor stored = tensors.apply(name);
      boolean bf16 = precision == Precision.BF16 || precision == Precision.STORED && stored.dtype() == Dtype.BF16;
      Dtype wanted = bf16 ? Dtype.BF16 : Dtype.F32;
      MemorySegment data = stored.dtype() == wanted ? stored.data() : converted(stored, wanted);
      return bf16 ? new Bf16Weight(out, in, data) : new F32Weight(out, in, data);
    }

    private MemorySegment converted(MappedTensor stored, Dtype wanted) {
      MemorySegment data = arena.allocate(stored.size() * wanted.bits() / 8, 64);
      MappedTensor into = new MappedTensor(wanted, data);
      float[] strip = new float[STRIP];
      for (long at = 0; at < stored.size(); at += STRIP) {
        int n = (int) Math.min(STRIP, stored.size() - at);
        stored.read(at, strip, 0, n);
        into.write(at, strip, 0, n);
      }
      return data;
    }
  }
}
