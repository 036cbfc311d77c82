/**
 * Trains models that are configured in GPT-NeoX's format.
 *
 * <ul>
 *   <li>{@link dev.jneox.train.NeoxConfig} reads and checks the configuration.
 *   <li>{@link dev.jneox.train.Trainer} runs the loop. {@link dev.jneox.train.TrainingCallback}s
 *       evaluate, write metrics, check for divergence and save.
 *   <li>{@link dev.jneox.train.GradientStep} computes loss and gradient. {@code CpuStep} is
 *       hand-written for the CPU; {@code AutogradStep} runs on any device and is the reference that
 *       tests compare it with. One rank of several computes with its {@link dev.jneox.dist.Shard}
 *       of the model, and {@code PipelineStep} runs the stages of a pipeline.
 *   <li>{@link dev.jneox.train.Parameters} keeps weights, gradients and moments as flat arrays,
 *       which {@code AdamW} updates in one pass.
 *   <li>{@link dev.jneox.train.RunDirectory} and {@code Checkpoint} save the run on disk. On the
 *       CPU a resumed run has the same losses to the last bit.
 * </ul>
 */
@NullMarked
package dev.jneox.train;

import org.jspecify.annotations.NullMarked;
