/**
 * Holds what is made of libtorch: loading it, tensors over Java memory, and the differentiable
 * reference {@link dev.jneox.torch.CausalLM} with its {@link dev.jneox.torch.Hooks}.
 *
 * <p>The reference is plain operations in reading order. Tests hold the fast paths against it: the
 * written-out training step and the forward pass of inference. Call {@link
 * dev.jneox.torch.Libtorch#start()} before the first tensor.
 */
package dev.jneox.torch;
