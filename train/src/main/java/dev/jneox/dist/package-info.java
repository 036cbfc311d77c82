/**
 * Lays a training run out over several processes.
 *
 * <ul>
 *   <li>{@link dev.jneox.dist.World} says which process this is, from the environment that
 *       torchrun, Slurm or Open MPI gave it.
 *   <li>{@link dev.jneox.dist.Mesh} places the processes by tensor, data and pipeline.
 *   <li>{@link dev.jneox.dist.Ranks} joins the processes and has the groups of one of them.
 *   <li>{@link dev.jneox.dist.Buckets} cuts a flat gradient into ranges that are summed while the
 *       backward pass goes on.
 *   <li>{@link dev.jneox.dist.Layout} divides the matrices among the ranks of tensor parallelism
 *       and the blocks among the stages of a pipeline. A {@link dev.jneox.dist.Shard} is the part
 *       of one rank, a {@link dev.jneox.dist.Piece} that of one parameter.
 *   <li>{@link dev.jneox.dist.Schedule} orders the work of a pipeline's stage.
 * </ul>
 */
@NullMarked
package dev.jneox.dist;

import org.jspecify.annotations.NullMarked;
