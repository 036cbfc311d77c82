package dev.jneox.model;

/**
 * Describes how a token id becomes a row of the residual stream.
 *
 * @param learnedPositions whether a learned vector for the position is added to the token's (GPT-2,
 *     GPT-Neo)
 */
public record Embedding(boolean learnedPositions) {}
