/**
 * Runs the commands: each parses its options, calls the packages below and prints.
 *
 * <p>{@link dev.jneox.cli.Start} is where the process begins. It makes sure that the JVM has the
 * flags of {@code launch.conf}, then hands over to {@link dev.jneox.cli.Main}, which finds the
 * subcommands of every {@link dev.jneox.cli.CommandModule} and turns errors into one line and an
 * exit code.
 */
@NullMarked
package dev.jneox.cli;

import org.jspecify.annotations.NullMarked;
