package dev.jneox.train;

import dev.jneox.model.ModelConfig;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The training step of {@link dev.jneox.model.CausalLM} written out, forward and backward, without
 * a tape: matrix products by libtorch into memory that is allocated once, one pass of {@link
 * Kernels} between them, and the head in slices so that the logits of the whole batch never exist.
 * Products are in the precision of {@link Parameters#compute}; the residual stream, the attention
 * core, norms and loss are in fp32. {@link AutogradStep} computes the same in fp32 and is what this
 * is tested against.
 *
 * <pre>{@code
 * x -> norm -> y1 -> qkv -> q, k, v -> attention -> z -> dense ----+
 *   `-> norm -> y2 -> fc1 -> gelu -> fc2 --------------------------+-> x + both     (parallel; with one norm, y2 is y1)
 * }</pre>
 */
public final class FusedStep implements GradientStep {
  /**
   * Bytes of logits held at a time: little beside the weights, yet enough rows (512 of 50,000) to
   * keep the products fast.
   */
  private static final long LOGITS_BYTES = 64L << 20;

  private final ModelConfig config;
  private final Parameters parameters;
  private final boolean recompute;
  private final Layer[] layers;
  private final Kernels.NormWeights finalNorm;
  private final Matrix embedding; // fp32
  private final Matrix embeddingGradient;
  private final Matrix positions; // fp32; null where they are rotary
  private final Matrix positionsGradient;
  private final Weight head;
  private final Map<Long, Matrix> products = new HashMap<>();
  private Workspace space;
  private volatile boolean stopped;

  /**
   * @param recompute whether the backward pass runs each layer's forward pass again instead of
   *     keeping its activations (GPT-NeoX's {@code checkpoint_activations})
   */
  public FusedStep(ModelConfig config, Parameters parameters, boolean recompute) {
    this.config = config;
    this.parameters = parameters;
    this.recompute = recompute;
    layers = new Layer[config.layers()];
    for (int l = 0; l < layers.length; l++) {
      String p = "layers." + l + ".";
      layers[l] =
          new Layer(
              norm(p + "input_layernorm"),
              config.residual() == Residual.PARALLEL_ONE_NORM
                  ? null
                  : norm(p + "post_attention_layernorm"),
              config.windows().get(l),
              weight(p + "attention.query_key_value"),
              weight(p + "attention.dense"),
              weight(p + "mlp.dense_h_to_4h"),
              weight(p + "mlp.dense_4h_to_h"));
    }
    finalNorm = norm("final_layer_norm");
    embedding = new Matrix(parameters.weight("embed_in.weight").retainReference());
    embeddingGradient = parameters.gradientMatrix("embed_in.weight");
    boolean learned = config.position() instanceof Position.Learned;
    positions =
        learned ? new Matrix(parameters.weight("embed_positions.weight").retainReference()) : null;
    positionsGradient = learned ? parameters.gradientMatrix("embed_positions.weight") : null;
    head = weight(config.tiedHead() ? "embed_in.weight" : "embed_out.weight", "embed_out.bias");
  }

  /**
   * A linear map: its matrix in the precision of the products, where its gradient and its bias are
   * (fp32; bias may be null).
   */
  private record Weight(
      Matrix matrix, MemorySegment gradient, MemorySegment bias, MemorySegment biasGradient) {}

  private record Layer(
      Kernels.NormWeights norm1,
      Kernels.NormWeights norm2,
      int window,
      Weight queryKeyValue,
      Weight dense,
      Weight fc1,
      Weight fc2) {}

  private Weight weight(String name) {
    return weight(name + ".weight", name + ".bias");
  }

  private Weight weight(String matrix, String bias) {
    return new Weight(
        parameters.computeMatrix(matrix),
        parameters.gradientData(matrix),
        parameters.weightData(bias),
        parameters.gradientData(bias));
  }

  private Kernels.NormWeights norm(String name) {
    return new Kernels.NormWeights(
        parameters.weightData(name + ".weight"),
        parameters.weightData(name + ".bias"),
        parameters.gradientData(name + ".weight"),
        parameters.gradientData(name + ".bias"));
  }

  @Override
  public double gradient(Batch batch, double scale) {
    Workspace w = workspace(batch);
    forward(w, batch);
    double count = batch.count();
    double loss = head(w, batch, (float) (scale / count)) / count;
    Matrix last = w.inputs[layers.length];
    w.gradient.tensor.zero_();
    Kernels.normBackward(last, w.finalStatistics, finalNorm, w.normed, null, null, w.gradient);
    for (int l = layers.length - 1; l >= 0; l--) {
      goOnUnlessStopped();
      Tape tape = w.tapes[recompute ? 0 : l];
      if (recompute) {
        forward(layers[l], w, w.inputs[l], tape, null);
      }
      backward(layers[l], w, w.inputs[l], tape);
    }
    Kernels.embedBackward(w.gradient, batch.inputs(), embeddingGradient);
    if (positions != null) {
      Kernels.embedBackward(w.gradient, w.positions, positionsGradient);
    }
    return loss;
  }

  @Override
  public double loss(Batch batch) {
    Workspace w = workspace(batch);
    forward(w, batch);
    return head(w, batch, 0) / batch.count();
  }

  @Override
  public void stop() {
    stopped = true;
  }

  /** Throws if the step was stopped. Called between layers: a micro-batch may take minutes. */
  private void goOnUnlessStopped() {
    if (stopped) {
      throw new Stopped();
    }
  }

  private void forward(Workspace w, Batch batch) {
    Kernels.embed(embedding, batch.inputs(), positions, w.positions, w.inputs[0]);
    for (int l = 0; l < layers.length; l++) {
      goOnUnlessStopped();
      forward(layers[l], w, w.inputs[l], w.tapes[recompute ? 0 : l], w.inputs[l + 1]);
    }
    Kernels.norm(
        w.inputs[layers.length],
        config.layerNormEps(),
        finalNorm,
        w.normed,
        null,
        null,
        w.finalStatistics);
  }

  /** One layer, {@code x} to {@code out}; a null {@code out} only fills the tape. */
  private void forward(Layer layer, Workspace w, Matrix x, Tape tape, Matrix out) {
    boolean serial = config.residual() == Residual.SERIAL;
    double eps = config.layerNormEps();
    Kernels.norm(
        x,
        eps,
        layer.norm1,
        tape.normed1,
        serial ? null : layer.norm2,
        tape.normed2,
        tape.statistics1);
    multiply(tape.normed1, layer.queryKeyValue, tape.fused);
    w.attend.forward(tape.fused, layer.queryKeyValue.bias, layer.window, tape.z, tape.logSums);
    if (out != null || serial) {
      multiply(tape.z, layer.dense, w.attention);
    }
    if (serial) {
      Kernels.residual(x, w.attention, layer.dense.bias, null, null, tape.middle);
      Kernels.norm(tape.middle, eps, layer.norm2, tape.normed2, null, null, tape.statistics2);
    }
    multiply(tape.normed2, layer.fc1, tape.pre);
    Kernels.gelu(tape.pre, layer.fc1.bias, config.activation(), tape.post);
    if (out == null) {
      return;
    }
    multiply(tape.post, layer.fc2, w.mlp);
    if (serial) {
      Kernels.residual(tape.middle, w.mlp, layer.fc2.bias, null, null, out);
    } else {
      Kernels.residual(x, w.attention, layer.dense.bias, w.mlp, layer.fc2.bias, out);
    }
  }

  /**
   * Turns {@code w.gradient}, the gradient of the layer's output, into that of its input {@code x};
   * adds its weights'.
   */
  private void backward(Layer layer, Workspace w, Matrix x, Tape tape) {
    boolean serial = config.residual() == Residual.SERIAL;
    // The gradient of both branches' outputs, in the precision of the products.
    Matrix branch = w.attention;
    Kernels.castAndSum(
        w.gradient, branch, layer.fc2.biasGradient, serial ? null : layer.dense.biasGradient);

    backward(branch, layer.fc2, tape.post, w.wide);
    Kernels.geluBackward(
        tape.pre, layer.fc1.bias, config.activation(), w.wide, layer.fc1.biasGradient);
    backward(w.wide, layer.fc1, tape.normed2, w.normedGradient2);
    if (serial) {
      Kernels.normBackward(
          tape.middle, tape.statistics2, layer.norm2, w.normedGradient2, null, null, w.gradient);
      Kernels.castAndSum(w.gradient, branch, layer.dense.biasGradient);
    }

    backward(branch, layer.dense, tape.z, w.mlp);
    w.attend.backward(
        tape.fused,
        layer.queryKeyValue.bias,
        layer.window,
        tape.z,
        tape.logSums,
        w.mlp,
        layer.queryKeyValue.biasGradient);
    backward(tape.fused, layer.queryKeyValue, tape.normed1, w.normedGradient1);
    // Carried by fp32 neither is rounded yet: who reads the sum rounds it.
    if (config.residual() == Residual.PARALLEL_ONE_NORM) {
      w.normedGradient1.tensor.add_(w.normedGradient2.tensor);
    }
    Kernels.normBackward(
        x,
        tape.statistics1,
        layer.norm1,
        w.normedGradient1,
        serial ? null : layer.norm2,
        w.normedGradient2,
        w.gradient);
  }

  /**
   * The sum of the losses; with {@code scale} above 0 also the gradient of the normed output, in
   * its place, and of the head.
   */
  private double head(Workspace w, Batch batch, float scale) {
    double sum = 0;
    for (int s = 0, first = 0; s < w.normedSlices.length; first += w.normedSlices[s].rows, s++) {
      goOnUnlessStopped();
      Matrix normed = w.normedSlices[s];
      Matrix logits = w.logits[s];
      multiply(normed, head, logits);
      sum +=
          Kernels.loss(
              logits, head.bias, head.biasGradient, batch.labels(), batch.weights(), first, scale);
      if (scale > 0) {
        weightGradient(logits, head, normed);
        torch.mm_out(normed.tensor, logits.tensor, head.matrix.tensor);
      }
    }
    return sum;
  }

  /** {@code y = x W^T}, without the bias, which the kernel that reads {@code y} adds. */
  private static void multiply(Matrix x, Weight weight, Matrix y) {
    torch.mm_out(y.tensor, x.tensor, weight.matrix.transposed);
  }

  /** {@code dx = dy W}, and the weight's gradient. */
  private void backward(Matrix dy, Weight weight, Matrix x, Matrix dx) {
    weightGradient(dy, weight, x);
    torch.mm_out(dx.tensor, dy.tensor, weight.matrix.tensor);
  }

  /**
   * {@code gradient += dy^T x}: the product is rounded to the precision of the products, the sum is
   * fp32.
   */
  private void weightGradient(Matrix dy, Weight weight, Matrix x) {
    Matrix product =
        products.computeIfAbsent((long) dy.cols << 32 | x.cols, key -> matrix(dy.cols, x.cols));
    torch.mm_out(product.tensor, dy.transposed, x.tensor);
    Kernels.accumulate(product, weight.gradient);
  }

  /** A fresh matrix for a product's operand or result. */
  private Matrix matrix(long rows, long cols) {
    return Matrix.of(parameters.compute(), parameters.carrier(), rows, cols);
  }

  private Workspace workspace(Batch batch) {
    if (space == null || space.sequences != batch.sequences() || space.length != batch.length()) {
      space = new Workspace(batch.sequences(), batch.length());
    }
    return space;
  }

  /**
   * Rows of logits that are held at a time, of {@code tokens} in all: slices as equal as they can
   * be.
   */
  static long logitRows(long tokens, int vocab, int bytes) {
    long rows = Math.max(128, Math.min(tokens, LOGITS_BYTES / vocab / bytes));
    long slices = Math.ceilDiv(tokens, rows);
    return Math.ceilDiv(tokens, slices);
  }

  /** What the backward pass of one layer reads. */
  private final class Tape {
    final Matrix normed1;
    final Matrix normed2;
    final Kernels.NormStatistics statistics1;
    final Kernels.NormStatistics statistics2;
    final Matrix middle; // serial residual only
    final Matrix fused; // queries, keys and values; in the backward pass their gradients
    final Matrix z;
    final Matrix pre;
    final Matrix post;
    final float[] logSums;

    Tape(int tokens, CausalAttention attend) {
      int h = config.hiddenSize();
      normed1 = matrix(tokens, h);
      normed2 = config.residual() == Residual.PARALLEL_ONE_NORM ? normed1 : matrix(tokens, h);
      statistics1 = new Kernels.NormStatistics(tokens);
      statistics2 = new Kernels.NormStatistics(tokens);
      middle = config.residual() == Residual.SERIAL ? Matrix.of(ScalarType.Float, tokens, h) : null;
      fused = matrix(tokens, 3L * h);
      z = matrix(tokens, h);
      pre = matrix(tokens, config.intermediateSize());
      post = matrix(tokens, config.intermediateSize());
      logSums = attend.statistics();
    }
  }

  /** Every buffer of a step over one batch shape, allocated once. */
  private final class Workspace {
    final int sequences;
    final int length;
    final int[] positions;
    final Matrix[] inputs; // of each layer, and the output of the last
    final Tape[] tapes;
    final Matrix normed;
    final Matrix[] normedSlices;
    final Matrix[] logits;
    final Kernels.NormStatistics finalStatistics;
    final Matrix gradient;
    final Matrix attention;
    final Matrix mlp;
    final Matrix wide;
    final Matrix normedGradient1;
    final Matrix normedGradient2;
    final CausalAttention attend;

    Workspace(int sequences, int length) {
      this.sequences = sequences;
      this.length = length;
      int tokens = sequences * length;
      int h = config.hiddenSize();
      attend = new CausalAttention(config, sequences, length);
      positions = new int[tokens];
      Arrays.setAll(positions, t -> t % length);
      inputs = new Matrix[layers.length + 1];
      for (int l = 0; l < inputs.length; l++) {
        inputs[l] = Matrix.of(ScalarType.Float, tokens, h);
      }
      tapes = new Tape[recompute ? 1 : layers.length];
      for (int l = 0; l < tapes.length; l++) {
        tapes[l] = new Tape(tokens, attend);
      }
      normed = matrix(tokens, h);
      finalStatistics = new Kernels.NormStatistics(tokens);
      gradient = Matrix.of(ScalarType.Float, tokens, h);
      attention = matrix(tokens, h);
      mlp = matrix(tokens, h);
      wide = matrix(tokens, config.intermediateSize());
      normedGradient1 = matrix(tokens, h);
      normedGradient2 = matrix(tokens, h);

      int vocab = config.vocabSize();
      int rows = (int) logitRows(tokens, vocab, parameters.carrierBytes());
      int slices = (tokens + rows - 1) / rows;
      Matrix all = matrix(rows, vocab);
      normedSlices = new Matrix[slices];
      logits = new Matrix[slices];
      for (int s = 0; s < slices; s++) {
        int first = s * rows;
        int count = Math.min(rows, tokens - first);
        normedSlices[s] = normed.slice(first, count);
        logits[s] = all.slice(0, count);
      }
    }
  }

  @Override
  public void close() {
    space = null; // the matrices are freed with their last reference
  }
}
