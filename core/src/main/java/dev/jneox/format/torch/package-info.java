/**
 * Reads and writes the files of {@code torch.save}. Its pickle is interpreted for tensors and plain
 * values only: nothing that a file names is ever loaded or run.
 */
@NullMarked
package dev.jneox.format.torch;

import org.jspecify.annotations.NullMarked;
