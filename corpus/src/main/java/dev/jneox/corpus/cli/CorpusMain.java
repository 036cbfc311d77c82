package dev.jneox.corpus.cli;

import dev.jneox.cli.Start;

/** Where the process of {@code ./jneox corpus} begins. */
final class CorpusMain {
  private CorpusMain() {}

  public static void main(String[] args) {
    Start.alone(CorpusCommand.class, args);
  }
}
