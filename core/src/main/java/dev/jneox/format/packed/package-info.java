/**
 * Reads JNeoX's own quantised folders: an HF folder whose matrices lie as the kernels read them.
 */
@NullMarked
package dev.jneox.format.packed;

import org.jspecify.annotations.NullMarked;
