package dev.jneox.corpus.cli;

import picocli.CommandLine.Command;

/** {@code jneox corpus}: fetch sources, build a corpus, say what would run, describe one. */
@Command(
    name = "corpus",
    mixinStandardHelpOptions = true,
    description = "Build a corpus from weighted sources: clean, deduplicate, mix, tokenise.",
    footer = {
      "",
      "The Pilot Pile, 600 MB of text whose licences allow redistribution:",
      "  jneox corpus fetch pipelines/pilot.yml",
      "  jneox tokenizer train --vocab-size 16384 \\",
      "    --out pipelines/pilot/tokenizer.json pipelines/pilot/*.jsonl",
      "  jneox corpus plan pipelines/pilot.yml",
      "  jneox corpus build pipelines/pilot.yml --out data/pilot"
    },
    subcommands = {
      FetchCommand.class,
      BuildCommand.class,
      PlanCommand.class,
      StepsCommand.class,
      ReportCommand.class
    })
final class CorpusCommand {}
