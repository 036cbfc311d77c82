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
 * </ul>
 */
@NullMarked
package dev.jneox.dist;

import org.jspecify.annotations.NullMarked;
