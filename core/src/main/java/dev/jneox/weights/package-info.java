/**
 * Gives the values of a model's parameters, wherever they are kept.
 *
 * <ul>
 *   <li>{@link dev.jneox.weights.StoredModel} is a model on disk, of any format. Weights are
 *       mapped, not read.
 *   <li>{@link dev.jneox.weights.TensorExpression} says how a tensor of a file is made of
 *       parameters; each format states its expressions once, for reading and for writing.
 *   <li>{@link dev.jneox.weights.QuantisedMatrix} is a matrix that is kept as integers with scales.
 *   <li>{@link dev.jneox.weights.MappedTensor} is a tensor of plain numbers in a mapped file.
 * </ul>
 */
@NullMarked
package dev.jneox.weights;

import org.jspecify.annotations.NullMarked;
