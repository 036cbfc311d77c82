/**
 * Linear maps whose weights are read straight from memory at its own speed: layouts of quantised and plain weights, and
 * the Vector API kernels that multiply them.
 */
package dev.jneox.quant;
