package dev.jneox.hub;

import java.time.Duration;

/**
 * Says how long to wait for a server, and how often to retry.
 *
 * @param tries successive attempts that may fail without progress, the first one included
 * @param firstPause after the first failure; each pause doubles the previous one, less a random
 *     part of up to a half, so that many clients do not return at once
 * @param longestPause limit of the pauses
 * @param longestWait limit of what a server may ask for by {@code Retry-After}
 * @param answer time until a response begins
 * @param stall time in which a response must bring {@code stallBytes}
 * @param stallBytes see {@code stall}
 * @param progressBytes an attempt that brought this much counts as progress
 */
record RetryPolicy(
    int tries,
    Duration firstPause,
    Duration longestPause,
    Duration longestWait,
    Duration answer,
    Duration stall,
    long stallBytes,
    long progressBytes) {
  static final RetryPolicy DEFAULT =
      new RetryPolicy(
          6,
          Duration.ofSeconds(1),
          Duration.ofSeconds(30),
          Duration.ofMinutes(5),
          Duration.ofSeconds(60),
          Duration.ofSeconds(30),
          1024,
          1 << 20);
}
