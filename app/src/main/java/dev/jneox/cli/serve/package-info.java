/** Holds the command that serves models over HTTP. */
@NullMarked
package dev.jneox.cli.serve;

import org.jspecify.annotations.NullMarked;
