/**
 * Computes on plain memory: layouts of quantised and plain weights, the kernels that multiply them,
 * vector functions of one row, and worker threads.
 *
 * <ul>
 *   <li>{@link dev.jneox.kernel.Kernels} is chosen once: machine code, the Vector API or scalar
 *       Java.
 *   <li>{@link dev.jneox.kernel.PackedWeight} is a linear map whose weights are read where they
 *       lie.
 *   <li>{@link dev.jneox.kernel.Vectors} takes every sum in a fixed order, so that a row gives the
 *       same bits wherever it is computed.
 *   <li>{@link dev.jneox.kernel.Workers} shares out tasks that take microseconds.
 *   <li>{@link dev.jneox.kernel.Cpu} says which instructions the CPU has.
 * </ul>
 */
@NullMarked
package dev.jneox.kernel;

import org.jspecify.annotations.NullMarked;
