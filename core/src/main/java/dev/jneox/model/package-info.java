/**
 * Describes models by their parts: {@link dev.jneox.model.ModelSpec}, its blocks, and every
 * parameter with its shape and how it may be divided.
 *
 * <p>A description has no weights, names no tensors and computes nothing but sizes. The reference
 * ({@code torch.CausalLM}), the training step ({@code train.CpuStep}) and inference ({@code
 * infer.Forward}) all read the same one. Closed choices are sealed or enums, so that the compiler
 * lists the places that a new choice touches.
 */
@NullMarked
package dev.jneox.model;

import org.jspecify.annotations.NullMarked;
