/**
 * Reads and writes models on disk: folders of HF transformers, checkpoints of GPT-NeoX, GGUF files,
 * and JNeoX's own quantised folders.
 *
 * <ul>
 *   <li>{@link dev.jneox.checkpoint.StoredModel} opens any of them. Weights are mapped, not read.
 *   <li>{@link dev.jneox.checkpoint.TensorExpression} says how a tensor of a file is made of
 *       parameters; each format states its expressions once, for reading and for writing.
 *   <li>{@code Family} maps the {@code config.json} of a kind of model (GPT-NeoX, GPT-J, GPT-2,
 *       GPT-Neo, Llama) to a {@link dev.jneox.model.ModelSpec} and back.
 *   <li>{@link dev.jneox.checkpoint.Conversion} writes an opened model in another format, one
 *       tensor at a time.
 *   <li>{@link dev.jneox.checkpoint.Manifest} lists the files of a folder with checksums.
 * </ul>
 */
package dev.jneox.checkpoint;
