/**
 * Writes an opened model in another format, one tensor at a time: {@link
 * dev.jneox.convert.Conversion} and {@link dev.jneox.convert.Quantisation}; and makes models of
 * random weights: {@link dev.jneox.convert.SyntheticModel}.
 */
@NullMarked
package dev.jneox.convert;

import org.jspecify.annotations.NullMarked;
