/**
 * Reads JNeoX's own quantised folders: an HF folder whose matrices lie as the kernels read them.
 */
package dev.jneox.format.packed;
