/** Reads and writes GGUF files, llama.cpp's format: one file with weights and tokenizer. */
package dev.jneox.format.gguf;
