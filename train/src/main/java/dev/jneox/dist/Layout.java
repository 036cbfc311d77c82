package dev.jneox.dist;

import dev.jneox.io.InputException;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * Divides a model among the ranks of tensor parallelism and the stages of a pipeline. With
 * interleaving each stage has several chunks of blocks, which micro-batches pass in turns: chunk
 * {@code c} of stage {@code s} is place {@code c * stages + s} of the pipeline.
 */
public final class Layout {
  private final ModelSpec model;
  private final int tensor;
  private final int stages;
  private final List<Integer> cuts; // the first block of each place, and the number of blocks

  private Layout(ModelSpec model, int tensor, int stages, List<Integer> cuts) {
    this.model = model;
    this.tensor = tensor;
    this.stages = stages;
    this.cuts = List.copyOf(cuts);
  }

  /** Has one rank hold the whole model. */
  public static Layout whole(ModelSpec model) {
    return new Layout(model, 1, 1, List.of(0, model.layers()));
  }

  /**
   * Divides a model.
   *
   * @param tensor ranks that divide each matrix ({@code model_parallel_size})
   * @param stages of the pipeline ({@code pipe_parallel_size})
   * @param chunks of each stage; 1 without interleaving
   * @param partition how the blocks are divided among the stages
   * @throws InputException when heads, feed-forward layers or vocabulary cannot be divided, or
   *     there are fewer blocks than stages; the message names the nearest numbers that work
   */
  public static Layout of(
      ModelSpec model, int tensor, int stages, int chunks, Partition partition) {
    model.blocks().stream()
        .distinct()
        .filter(block -> !divides(block, tensor))
        .findFirst()
        .ifPresent(block -> refuse(model, block, tensor));
    int rows = model.vocabulary().rows();
    if (rows % tensor != 0) {
      throw new InputException(
          "model_parallel_size: expected a divisor of the %,d rows of the vocabulary, found %d: pad the vocabulary to %,d rows"
              .formatted(rows, tensor, Math.ceilDiv(rows, tensor) * tensor));
    }
    if (stages * chunks > model.layers()) {
      throw new InputException(
          "pipe_parallel_size: %d stages of %d chunks need as many layers, and the model has %d: at most %d stages work"
              .formatted(stages, chunks, model.layers(), model.layers() / chunks));
    }
    return new Layout(model, tensor, stages, partition.cuts(model, stages * chunks));
  }

  private static boolean divides(BlockSpec block, int tensor) {
    return block.attention().heads() % tensor == 0
        && block.attention().kvHeads() % tensor == 0
        && block.feedForward().width() % tensor == 0;
  }

  private static void refuse(ModelSpec model, BlockSpec block, int tensor) {
    int most = model.blocks().stream().mapToInt(b -> b.attention().kvHeads()).min().orElseThrow();
    int below =
        IntStream.rangeClosed(1, Math.min(most, tensor))
            .filter(t -> dividesAll(model, t))
            .max()
            .orElse(1);
    OptionalInt above =
        IntStream.rangeClosed(tensor, most).filter(t -> dividesAll(model, t)).findFirst();
    throw new InputException(
        "model_parallel_size: expected a divisor of %d heads, %d key and value heads and %,d columns of the feed-forward layer, found %d: %s"
            .formatted(
                block.attention().heads(),
                block.attention().kvHeads(),
                block.feedForward().width(),
                tensor,
                above.isPresent()
                    ? "the nearest that work are " + below + " and " + above.getAsInt()
                    : "the nearest that works is " + below));
  }

  private static boolean dividesAll(ModelSpec model, int tensor) {
    return model.blocks().stream().allMatch(block -> divides(block, tensor));
  }

  /** Returns the whole model. */
  public ModelSpec model() {
    return model;
  }

  /** Returns the number of ranks that divide each matrix. */
  public int tensor() {
    return tensor;
  }

  /** Returns the number of stages of the pipeline. */
  public int stages() {
    return stages;
  }

  /** Returns whether one rank has all of it. */
  public boolean isWhole() {
    return tensor == 1 && stages == 1;
  }

  /** Returns the number of chunks of each stage. */
  public int chunks() {
    return (cuts.size() - 1) / stages;
  }

  /** Returns which rows and columns of a parameter a rank of tensor parallelism has. */
  public Piece place(Param param, int tensorRank) {
    int rows = param.rows();
    int columns = param.columns();
    return switch (param.split().axis()) {
      case ROWS -> new Piece(param, tensorRank * (rows / tensor), rows / tensor, 0, columns);
      case COLUMNS -> new Piece(param, 0, rows, tensorRank * (columns / tensor), columns / tensor);
      // Every rank has the bias of a row-parallel layer, which is added once, after the sum.
      case SUM, NONE -> Piece.ofAll(param);
    };
  }

  /**
   * Returns the part of one rank.
   *
   * @param tensorRank from 0
   * @param stage from 0
   */
  public Shard shard(int tensorRank, int stage) {
    List<Shard.Chunk> mine = new ArrayList<>();
    for (int place = stage; place + 1 < cuts.size(); place += stages) {
      mine.add(new Shard.Chunk(cuts.get(place), cuts.get(place + 1)));
    }
    return new Shard(this, tensorRank, stage, mine);
  }
}
