/** Holds the command that serves models over HTTP. */
package dev.jneox.cli.serve;
