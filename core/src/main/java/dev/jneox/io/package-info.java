/**
 * Holds files, locks and errors, on which all other packages stand.
 *
 * <ul>
 *   <li>{@link dev.jneox.io.AtomicFile} and {@link dev.jneox.io.AtomicFolder} make results appear
 *       whole or not at all; {@link dev.jneox.io.TargetLock} keeps a second writer away.
 *   <li>{@link dev.jneox.io.InputException} is the error for input that cannot be used.
 *   <li>{@link dev.jneox.io.Progress} counts a long operation and shows nothing itself.
 *   <li>{@link dev.jneox.io.MappedMemory}, {@link dev.jneox.io.FreeMemory}, {@link
 *       dev.jneox.io.FreedMemory} and {@link dev.jneox.io.FreeDisk} ask and advise the system.
 *   <li>{@link dev.jneox.io.NativeLibraries} unpacks the native libraries of jars for the packages
 *       that have some.
 * </ul>
 */
@NullMarked
package dev.jneox.io;

import org.jspecify.annotations.NullMarked;
