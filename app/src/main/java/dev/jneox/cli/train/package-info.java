/**
 * Runs the commands that train, and tells {@code doctor} and {@code synth} what only the modules
 * {@code train} and {@code torch} know: {@link dev.jneox.cli.train.TrainingCommands}.
 */
@NullMarked
package dev.jneox.cli.train;

import org.jspecify.annotations.NullMarked;
