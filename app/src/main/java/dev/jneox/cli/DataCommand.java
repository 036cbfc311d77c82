package dev.jneox.cli;

import picocli.CommandLine.Command;

/** {@code jneox data}: what one does with tokenised data besides training. */
@Command(
    name = "data",
    mixinStandardHelpOptions = true,
    description = "Look into tokenised data and lay out the order of their samples.",
    subcommands = {DataInspectCommand.class, DataIndexCommand.class})
final class DataCommand {}
