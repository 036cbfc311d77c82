/**
 * Reads and writes checkpoints of GPT-NeoX: DeepSpeed's layer files, whose matrices may be divided
 * over the ranks of tensor parallelism.
 */
@NullMarked
package dev.jneox.format.neox;

import org.jspecify.annotations.NullMarked;
