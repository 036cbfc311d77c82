package dev.jneox.train;

import dev.jneox.dist.Shard;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Residual;
import dev.jneox.torch.Matrix;
import dev.jneox.torch.Products;
import dev.jneox.torch.TensorParallel;
import dev.jneox.torch.Values;
import dev.jneox.weights.Dtype;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import org.jspecify.annotations.Nullable;

/**
 * Computes the loss and gradient of {@link dev.jneox.torch.CausalLM} on the CPU by hand-written
 * forward and backward passes, without autograd. libtorch computes the matrix products, into memory
 * that is allocated once; between two products there is one pass of {@link Kernels} and its
 * neighbours. The head runs in slices of rows, so that the logits of a whole batch need no memory.
 * Products are in the precision of {@link Parameters#compute}; the residual stream, the attention
 * core, norms and loss are in fp32. Tests compare it with {@link AutogradStep}.
 *
 * <p>A rank of several computes the same with its heads, its columns of the feed-forward layer and
 * its part of the vocabulary. The group sums what the branches add to the residual stream, and the
 * gradient of their input: in a parallel block once forward and once backward, in a serial one
 * twice. The residual stream is the same on every rank.
 *
 * <pre>{@code
 * x -> norm -> y1 -> qkv -> q, k, v -> attention -> z -> out ----+
 *   `-> norm -> y2 -> up -> act -> down -------------------------+-> x + both     (parallel; with one norm, y2 is y1)
 * }</pre>
 */
final class CpuStep implements StageStep {
  /**
   * Bytes of logits in memory at a time: few beside the weights, but enough rows for fast products
   * (for 50,000 ids about 335 in fp32, 671 in bf16).
   */
  private static final long LOGITS_BYTES = 64L << 20;

  /** The weights and biases of two norms. */
  private static final int NORM_ROWS = 4;

  private final ModelSpec spec; // of the sizes of this rank
  private final Shard shard;
  private final Parameters parameters;
  private final boolean recompute;
  private final TensorParallel ranks;
  private final Map<Integer, Block> blocks = new HashMap<>(); // by number
  private final @Nullable Embedding embedding;
  private final @Nullable Head head;
  private final Map<Shape, Matrix> products = new HashMap<>();
  private @Nullable Workspace space;
  private volatile boolean stopped;

  /**
   * Makes the step for what this rank has of a model, in host memory.
   *
   * @param recompute whether the backward pass runs each layer's forward pass again instead of
   *     keeping its activations (GPT-NeoX's {@code checkpoint_activations})
   * @param ranks those that have the other parts of each matrix
   */
  CpuStep(Parameters parameters, boolean recompute, TensorParallel ranks) {
    this.shard = parameters.shard();
    this.spec = shard.spec();
    this.parameters = parameters;
    this.recompute = recompute;
    this.ranks = ranks;
    for (Shard.Chunk chunk : shard.chunks()) {
      for (int l = chunk.first(); l < chunk.end(); l++) {
        blocks.put(l, block(l));
      }
    }
    embedding = shard.hasEmbedding() ? new Embedding() : null;
    head = shard.hasHead() ? new Head() : null;
  }

  private record Shape(int rows, int cols) {}

  /**
   * Computes one linear map, of one weight or of several adjacent ones that one product computes.
   */
  private final class Weight {
    final Matrix matrix; // in the precision of the products
    final MemorySegment gradient; // this and the bias are fp32
    final @Nullable MemorySegment bias;
    final @Nullable MemorySegment biasGradient;

    Weight(List<ParamId> weights, ParamId... biases) {
      ParamId[] ids = weights.toArray(ParamId[]::new);
      matrix = parameters.computeMatrix(ids);
      gradient = parameters.gradientData(ids);
      bias = parameters.weightDataOrNull(biases);
      biasGradient = parameters.gradientDataOrNull(biases);
    }

    /** Computes {@code y = x W^T}; the kernel that reads {@code y} adds the bias. */
    void forward(Matrix x, Matrix y) {
      Products.multiplyTransposed(x, matrix, y);
    }

    /** Computes {@code dx = dy W}, and adds the weight's gradient. */
    void backward(Matrix dy, Matrix x, Matrix dx) {
      addGradient(dy, x);
      Products.multiply(dy, matrix, dx);
    }

    /**
     * Adds {@code dy^T x} to the weight's gradient. The product is rounded to the precision of all
     * products, the sum is fp32.
     */
    void addGradient(Matrix dy, Matrix x) {
      Matrix product =
          products.computeIfAbsent(
              new Shape(dy.cols, x.cols), shape -> matrix(shape.rows(), shape.cols()));
      Products.transposedMultiply(dy, x, product);
      Kernels.accumulate(product, gradient);
    }
  }

  /** Returns the map that computes {@code parts} of a block in one product. */
  private Weight weight(int layer, Part... parts) {
    return new Weight(
        Arrays.stream(parts).map(part -> ParamId.weight(layer, part)).toList(),
        Arrays.stream(parts).map(part -> ParamId.bias(layer, part)).toArray(ParamId[]::new));
  }

  private NormKernel.Weights normWeights(ParamId weight) {
    ParamId bias = weight.as(ParamId.Kind.BIAS);
    return new NormKernel.Weights(
        parameters.weightData(weight),
        parameters.weightDataOrNull(bias),
        parameters.gradientData(weight),
        parameters.gradientDataOrNull(bias));
  }

  private Block block(int l) {
    BlockSpec block = spec.block(l);
    AttentionBranch attention = new AttentionBranch(l, block.attention());
    FeedForwardBranch feedForward = new FeedForwardBranch(l, block.feedForward());
    NormKernel.Weights first = normWeights(ParamId.weight(l, Part.ATTENTION_NORM));
    ParamId secondNorm = ParamId.weight(l, Part.FEED_FORWARD_NORM);
    return switch (block.residual()) {
      case Residual.Serial(Norm norm1, Norm norm2) ->
          new SerialBlock(
              attention,
              feedForward,
              new NormKernel(norm1, first),
              new NormKernel(norm2, normWeights(secondNorm)));
      case Residual.Parallel(Norm norm1, Norm norm2) -> {
        NormKernel.Weights second = normWeights(secondNorm);
        yield new ParallelBlock(
            attention,
            feedForward,
            norm1.equals(norm2)
                ? new JointNorms(new NormKernel(norm1, first, second))
                : new SeparateNorms(new NormKernel(norm1, first), new NormKernel(norm2, second)));
      }
      case Residual.ParallelOneNorm(Norm norm) ->
          new ParallelBlock(attention, feedForward, new OneNorm(new NormKernel(norm, first)));
    };
  }

  /** Computes, from normed rows, what is added to the residual stream, without its bias. */
  private final class AttentionBranch {
    private final Attention attention; // without its window
    private final int window;
    private final Weight queryKeyValue;
    private final Weight out;

    AttentionBranch(int layer, Attention attention) {
      this.attention = attention.withWindow(0);
      this.window = attention.window();
      queryKeyValue = weight(layer, Part.QUERY, Part.KEY, Part.VALUE);
      out = weight(layer, Part.ATTENTION_OUT);
    }

    /** Runs the forward pass again, to keep what the backward pass reads. */
    void forward(Workspace w, Tape tape) {
      queryKeyValue.forward(tape.normed1, tape.fused);
      w.attend(attention).forward(tape.fused, queryKeyValue.bias, window, tape.z, tape.logSums);
    }

    /** Computes the gradient of the normed rows from {@code dy}, that of the product. */
    void backward(Workspace w, Tape tape, Matrix dy, Matrix dx) {
      Matrix dz = w.queries(attention.queryWidth());
      out.backward(dy, tape.z, dz);
      w.attend(attention)
          .backward(
              tape.fused,
              queryKeyValue.bias,
              window,
              tape.z,
              tape.logSums,
              dz,
              queryKeyValue.biasGradient);
      queryKeyValue.backward(tape.fused, tape.normed1, dx);
    }
  }

  /** Computes, from normed rows, what is added to the residual stream, without its bias. */
  private final class FeedForwardBranch {
    private final FeedForwardKernel kernel;
    private final Weight up; // and the gate
    private final Weight down;

    FeedForwardBranch(int layer, FeedForward feedForward) {
      kernel = FeedForwardKernel.of(feedForward);
      up =
          switch (feedForward) {
            case FeedForward.Plain _ -> weight(layer, Part.UP);
            case FeedForward.Gated _ -> weight(layer, Part.GATE, Part.UP);
          };
      down = weight(layer, Part.DOWN);
    }

    /** Runs the forward pass again, to keep what the backward pass reads. */
    void forward(Tape tape) {
      up.forward(tape.normed2, tape.pre);
      kernel.forward(tape.pre, up.bias, tape.post);
    }

    /** Computes the gradient of the normed rows from {@code dy}, that of the product. */
    void backward(Workspace w, Tape tape, Matrix dy, Matrix dx) {
      Matrix gradient = w.wide(tape.post.cols);
      down.backward(dy, tape.post, gradient);
      Matrix dpre = kernel.backward(tape.pre, up.bias, gradient, up.biasGradient);
      up.backward(dpre, tape.normed2, dx);
    }
  }

  /** Computes one layer: its two branches, added to the residual stream. */
  private sealed interface Block {
    /**
     * Computes the layer's output and fills the tape.
     *
     * @param out gets the output; null to fill the tape alone
     */
    void forward(Workspace w, Matrix x, Tape tape, @Nullable Matrix out);

    /**
     * Replaces {@code w.gradient}, the gradient of the layer's output, by that of its input {@code
     * x}, and adds the gradients of its weights.
     */
    void backward(Workspace w, Matrix x, Tape tape);
  }

  private record SerialBlock(
      AttentionBranch attention, FeedForwardBranch feedForward, NormKernel norm1, NormKernel norm2)
      implements Block {
    @Override
    public void forward(Workspace w, Matrix x, Tape tape, @Nullable Matrix out) {
      Matrix middle = tape.middle();
      norm1.forward(x, tape.statistics1, tape.normed1);
      attention.forward(w, tape);
      attention.out.forward(tape.z, w.attention);
      w.sum(w.attention);
      Kernels.residual(x, w.attention, attention.out.bias, null, null, middle);
      norm2.forward(middle, tape.statistics2, tape.normed2);
      feedForward.forward(tape);
      if (out != null) {
        feedForward.down.forward(tape.post, w.mlp);
        w.sum(w.mlp);
        Kernels.residual(middle, w.mlp, feedForward.down.bias, null, null, out);
      }
    }

    @Override
    public void backward(Workspace w, Matrix x, Tape tape) {
      // The gradient of a branch's output, in the precision of the products.
      Matrix branch = w.attention;
      Kernels.castAndSum(w.gradient, branch, feedForward.down.biasGradient);
      feedForward.backward(w, tape, branch, w.normedGradient2);
      w.sum(w.normedGradient2);
      norm2.backward(tape.middle(), tape.statistics2, w.gradient, w.normedGradient2);
      Kernels.castAndSum(w.gradient, branch, attention.out.biasGradient);
      attention.backward(w, tape, branch, w.normedGradient1);
      w.sum(w.normedGradient1);
      norm1.backward(x, tape.statistics1, w.gradient, w.normedGradient1);
    }
  }

  private record ParallelBlock(
      AttentionBranch attention, FeedForwardBranch feedForward, ParallelNorms norms)
      implements Block {
    @Override
    public void forward(Workspace w, Matrix x, Tape tape, @Nullable Matrix out) {
      norms.forward(x, tape);
      attention.forward(w, tape);
      feedForward.forward(tape);
      if (out != null) {
        attention.out.forward(tape.z, w.attention);
        feedForward.down.forward(tape.post, w.mlp);
        Matrix second = w.sumOfBoth(w.attention, w.mlp);
        Kernels.residual(x, w.attention, attention.out.bias, second, feedForward.down.bias, out);
      }
    }

    @Override
    public void backward(Workspace w, Matrix x, Tape tape) {
      Matrix branch = w.attention;
      Kernels.castAndSum(
          w.gradient, branch, feedForward.down.biasGradient, attention.out.biasGradient);
      feedForward.backward(w, tape, branch, w.normedGradient2);
      attention.backward(w, tape, branch, w.normedGradient1);
      w.backwardOfParts(norms, x, tape);
    }
  }

  /** Computes the norms of both branches of a parallel block. */
  private sealed interface ParallelNorms {
    void forward(Matrix x, Tape tape);

    /** Returns the same norms, whose weights' gradients are added to rows of a matrix. */
    ParallelNorms addingTo(Matrix gradients);

    /** Adds the rows to the gradients of the weights. */
    void addGradients(Matrix gradients);

    /** Adds the gradients through the norms to {@code w.gradient}. */
    void backward(Workspace w, Matrix x, Tape tape);
  }

  /** Computes one norm, whose rows both branches read. */
  private record OneNorm(NormKernel norm) implements ParallelNorms {
    @Override
    public ParallelNorms addingTo(Matrix gradients) {
      return new OneNorm(norm.addingTo(gradients, 0));
    }

    @Override
    public void addGradients(Matrix gradients) {
      norm.addGradients(gradients, 0);
    }

    @Override
    public void forward(Matrix x, Tape tape) {
      norm.forward(x, tape.statistics1, tape.normed1);
    }

    @Override
    public void backward(Workspace w, Matrix x, Tape tape) {
      // In fp32 memory neither summand is rounded; the sum is, when it is read.
      w.normedGradient1.add(w.normedGradient2);
      norm.backward(x, tape.statistics1, w.gradient, w.normedGradient1);
    }
  }

  /** Computes two norms of one kind in one pass over the rows. */
  private record JointNorms(NormKernel norm) implements ParallelNorms {
    @Override
    public ParallelNorms addingTo(Matrix gradients) {
      return new JointNorms(norm.addingTo(gradients, 0));
    }

    @Override
    public void addGradients(Matrix gradients) {
      norm.addGradients(gradients, 0);
    }

    @Override
    public void forward(Matrix x, Tape tape) {
      norm.forward(x, tape.statistics1, tape.normed1, tape.normed2);
    }

    @Override
    public void backward(Workspace w, Matrix x, Tape tape) {
      norm.backward(x, tape.statistics1, w.gradient, w.normedGradient1, w.normedGradient2);
    }
  }

  private record SeparateNorms(NormKernel norm1, NormKernel norm2) implements ParallelNorms {
    @Override
    public ParallelNorms addingTo(Matrix gradients) {
      return new SeparateNorms(norm1.addingTo(gradients, 0), norm2.addingTo(gradients, 2));
    }

    @Override
    public void addGradients(Matrix gradients) {
      norm1.addGradients(gradients, 0);
      norm2.addGradients(gradients, 2);
    }

    @Override
    public void forward(Matrix x, Tape tape) {
      norm1.forward(x, tape.statistics1, tape.normed1);
      norm2.forward(x, tape.statistics2, tape.normed2);
    }

    @Override
    public void backward(Workspace w, Matrix x, Tape tape) {
      norm1.backward(x, tape.statistics1, w.gradient, w.normedGradient1);
      norm2.backward(x, tape.statistics2, w.gradient, w.normedGradient2);
    }
  }

  /** Computes the input of the first block. */
  private final class Embedding {
    private final Matrix table; // fp32
    private final Matrix gradient;
    private final @Nullable Matrix positions; // fp32; null where none are learned
    private final @Nullable Matrix positionsGradient;

    Embedding() {
      ParamId tokens = ParamId.weight(Part.EMBEDDING);
      table = parameters.weightMatrix(tokens);
      gradient = parameters.gradientMatrix(tokens);
      ParamId learned = ParamId.weight(Part.POSITIONS);
      boolean has = spec.embedding().learnedPositions();
      positions = has ? parameters.weightMatrix(learned) : null;
      positionsGradient = has ? parameters.gradientMatrix(learned) : null;
    }

    void forward(Workspace w, Batch batch, Matrix x) {
      // One rank adds the positions, which all have.
      Matrix places = shard.tensorRank() == 0 ? positions : null;
      Kernels.embed(table, ranks.rows(batch.inputs(), table.rows), places, w.positions, x);
      ranks.sum(x);
    }

    void backward(Workspace w, Batch batch) {
      Kernels.embedBackward(w.gradient, ranks.rows(batch.inputs(), table.rows), gradient);
      if (positionsGradient != null) {
        Kernels.embedBackward(w.gradient, w.positions, positionsGradient);
      }
    }
  }

  /** Computes the loss from the output of the last block. */
  private final class Head {
    private final NormKernel norm =
        new NormKernel(spec.finalNorm(), normWeights(ParamId.weight(Part.FINAL_NORM)));
    private final Weight map = new Weight(List.of(spec.headWeight()), ParamId.bias(Part.HEAD));
    private final SplitLoss splitLoss = new SplitLoss(ranks);

    /**
     * Returns the mean loss. With {@code scale} above 0 it also replaces {@code w.gradient} by the
     * gradient of {@code x}, and adds the weights'.
     */
    double loss(Workspace w, Batch batch, Matrix x, double scale) {
      norm.forward(x, w.finalStatistics, w.normed);
      double count = batch.count();
      double loss = slices(w, batch, (float) (scale / count)) / count;
      if (scale > 0) {
        ranks.sum(w.normed);
        w.gradient.clear();
        norm.backward(x, w.finalStatistics, w.gradient, w.normed);
      }
      return loss;
    }

    /**
     * Returns the sum of the losses. With {@code scale} above 0 it also replaces the normed output
     * by what this rank has of its gradient.
     */
    private double slices(Workspace w, Batch batch, float scale) {
      int[] columns = ranks.rows(batch.labels(), spec.vocabulary().rows());
      double sum = 0;
      for (int s = 0, first = 0; s < w.normedSlices.length; first += w.normedSlices[s].rows, s++) {
        goOnUnlessStopped();
        Matrix normed = w.normedSlices[s];
        Matrix logits = w.logits[s];
        map.forward(normed, logits);
        sum +=
            ranks.isAlone()
                ? Kernels.loss(
                    logits,
                    map.bias,
                    map.biasGradient,
                    batch.labels(),
                    batch.weights(),
                    first,
                    scale)
                : splitLoss.loss(
                    logits,
                    map.bias,
                    map.biasGradient,
                    batch.labels(),
                    columns,
                    batch.weights(),
                    first,
                    scale);
        if (scale > 0) {
          map.backward(logits, normed, normed);
        }
      }
      return sum;
    }
  }

  @Override
  public Shard shard() {
    return shard;
  }

  @Override
  public Flight begin(Batch batch, int chunk, boolean backward) {
    if (space == null || space.sequences != batch.sequences() || space.length != batch.length()) {
      space = new Workspace(batch.sequences(), batch.length());
    }
    goOnUnlessStopped();
    return space.flight(chunk).with(batch);
  }

  @Override
  public void stop() {
    stopped = true;
  }

  /**
   * Throws if the step was stopped. It is called between layers, as a micro-batch may take minutes.
   */
  private void goOnUnlessStopped() {
    if (stopped) {
      throw new Stopped();
    }
  }

  /** Holds what the backward pass of one micro-batch reads, through one chunk of blocks. */
  private final class CpuFlight implements Flight {
    private final Workspace w;
    private final Shard.Chunk chunk;
    private final boolean first;
    private final boolean last;
    private final Matrix[] inputs; // of each block, and the output of the last
    private final Tape[] tapes; // of each block; with recompute equal blocks share one
    private final Queue<CpuFlight> idle; // of this chunk
    private @Nullable Batch batch;

    CpuFlight(Workspace w, int number, Tape[] tapes, Queue<CpuFlight> idle) {
      this.w = w;
      this.chunk = shard.chunks().get(number);
      this.first = number == 0 && shard.hasEmbedding();
      this.last = number == shard.chunks().size() - 1 && shard.hasHead();
      this.tapes = tapes;
      this.idle = idle;
      inputs = new Matrix[chunk.blocks() + 1];
      for (int i = 0; i < inputs.length; i++) {
        inputs[i] = Matrix.of(Dtype.F32, w.sequences * w.length, spec.width());
      }
    }

    Flight with(Batch batch) {
      this.batch = batch;
      return this;
    }

    private Batch batch() {
      return Objects.requireNonNull(batch, "the micro-batch is closed");
    }

    private Block block(int i) {
      return Objects.requireNonNull(blocks.get(chunk.first() + i));
    }

    private Matrix outputRows() {
      return inputs[chunk.blocks()];
    }

    @Override
    public Values input() {
      return Values.of(inputs[0]);
    }

    @Override
    public Values output() {
      return Values.of(outputRows());
    }

    // The backward pass reads the output no more, and at its end the input.

    @Override
    public Values outputGradient() {
      return output();
    }

    @Override
    public Values inputGradient() {
      return input();
    }

    @Override
    public void forward() {
      if (first) {
        Objects.requireNonNull(embedding).forward(w, batch(), inputs[0]);
      }
      for (int i = 0; i < chunk.blocks(); i++) {
        goOnUnlessStopped();
        block(i).forward(w, inputs[i], tapes[i], inputs[i + 1]);
      }
    }

    @Override
    public double loss() {
      return Objects.requireNonNull(head).loss(w, batch(), outputRows(), 0);
    }

    @Override
    public double backward(double scale, ReadyListener listener) {
      double loss = 0;
      if (last) {
        loss = Objects.requireNonNull(head).loss(w, batch(), outputRows(), scale);
        listener.head();
      } else {
        w.gradient.copy(outputRows());
      }
      for (int i = chunk.blocks() - 1; i >= 0; i--) {
        goOnUnlessStopped();
        if (recompute) {
          block(i).forward(w, inputs[i], tapes[i], null);
        }
        block(i).backward(w, inputs[i], tapes[i]);
        listener.block(chunk.first() + i);
      }
      if (first) {
        Objects.requireNonNull(embedding).backward(w, batch());
        listener.embedding();
      } else {
        inputs[0].copy(w.gradient);
      }
      return loss;
    }

    @Override
    public void close() {
      batch = null;
      idle.add(this);
    }
  }

  /** Allocates a matrix for a product's operand or result. */
  private Matrix matrix(long rows, long cols) {
    return Matrix.of(parameters.compute(), parameters.carrier(), rows, cols);
  }

  /**
   * Returns how many of {@code tokens} rows of logits are in memory at a time.
   *
   * @param bytes of a logit
   */
  static long logitRows(long tokens, int vocab, int bytes) {
    long rows = Math.max(128, Math.min(tokens, LOGITS_BYTES / vocab / bytes));
    long slices = Math.ceilDiv(tokens, rows);
    return Math.ceilDiv(tokens, slices);
  }

  /** Holds what the backward pass of one layer reads. */
  private final class Tape {
    final Matrix normed1;
    final Matrix normed2;
    final NormKernel.Statistics statistics1;
    final NormKernel.Statistics statistics2;
    private final @Nullable Matrix middle; // serial residual only
    final Matrix fused; // queries, keys and values; in the backward pass their gradients
    final Matrix z;
    final Matrix pre; // of a gated layer in the backward pass its gradient
    final Matrix post;
    final float[] logSums;

    Tape(int tokens, BlockSpec block) {
      int h = spec.width();
      Attention attention = block.attention();
      normed1 = matrix(tokens, h);
      normed2 = block.residual().sharesNorm() ? normed1 : matrix(tokens, h);
      statistics1 = new NormKernel.Statistics(tokens);
      statistics2 = new NormKernel.Statistics(tokens);
      middle = block.residual().isSerial() ? Matrix.of(Dtype.F32, tokens, h) : null;
      fused = matrix(tokens, attention.fusedWidth());
      z = matrix(tokens, attention.queryWidth());
      pre = matrix(tokens, FeedForwardKernel.of(block.feedForward()).columns());
      post = matrix(tokens, block.feedForward().width());
      logSums = new float[Math.multiplyExact(tokens, attention.heads())];
    }

    /** Returns the residual stream between the two branches of a serial block. */
    Matrix middle() {
      return Objects.requireNonNull(middle, "only a serial block has rows between its branches");
    }
  }

  /** Holds every buffer of a step over batches of one shape, allocated once. */
  private final class Workspace {
    final int sequences;
    final int length;
    final int[] positions;
    final Matrix normed;
    final Matrix[] normedSlices;
    final Matrix[] logits;
    final NormKernel.Statistics finalStatistics;
    final Matrix gradient;
    private final Matrix normGradients; // what the ranks sum of the norms of a parallel block
    private final Matrix gradientAndNorms;
    final Matrix attention;
    final Matrix mlp;
    final Matrix normedGradient1;
    final Matrix normedGradient2;
    private final Map<Integer, Matrix> wide = new HashMap<>();
    private final Map<Integer, Matrix> queries = new HashMap<>();
    private final Map<Attention, CausalAttention> attends = new HashMap<>();
    private final Map<BlockSpec, Tape> shared = new HashMap<>(); // with recompute
    private final List<Queue<CpuFlight>> idle = new ArrayList<>(); // of each chunk

    Workspace(int sequences, int length) {
      this.sequences = sequences;
      this.length = length;
      int tokens = sequences * length;
      int h = spec.width();
      positions = new int[tokens];
      Arrays.setAll(positions, t -> t % length);
      attention = matrix(tokens, h);
      mlp = matrix(tokens, h);
      queries.put(h, mlp); // nothing else uses mlp while attention's gradient is computed
      for (int l : blocks.keySet()) {
        BlockSpec block = windowless(l);
        wide.computeIfAbsent(block.feedForward().width(), cols -> matrix(tokens, cols));
        queries.computeIfAbsent(block.attention().queryWidth(), cols -> matrix(tokens, cols));
        attends.computeIfAbsent(block.attention(), a -> new CausalAttention(a, sequences, length));
      }
      shard.chunks().forEach(_ -> idle.add(new ArrayDeque<>()));
      gradientAndNorms = Matrix.of(Dtype.F32, tokens + NORM_ROWS, h);
      gradient = gradientAndNorms.slice(0, tokens);
      normGradients = gradientAndNorms.slice(tokens, NORM_ROWS);
      normedGradient1 = matrix(tokens, h);
      normedGradient2 = matrix(tokens, h);
      if (head == null) {
        normed = gradient;
        finalStatistics = new NormKernel.Statistics(0);
        normedSlices = new Matrix[0];
        logits = new Matrix[0];
        return;
      }
      normed = matrix(tokens, h);
      finalStatistics = new NormKernel.Statistics(tokens);
      int vocab = spec.vocabulary().rows();
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

    private BlockSpec windowless(int block) {
      BlockSpec found = spec.block(block);
      return found.withAttention(found.attention().withWindow(0));
    }

    /** Returns buffers for a micro-batch on its way through a chunk. */
    CpuFlight flight(int number) {
      CpuFlight flight = idle.get(number).poll();
      if (flight != null) {
        return flight;
      }
      Shard.Chunk chunk = shard.chunks().get(number);
      Tape[] tapes = new Tape[chunk.blocks()];
      for (int i = 0; i < tapes.length; i++) {
        BlockSpec block = windowless(chunk.first() + i);
        int tokens = sequences * length;
        tapes[i] =
            recompute
                ? shared.computeIfAbsent(block, b -> new Tape(tokens, b))
                : new Tape(tokens, block);
      }
      return new CpuFlight(this, number, tapes, idle.get(number));
    }

    /** Replaces what each rank has of a sum by the sum. */
    void sum(Matrix part) {
      ranks.sum(part);
    }

    /**
     * Replaces {@code first} by the sum over ranks of both, with one exchange, and returns null.
     * Without other ranks it changes nothing and returns {@code second}, which is still to be
     * added.
     */
    @Nullable Matrix sumOfBoth(Matrix first, Matrix second) {
      if (ranks.isAlone()) {
        return second;
      }
      first.add(second);
      ranks.sum(first);
      return null;
    }

    /**
     * Adds the gradients through the norms of a parallel block to {@code gradient}, of which each
     * rank knows a part. The norm's gradient is linear in that of its output, so what all ranks add
     * is summed behind the norms: one exchange for both branches, and for the norms' weights.
     */
    void backwardOfParts(ParallelNorms norms, Matrix x, Tape tape) {
      if (ranks.isAlone()) {
        norms.backward(this, x, tape);
        return;
      }
      if (shard.tensorRank() > 0) { // one rank adds the gradient that all have
        gradient.clear();
      }
      normGradients.clear();
      norms.addingTo(normGradients).backward(this, x, tape);
      ranks.sum(gradientAndNorms);
      norms.addGradients(normGradients);
    }

    /** Returns {@code [tokens, cols]} for the gradient of the input of an MLP's second map. */
    Matrix wide(int cols) {
      return Objects.requireNonNull(wide.get(cols), "a width of no layer");
    }

    /**
     * Returns {@code [tokens, cols]} for the gradient of attention's output before its projection.
     */
    Matrix queries(int cols) {
      return Objects.requireNonNull(queries.get(cols), "a width of no layer");
    }

    CausalAttention attend(Attention attention) {
      return Objects.requireNonNull(attends.get(attention), "an attention of no layer");
    }
  }

  @Override
  public void close() {
    space = null; // the matrices are freed with their last reference
  }
}
