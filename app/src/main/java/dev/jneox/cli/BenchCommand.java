package dev.jneox.cli;

import picocli.CommandLine.Command;

/** {@code jneox bench}: how fast this machine runs a model. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    description = "Measure how fast this machine runs a model.",
    subcommands = {BenchDecodeCommand.class})
final class BenchCommand {}
