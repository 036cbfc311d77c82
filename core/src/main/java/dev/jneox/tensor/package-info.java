/**
 * Computes on plain arrays: vector functions of one row, worker threads, and machine code assembled
 * at run time.
 *
 * <p>{@link dev.jneox.tensor.Vectors} takes every sum in a fixed order, so that a row gives the
 * same bits wherever it is computed. {@link dev.jneox.tensor.Workers} shares out tasks that take
 * microseconds. {@link dev.jneox.tensor.MachineCode} calls what {@link dev.jneox.tensor.Assembler}
 * encodes, on Linux on x86-64 with AVX2; {@link dev.jneox.tensor.Cpu} says what the CPU has.
 */
package dev.jneox.tensor;
