/** Reads and writes GGUF files, llama.cpp's format: one file with weights and tokenizer. */
@NullMarked
package dev.jneox.format.gguf;

import org.jspecify.annotations.NullMarked;
