/**
 * Trains models as a GPT-NeoX configuration says.
 *
 * <ul>
 *   <li>{@link dev.jneox.train.NeoxConfig} reads and checks the configuration.
 *   <li>{@link dev.jneox.train.Trainer} is the loop. {@link dev.jneox.train.TrainingCallback}s
 *       beside it evaluate, write metrics, check for divergence and save.
 *   <li>{@link dev.jneox.train.GradientStep} computes loss and gradient: {@code CpuStep} written
 *       out, {@code AutogradStep} the reference it is tested against, which runs on any device.
 *   <li>{@link dev.jneox.train.Parameters} keeps weights, gradients and moments as flat arrays,
 *       which {@code AdamW} updates in one pass.
 *   <li>{@link dev.jneox.train.RunDirectory} and {@link dev.jneox.train.Checkpoint} keep the run on
 *       disk, from which it resumes to the last bit.
 * </ul>
 */
package dev.jneox.train;
