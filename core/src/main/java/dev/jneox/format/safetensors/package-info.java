/** Reads and writes safetensors files. */
@NullMarked
package dev.jneox.format.safetensors;

import org.jspecify.annotations.NullMarked;
