/**
 * Reads and writes checkpoints of GPT-NeoX: DeepSpeed's layer files, whose matrices may be divided
 * over the ranks of tensor parallelism.
 */
package dev.jneox.format.neox;
