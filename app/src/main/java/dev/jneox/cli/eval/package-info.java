/** Holds the command that evaluates models: on documents, and on the tasks of the harness. */
@NullMarked
package dev.jneox.cli.eval;

import org.jspecify.annotations.NullMarked;
