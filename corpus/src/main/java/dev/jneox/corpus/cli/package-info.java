/** The command {@code corpus}: parse, call, print. It runs in a process of its own, with Spark. */
package dev.jneox.corpus.cli;
