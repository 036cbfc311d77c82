package dev.jneox.dist;

import dev.jneox.model.BlockSpec;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Split;
import dev.jneox.model.Vocabulary;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Describes the part of a model that one rank has: of each of its blocks the heads and the columns
 * of the feed-forward layer that {@link Split} gives it. Blocks and parameters keep the numbers
 * that they have in the whole model.
 */
public final class Shard {
  /**
   * Names consecutive blocks that a rank runs one after the other.
   *
   * @param first the first block
   * @param end the block after the last
   */
  public record Chunk(int first, int end) {
    /** Returns the number of blocks. */
    public int blocks() {
      return end - first;
    }

    boolean has(int block) {
      return block >= first && block < end;
    }
  }

  private final Layout layout;
  private final ModelSpec spec;
  private final int tensorRank;
  private final int stage;
  private final List<Chunk> chunks;
  private final Map<ParamId, Piece> places = new LinkedHashMap<>();

  Shard(Layout layout, int tensorRank, int stage, List<Chunk> chunks) {
    this.layout = layout;
    this.tensorRank = tensorRank;
    this.stage = stage;
    this.chunks = List.copyOf(chunks);
    this.spec = layout.tensor() == 1 ? layout.model() : narrowed(layout.model(), layout.tensor());
    for (Param param : layout.model().parameters()) {
      if (has(param.id())) {
        places.put(param.id(), layout.place(param, tensorRank));
      }
    }
  }

  /** Describes the part of the only rank: the whole model. */
  public static Shard whole(ModelSpec model) {
    return Layout.whole(model).shard(0, 0);
  }

  private static ModelSpec narrowed(ModelSpec model, int ranks) {
    return model
        .mapBlocks(
            block ->
                new BlockSpec(
                    block.residual(),
                    block.attention().divided(ranks),
                    switch (block.feedForward()) {
                      case FeedForward.Plain(int width, var activation, boolean bias) ->
                          new FeedForward.Plain(width / ranks, activation, bias);
                      case FeedForward.Gated(int width, var activation, boolean bias) ->
                          new FeedForward.Gated(width / ranks, activation, bias);
                    }))
        .withVocabulary(Vocabulary.of(model.vocabulary().rows() / ranks, -1));
  }

  /** Returns whether the rank has something of a parameter. */
  public boolean has(ParamId id) {
    return switch (id.part()) {
      case EMBEDDING -> hasEmbedding() || hasHead() && model().head().tied();
      case POSITIONS -> hasEmbedding();
      case FINAL_NORM, HEAD -> hasHead();
      default -> chunks.stream().anyMatch(chunk -> chunk.has(id.block()));
    };
  }

  /** Returns how the model is divided among all ranks. */
  public Layout layout() {
    return layout;
  }

  /** Returns the whole model. */
  public ModelSpec model() {
    return layout.model();
  }

  /**
   * Returns a model of the sizes that the rank computes with: its heads, its part of the
   * feed-forward layers and of the vocabulary, in every block. Without tensor parallelism it is the
   * whole model.
   */
  public ModelSpec spec() {
    return spec;
  }

  /** Returns the rank in tensor parallelism, from 0. */
  public int tensorRank() {
    return tensorRank;
  }

  /** Returns the stage of the pipeline, from 0. */
  public int stage() {
    return stage;
  }

  /** Returns the number of stages. */
  public int stages() {
    return layout.stages();
  }

  /**
   * Returns the blocks that the rank runs; more than one list where the pipeline is interleaved.
   */
  public List<Chunk> chunks() {
    return chunks;
  }

  /** Returns whether the rank embeds the ids, before its first chunk. */
  public boolean hasEmbedding() {
    return stage == 0;
  }

  /** Returns whether the rank has the final norm and the head, behind its last chunk. */
  public boolean hasHead() {
    return stage == layout.stages() - 1;
  }

  /** Returns whether a tied head's matrix is on two stages, which have to add its gradients. */
  public boolean sharesEmbedding() {
    return model().head().tied() && stages() > 1 && (hasEmbedding() || hasHead());
  }

  /** Returns what the rank has of each of its parameters, in the order of the forward pass. */
  public List<Piece> places() {
    return List.copyOf(places.values());
  }

  /**
   * Returns what the rank has of a parameter.
   *
   * @throws IllegalArgumentException when it has nothing of it
   */
  public Piece place(ParamId id) {
    Piece place = places.get(id);
    if (place == null) {
      throw new IllegalArgumentException("the rank has no parameter " + id);
    }
    return place;
  }

  /**
   * Returns whether this rank's copy counts where each value of the model counts once, as in the
   * norm of a gradient and in a checkpoint: what several ranks have is the first one's.
   */
  public boolean owns(ParamId id) {
    Piece place = place(id);
    boolean divided = !place.isWhole() || layout.tensor() == 1;
    return (divided || tensorRank == 0) && (id.part() != Part.EMBEDDING || hasEmbedding());
  }
}
