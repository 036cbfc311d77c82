package dev.jneox.model;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Describes a pre-norm decoder: everything that an execution needs to know of a model except its
 * weights.
 *
 * <pre>{@code
 * ids [B,S] -> embedding -> block x L -> norm -> head -> logits [B,S,V]
 * }</pre>
 *
 * @param width of the residual stream (H)
 * @param maxPositions longest sequence
 */
public record ModelSpec(
    Vocabulary vocabulary,
    int width,
    Embedding embedding,
    List<BlockSpec> blocks,
    Norm finalNorm,
    Head head,
    int maxPositions) {
  /** Checks that all sizes are positive. */
  public ModelSpec {
    positive("hidden_size", width);
    positive("num_hidden_layers", blocks.size());
    positive("max_position_embeddings", maxPositions);
    blocks = List.copyOf(blocks);
  }

  /** Describes a model of {@code layers} equal blocks, whose final norm is of the blocks' kind. */
  public static ModelSpec of(
      Vocabulary vocabulary,
      int width,
      Embedding embedding,
      int layers,
      BlockSpec block,
      Head head,
      int maxPositions) {
    positive("num_hidden_layers", layers);
    return new ModelSpec(
        vocabulary,
        width,
        embedding,
        Collections.nCopies(layers, block),
        block.residual().attention(),
        head,
        maxPositions);
  }

  /**
   * Describes a GPT-NeoX of the form of the 20B model and Pythia: rotary, biases everywhere,
   * parallel residual, untied head.
   */
  public static ModelSpec neox(
      int vocabSize, int hiddenSize, int layers, int heads, int maxPositions) {
    int headDim = headDim(hiddenSize, heads);
    Norm norm = new Norm.Layer(1e-5);
    return of(
        Vocabulary.of(vocabSize, 0),
        hiddenSize,
        new Embedding(false),
        layers,
        new BlockSpec(
            new Residual.Parallel(norm, norm),
            Attention.of(
                heads, headDim, new Position.Rotary(rotaryDims(headDim, 0.25), 10000, false)),
            new FeedForward.Plain(4 * hiddenSize, Activation.GELU, true)),
        new Head(false, false),
        maxPositions);
  }

  /** Computes {@code int(headDim * pct)}, with GPT-NeoX's rounding. */
  public static int rotaryDims(int headDim, double pct) {
    return (int) (headDim * pct);
  }

  /** Computes the width of a head when the heads divide the residual stream evenly. */
  public static int headDim(int hiddenSize, int heads) {
    positive("hidden_size", hiddenSize);
    positive("num_attention_heads", heads);
    require(
        hiddenSize % heads == 0,
        "hidden_size " + hiddenSize + " is not a multiple of num_attention_heads " + heads);
    return hiddenSize / heads;
  }

  /** Returns the number of blocks (L). */
  public int layers() {
    return blocks.size();
  }

  /** Returns the block of a layer, from 0. */
  public BlockSpec block(int layer) {
    return blocks.get(layer);
  }

  /** Returns the first block, which represents all where {@link #isUniform}. */
  public BlockSpec first() {
    return blocks.getFirst();
  }

  /** Returns whether all blocks are equal except for their attention windows. */
  public boolean isUniform() {
    return blocks.stream().map(ModelSpec::windowless).distinct().count() == 1;
  }

  private static BlockSpec windowless(BlockSpec block) {
    return block.withAttention(block.attention().withWindow(0));
  }

  /** Returns for each layer how many positions a query attends to; 0 for all. */
  public List<Integer> windows() {
    return blocks.stream().map(block -> block.attention().window()).toList();
  }

  /** Returns the same model with a window for each layer. */
  public ModelSpec withWindows(List<Integer> windows) {
    require(
        windows.size() == layers(),
        windows.size() + " attention windows for " + layers() + " layers");
    List<BlockSpec> changed = new ArrayList<>();
    for (int l = 0; l < layers(); l++) {
      changed.add(
          blocks.get(l).withAttention(blocks.get(l).attention().withWindow(windows.get(l))));
    }
    return withBlocks(changed);
  }

  /** Returns whether some layer attends to fewer than all positions. */
  public boolean hasWindows() {
    return blocks.stream().anyMatch(block -> block.attention().window() != 0);
  }

  /** Returns the same model with each block changed. */
  public ModelSpec mapBlocks(UnaryOperator<BlockSpec> change) {
    return withBlocks(blocks.stream().map(change).toList());
  }

  /** Returns the same model with other blocks. */
  public ModelSpec withBlocks(List<BlockSpec> blocks) {
    return new ModelSpec(vocabulary, width, embedding, blocks, finalNorm, head, maxPositions);
  }

  /** Returns the same model with another vocabulary. */
  public ModelSpec withVocabulary(Vocabulary vocabulary) {
    return new ModelSpec(vocabulary, width, embedding, blocks, finalNorm, head, maxPositions);
  }

  /** Returns the same model with another head. */
  public ModelSpec withHead(Head head) {
    return new ModelSpec(vocabulary, width, embedding, blocks, finalNorm, head, maxPositions);
  }

  /** Returns the same model with another embedding. */
  public ModelSpec withEmbedding(Embedding embedding) {
    return new ModelSpec(vocabulary, width, embedding, blocks, finalNorm, head, maxPositions);
  }

  /** Returns the parameter whose matrix the head multiplies by. */
  public ParamId headWeight() {
    return ParamId.weight(head.tied() ? Part.EMBEDDING : Part.HEAD);
  }

  /** Returns every parameter, in the order of the forward pass. */
  public List<Param> parameters() {
    List<Param> all = new ArrayList<>();
    matrix(all, ParamId.weight(Part.EMBEDDING), vocabulary.rows(), width, Split.rows(1));
    if (embedding.learnedPositions()) {
      matrix(all, ParamId.weight(Part.POSITIONS), maxPositions, width, Split.NONE);
    }
    for (int l = 0; l < blocks.size(); l++) {
      block(all, l, blocks.get(l));
    }
    norm(all, ParamId.weight(Part.FINAL_NORM), finalNorm);
    if (!head.tied()) {
      matrix(all, ParamId.weight(Part.HEAD), vocabulary.rows(), width, Split.rows(1));
    }
    if (head.bias()) {
      all.add(new Param(ParamId.bias(Part.HEAD), List.of(vocabulary.rows()), Split.rows(1)));
    }
    return all;
  }

  private void block(List<Param> all, int l, BlockSpec block) {
    Attention attention = block.attention();
    FeedForward feedForward = block.feedForward();
    Residual residual = block.residual();
    norm(all, ParamId.weight(l, Part.ATTENTION_NORM), residual.attention());
    if (!residual.sharesNorm()) {
      norm(all, ParamId.weight(l, Part.FEED_FORWARD_NORM), residual.feedForward());
    }
    Split heads = Split.rows(attention.headDim());
    for (ParamId.Kind kind : ParamId.Kind.values()) {
      if (kind == ParamId.Kind.WEIGHT || attention.qkvBias()) {
        boolean weight = kind == ParamId.Kind.WEIGHT;
        add(all, new ParamId(l, Part.QUERY, kind), attention.queryWidth(), weight, heads);
        add(all, new ParamId(l, Part.KEY, kind), attention.keyWidth(), weight, heads);
        add(all, new ParamId(l, Part.VALUE, kind), attention.keyWidth(), weight, heads);
      }
    }
    // Ranks of a serial block add the bias once, after their results are summed; of a parallel one
    // each its own, before.
    Split outBias = residual.isSerial() ? Split.NONE : Split.SUM;
    matrix(
        all,
        ParamId.weight(l, Part.ATTENTION_OUT),
        width,
        attention.queryWidth(),
        Split.columns(attention.headDim()));
    if (attention.outBias()) {
      all.add(new Param(ParamId.bias(l, Part.ATTENTION_OUT), List.of(width), outBias));
    }
    int inner = feedForward.width();
    boolean bias = feedForward.bias();
    if (feedForward.isGated()) {
      linear(all, ParamId.weight(l, Part.GATE), inner, width, bias, Split.rows(1), Split.rows(1));
    }
    linear(all, ParamId.weight(l, Part.UP), inner, width, bias, Split.rows(1), Split.rows(1));
    linear(all, ParamId.weight(l, Part.DOWN), width, inner, bias, Split.columns(1), outBias);
  }

  private void add(List<Param> all, ParamId id, int rows, boolean weight, Split split) {
    all.add(new Param(id, weight ? List.of(rows, width) : List.of(rows), split));
  }

  private static void linear(
      List<Param> all,
      ParamId weight,
      int out,
      int in,
      boolean bias,
      Split split,
      Split biasSplit) {
    matrix(all, weight, out, in, split);
    if (bias) {
      all.add(new Param(weight.as(ParamId.Kind.BIAS), List.of(out), biasSplit));
    }
  }

  private static void matrix(List<Param> all, ParamId id, int rows, int columns, Split split) {
    all.add(new Param(id, List.of(rows, columns), split));
  }

  private void norm(List<Param> all, ParamId weight, Norm norm) {
    all.add(new Param(weight, List.of(width), Split.NONE));
    if (norm instanceof Norm.Layer) {
      all.add(new Param(weight.as(ParamId.Kind.BIAS), List.of(width), Split.NONE));
    }
  }

  /** Returns the number of values in all parameters. The 20B model has 20,554,567,680. */
  public long parameterCount() {
    return parameters().stream().mapToLong(Param::elements).sum();
  }

  /**
   * Counts the floating-point operations of one training step, forward and backward without
   * recomputation: per token 6 for each value of a matrix that multiplies, and {@code 12 S} times
   * the width of the queries for attention; {@code 72 T L H^2 (1 + S/(6H) + V/(12 L H))} (Narayanan
   * et al. 2021) where the MLP is 4 H wide. Causality is not discounted.
   *
   * @param tokens tokens of the step
   * @param seq length of a sequence
   */
  public double trainingFlops(long tokens, int seq) {
    double perToken = 2.0 * width * vocabulary.rows();
    for (BlockSpec block : blocks) {
      Attention attention = block.attention();
      double projections = (double) attention.fusedWidth() + attention.queryWidth();
      double inner = (block.feedForward().isGated() ? 3.0 : 2.0) * block.feedForward().width();
      perToken += 2 * width * (projections + inner) + 4.0 * seq * attention.queryWidth();
    }
    return 3.0 * tokens * perToken;
  }

  /** Returns how many values the keys and values of one position take in all layers. */
  public long keysAndValuesPerPosition() {
    return blocks.stream().mapToLong(block -> 2L * block.attention().keyWidth()).sum();
  }

  static void positive(String name, int value) {
    require(value > 0, name + " must be positive, is " + value);
  }

  static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
