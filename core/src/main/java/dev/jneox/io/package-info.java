/**
 * Provides files, locks and errors to all other packages.
 *
 * <ul>
 *   <li>{@link dev.jneox.io.AtomicFile} and {@link dev.jneox.io.AtomicFolder} make results appear
 *       whole or not at all; {@link dev.jneox.io.TargetLock} excludes a second writer, and {@link
 *       dev.jneox.io.Overwrite} protects what exists.
 *   <li>{@link dev.jneox.io.InputFile} and {@link dev.jneox.io.MappedFile} read files that may be
 *       of any size, no files at all, or changed meanwhile; {@link dev.jneox.io.VisibleText} shows
 *       text from them.
 *   <li>{@link dev.jneox.io.JneoxException} is the base of all errors that a user can act on.
 *   <li>{@link dev.jneox.io.ByteSize}, {@link dev.jneox.io.Shell} and {@link dev.jneox.io.Spelling}
 *       word messages.
 *   <li>{@link dev.jneox.io.Progress} counts the progress of a long operation.
 *   <li>{@link dev.jneox.io.MappedMemory}, {@link dev.jneox.io.FreeMemory}, {@link
 *       dev.jneox.io.FreedMemory} and {@link dev.jneox.io.FreeDisk} query and advise the operating
 *       system.
 *   <li>{@link dev.jneox.io.NativeLibraries} unpacks the native libraries of jars for the packages
 *       that have some.
 * </ul>
 */
@NullMarked
package dev.jneox.io;

import org.jspecify.annotations.NullMarked;
