/**
 * Continues and scores text with a model, many sequences at a time, without libtorch.
 *
 * <ul>
 *   <li>{@link dev.jneox.infer.LanguageModel} opens a model with its tokenizer.
 *   <li>{@link dev.jneox.infer.Engine} batches requests of ids; {@link dev.jneox.infer.TokenStream}
 *       gives their tokens to readers on other threads.
 *   <li>{@link dev.jneox.infer.Generator} turns tokens into text and looks for stop strings; {@link
 *       dev.jneox.infer.Scorer} gives log-probabilities.
 *   <li>{@link dev.jneox.infer.PackedModel} and {@code Forward} are the forward pass over packed
 *       weights and paged keys and values.
 *   <li>{@link dev.jneox.infer.Taps} look at, or replace, what flows through that pass.
 * </ul>
 *
 * <p>The same request gives the same tokens to the last bit whatever else the engine runs.
 */
@NullMarked
package dev.jneox.infer;

import org.jspecify.annotations.NullMarked;
