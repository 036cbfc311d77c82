/** Reads and writes safetensors files. */
package dev.jneox.format.safetensors;
