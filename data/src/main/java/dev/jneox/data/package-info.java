/**
 * Makes training samples of text, and finds the text of a sample.
 *
 * <ul>
 *   <li>{@link dev.jneox.data.Documents} reads corpora (JSON lines, plain or zstd or gzip, text,
 *       archives);
 *   <li>{@link dev.jneox.data.Prepare} tokenises them into the file pairs of {@link
 *       dev.jneox.data.IndexedDataset}, Megatron's {@code .bin} and {@code .idx};
 *   <li>{@link dev.jneox.data.SampleIndex}, {@link dev.jneox.data.GptDataset} and {@link
 *       dev.jneox.data.BlendedDataset} feed them in exactly the order of GPT-NeoX;
 *   <li>{@link dev.jneox.data.BatchOrder} assigns the samples to steps. A {@link
 *       dev.jneox.data.Span} names the document and offset that a sample was cut from, and {@code
 *       reads} finds every place where training reads a token.
 * </ul>
 *
 * <p>The module uses files, errors and progress of {@code dev.jneox.io} and the interface {@code
 * dev.jneox.tokenizer.Tokenizer}. It opens no native library itself.
 */
@NullMarked
package dev.jneox.data;

import org.jspecify.annotations.NullMarked;
