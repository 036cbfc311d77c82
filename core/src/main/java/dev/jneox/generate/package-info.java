/**
 * Continues and scores text with a model, many sequences at a time, without libtorch.
 *
 * <ul>
 *   <li>{@link dev.jneox.generate.LanguageModel} opens a model with its tokenizer.
 *   <li>{@link dev.jneox.generate.Engine} batches requests of ids; {@link
 *       dev.jneox.generate.TokenStream} gives their tokens to readers on other threads.
 *   <li>{@link dev.jneox.generate.Generator} turns tokens into text and looks for stop strings;
 *       {@link dev.jneox.generate.Scorer} gives log-probabilities.
 *   <li>{@link dev.jneox.generate.PackedModel} and {@code Forward} are the forward pass over packed
 *       weights and paged keys and values.
 *   <li>{@link dev.jneox.generate.Taps} look at, or replace, what flows through that pass.
 * </ul>
 *
 * <p>The same request gives the same tokens to the last bit whatever else the engine runs.
 */
package dev.jneox.generate;
