/**
 * Turns text into token ids and back as a {@code tokenizer.json} of Hugging Face's library says, id
 * by id the same.
 *
 * <p>{@link dev.jneox.tokenizer.Tokenizer} is the interface that all others use. {@link
 * dev.jneox.tokenizer.ByteLevelBpe} is the fast way for the GPT family; {@link
 * dev.jneox.tokenizer.PipelineTokenizer} runs every other file: normalizers, pre-tokenizers, BPE,
 * Unigram and WordPiece models, decoders. {@link dev.jneox.tokenizer.BpeTrainer} learns byte-level
 * BPE merges from text. No native library is used.
 */
@NullMarked
package dev.jneox.tokenizer;

import org.jspecify.annotations.NullMarked;
