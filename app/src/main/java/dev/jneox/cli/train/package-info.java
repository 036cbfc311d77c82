/**
 * Runs the commands that train, and tells {@code doctor} and {@code synth} what only the modules
 * {@code train} and {@code torch} know: {@link dev.jneox.cli.train.TrainingCommands}.
 */
package dev.jneox.cli.train;
