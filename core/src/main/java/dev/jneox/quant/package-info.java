/**
 * Linear maps whose weights are read straight from memory at its own speed: layouts of quantised
 * and plain weights, and the kernels that multiply them, each in Java on the Vector API and in
 * machine code.
 */
package dev.jneox.quant;
