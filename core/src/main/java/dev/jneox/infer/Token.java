package dev.jneox.infer;

import java.util.List;

/**
 * Holds one token of a sequence and, where they were asked for, the model's log-probabilities at
 * its position.
 *
 * @param logProb natural logarithm of the probability of {@code id} given the ids before it: the
 *     model's own, before a sampler changes anything, by a log-softmax in double over all rows of
 *     the head, padding included, as in training. NaN where it was not asked for, or if the model
 *     gives no number.
 * @param top the likeliest ids, the likeliest first and of equals the smallest id; never padding
 */
public record Token(int id, double logProb, List<Candidate> top) {
  /** Holds an id that could have followed, and its log-probability. */
  public record Candidate(int id, double logProb) {}

  /** Copies the candidates. */
  public Token {
    top = List.copyOf(top);
  }

  /** Makes a token without log-probabilities. */
  Token(int id) {
    this(id, Double.NaN, List.of());
  }
}
