/**
 * Measures kernels, training steps and tokenizers, alone and in turns with peers. The scripts in
 * {@code bench/} run these classes; {@code bench/RESULTS.md} has the results.
 */
package dev.jneox.bench;
