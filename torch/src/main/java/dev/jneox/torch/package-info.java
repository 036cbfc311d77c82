/**
 * Holds what is made of libtorch, which no other package sees: loading it, tensors over Java
 * memory, and the differentiable reference {@link dev.jneox.torch.CausalLM} with its {@link
 * dev.jneox.torch.Hooks}.
 *
 * <p>The reference is plain operations in reading order and runs on any {@link
 * dev.jneox.torch.Device}. Tests hold the fast paths against it: the written-out training step and
 * the forward pass of inference. Training uses {@link dev.jneox.torch.Matrix} and {@link
 * dev.jneox.torch.Products} for its written-out step, and {@link dev.jneox.torch.AutogradModel}
 * over {@link dev.jneox.torch.FlatTensor}s on other devices. Where ranks share the matrices, {@link
 * dev.jneox.torch.TensorParallel} sums their parts through {@link dev.jneox.torch.Collectives}.
 * Call {@link dev.jneox.torch.Libtorch#start()} before the first tensor.
 */
@NullMarked
package dev.jneox.torch;

import org.jspecify.annotations.NullMarked;
