package dev.jneox.generate;

import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.GgmlRows;
import dev.jneox.checkpoint.GgmlType;
import dev.jneox.checkpoint.MappedTensor;
import dev.jneox.checkpoint.StoredModel;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import dev.jneox.quant.Bf16Weight;
import dev.jneox.quant.F32Weight;
import dev.jneox.quant.PackedWeight;
import dev.jneox.quant.Q4Layout;
import dev.jneox.quant.Q4Weight;
import dev.jneox.tensor.Tensors;
import dev.jneox.tensor.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
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

  /** A matrix of which single rows are read. */
  @FunctionalInterface
  interface Rows {
    void read(int row, float[] into, int at);
  }

  /** Where weights come from. */
  private interface Source {
    MappedTensor tensor(String name);

    Optional<GgmlRows> quantised(String name);
  }

  private final ModelConfig config;
  private final Arena arena = Arena.ofShared();
  private final List<Tensor> made; // by libtorch, where the file holds no such tensor as it is
  final Rows embedding;
  final Rows positions; // null where the model is rotary
  final List<Layer> layers = new ArrayList<>();
  final Norm finalNorm;
  final PackedLinear head;

  private PackedModel(ModelConfig config, Precision precision, Source source, List<Tensor> made) {
    this.config = config;
    this.made = made;
    Reader reader = new Reader(precision, source);
    embedding = reader.rows("embed_in.weight", config.hiddenSize());
    positions = config.position() instanceof Position.Learned ? reader.rows("embed_positions.weight", config.hiddenSize()) : null;
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
    Source source =
        new Source() {
          @Override
          public MappedTensor tensor(String name) {
            Optional<MappedTensor> mapped = stored.mapped(name);
            if (mapped.isEmpty()) {
              made.add(stored.tensor(name).retainReference());
            }
            return mapped.orElseGet(() -> view(made.getLast()));
          }

          @Override
          public Optional<GgmlRows> quantised(String name) {
            return stored.quantised(name);
          }
        };
    return new PackedModel(stored.config(), precision, source, made);
  }

  /** Over the weights of a model in libtorch's memory, which stays open for as long as this is used; norms and biases are copied. */
  public static PackedModel of(CausalLM model) {
    Source source =
        new Source() {
          @Override
          public MappedTensor tensor(String name) {
            return view(model.weights().get(name));
          }

          @Override
          public Optional<GgmlRows> quantised(String name) {
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

  /** Brings stored tensors into the form that the kernels read. */
  private final class Reader {
    private static final int STRIP = 1 << 14;

    private final Precision precision;
    private final Source source;

    Reader(Precision precision, Source source) {
      this.precision = precision;
      this.source = source;
    }

    Norm norm(String name) {
      return new Norm(source.tensor(name + ".weight").floats(), source.tensor(name + ".bias").floats());
    }

    Rows rows(String name, int width) {
      Optional<GgmlRows> quantised = source.quantised(name);
      if (quantised.isPresent()) {
        return quantised.get()::dequantise;
      }
      MappedTensor tensor = source.tensor(name);
      return (row, into, at) -> tensor.read((long) row * width, into, at, width);
    }

    PackedLinear linear(String name, int out, int in, boolean bias) {
      return new PackedLinear(weight(name + ".weight", out, in), bias(name, bias));
    }

    float[] bias(String name, boolean there) {
      return there ? source.tensor(name + ".bias").floats() : null;
    }

    PackedWeight weight(String name, int out, int in) {
      Optional<GgmlRows> quantised = source.quantised(name);
      if (quantised.isPresent()) {
        return quantised(quantised.get());
      }
      MappedTensor stored = source.tensor(name);
      boolean bf16 = precision == Precision.BF16 || precision == Precision.STORED && stored.dtype() == Dtype.BF16;
      MappedTensor into = stored.dtype() == (bf16 ? Dtype.BF16 : Dtype.F32) ? stored : plain(bf16, out, in);
      if (into != stored) {
        float[] strip = new float[STRIP];
        for (long at = 0; at < stored.size(); at += STRIP) {
          int n = (int) Math.min(STRIP, stored.size() - at);
          stored.read(at, strip, 0, n);
          into.write(at, strip, 0, n);
        }
      }
      return weight(into, out, in);
    }

    private static PackedWeight weight(MappedTensor tensor, int out, int in) {
      return tensor.dtype() == Dtype.BF16 ? new Bf16Weight(out, in, tensor.data()) : new F32Weight(out, in, tensor.data());
    }

    private MappedTensor plain(boolean bf16, int out, int in) {
      long bytes = (bf16 ? 2L : 4L) * out * in;
      return new MappedTensor(bf16 ? Dtype.BF16 : Dtype.F32, arena.allocate(bytes, 64));
    }

    /** Types that have no kernel are multiplied in bf16: its rounding is far below theirs. */
    private PackedWeight quantised(GgmlRows stored) {
      int out = stored.out();
      int in = stored.in();
      if (stored.type() == GgmlType.Q4_0 && precision == Precision.STORED) {
        MemorySegment packed = arena.allocate(Q4Weight.bytes(out, in), 64);
        try (Arena passing = Arena.ofShared()) {
          MemorySegment gguf = stored.inPlace() ? stored.parts().getFirst() : passing.allocate(Q4Layout.ggufBytes(out, in), 64);
          if (!stored.inPlace()) {
            Workers.all().forEach(out, (from, to, thread) -> stored.copy(from, to, gguf));
          }
          Workers.all().forEach(
              Math.ceilDiv(out, PackedWeight.BLOCK), (from, to, thread) -> Q4Layout.pack(out, in, gguf, packed, from, to));
        }
        return new Q4Weight(out, in, packed);
      }
      MappedTensor into = plain(precision != Precision.F32, out, in);
      Workers.all().forEach(
          out,
          (from, to, thread) -> {
            float[] row = new float[in];
            for (int r = from; r < to; r++) {
              stored.dequantise(r, row, 0);
              into.write((long) r * in, row, 0, in);
            }
          });
      return weight(into, out, in);
    }
  }
}
