package dev.jneox.hub;

import java.time.Duration;

/**
 * How long to wait for a server, and how often to try again.
 *
 * @param tries in a row that may fail without getting further, the first one included
 * @param firstPause after the first failure; each pause doubles the one before, less up to a half
 *     at random, so that many clients do not come back at once
 * @param longestPause bound of that
 * @param longestWait bound of what a server may ask for by {@code Retry-After}
 * @param answer until an answer begins
 * @param stall time in which an answer must bring {@code stallBytes}
 * @param stallBytes see {@code stall}
 * @param progressBytes a try that brought this much counts as getting further
 */
record Patience(
    int tries,
    Duration firstPause,
    Duration longestPause,
    Duration longestWait,
    Duration answer,
    Duration stall,
    long stallBytes,
    long progressBytes) {
  static final Patience DEFAULT =
      new Patience(
          6,
          Duration.ofSeconds(1),
          Duration.ofSeconds(30),
          Duration.ofMinutes(5),
          Duration.ofSeconds(60),
          Duration.ofSeconds(30),
          1024,
          1 << 20);
}
