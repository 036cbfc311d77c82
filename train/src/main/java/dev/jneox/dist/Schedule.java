package dev.jneox.dist;

import java.util.ArrayList;
import java.util.List;

/**
 * Orders the work of one stage of a pipeline: one forward, one backward (Narayanan et al. 2021,
 * arXiv:2104.04473). A stage first computes as many micro-batches forward as there are stages
 * behind it, then one backward for each one forward. So it holds the activations of no more
 * micro-batches than there are stages from it on.
 *
 * <p>With several chunks of blocks a stage computes groups of as many micro-batches as there are
 * stages, with one chunk after the other. The pipeline is filled with smaller pieces, and waits
 * shorter.
 */
public final class Schedule {
  /** Says in which direction a micro-batch goes. */
  public enum Direction {
    /** From the embedding to the head. */
    FORWARD,
    /** From the head to the embedding. */
    BACKWARD
  }

  /**
   * Takes a micro-batch through a chunk of the stage.
   *
   * @param microBatch from 0
   * @param chunk from 0
   */
  public record Action(Direction direction, int microBatch, int chunk) {}

  private Schedule() {}

  /**
   * Returns whether the micro-batches of a step can pass stages of several chunks: they come in
   * groups of as many as there are stages.
   */
  public static boolean fits(int stages, int chunks, int microBatches) {
    return chunks == 1 || microBatches % stages == 0;
  }

  /**
   * Returns what a stage does in one step, in order.
   *
   * @throws IllegalArgumentException unless the micro-batches {@link #fits fit}
   */
  public static List<Action> of(int stage, int stages, int chunks, int microBatches) {
    if (!fits(stages, chunks, microBatches)) {
      throw new IllegalArgumentException(
          microBatches + " micro-batches are no multiple of " + stages + " stages");
    }
    int all = microBatches * chunks;
    int ahead = chunks == 1 ? stages - stage - 1 : 2 * (stages - stage - 1) + (chunks - 1) * stages;
    int warmup = Math.min(ahead, all);
    List<Action> actions = new ArrayList<>();
    for (int i = 0; i < all + warmup; i++) {
      if (i < all) {
        actions.add(action(Direction.FORWARD, i, stages, chunks));
      }
      if (i >= warmup) {
        actions.add(action(Direction.BACKWARD, i - warmup, stages, chunks));
      }
    }
    return actions;
  }

  /** Returns the {@code i}th action of a direction. */
  private static Action action(Direction direction, int i, int stages, int chunks) {
    if (chunks == 1) {
      return new Action(direction, i, 0);
    }
    int inGroup = i % (stages * chunks);
    int turn = inGroup / stages;
    return new Action(
        direction,
        i / (stages * chunks) * stages + inGroup % stages,
        direction == Direction.FORWARD ? turn : chunks - 1 - turn);
  }
}
