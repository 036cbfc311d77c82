/**
 * Converts text to token ids and back as a {@code tokenizer.json} describes, with exactly the ids
 * of Hugging Face's library.
 *
 * <p>{@link dev.jneox.tokenizer.Tokenizer} is the interface that other packages use. {@link
 * dev.jneox.tokenizer.ByteLevelBpe} is the fast implementation for the GPT family; {@link
 * dev.jneox.tokenizer.PipelineTokenizer} implements every other file: normalizers, pre-tokenizers,
 * BPE, Unigram and WordPiece models, decoders. {@link dev.jneox.tokenizer.BpeTrainer} learns
 * byte-level BPE merges from text. No native library is used.
 */
@NullMarked
package dev.jneox.tokenizer;

import org.jspecify.annotations.NullMarked;
