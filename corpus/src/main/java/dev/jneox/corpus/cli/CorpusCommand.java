package dev.jneox.corpus.cli;

import picocli.CommandLine.Command;

/** {@code jneox corpus}: fetch sources, build a corpus, say what would run, describe one. */
@Command(
    name = "corpus",
    mixinStandardHelpOptions = true,
    description = "Build a corpus from weighted sources: clean, deduplicate, mix, tokenise.",
    subcommands = {FetchCommand.class, BuildCommand.class, PlanCommand.class, ReportCommand.class})
final class CorpusCommand {}
