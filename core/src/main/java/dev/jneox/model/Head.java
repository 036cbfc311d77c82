package dev.jneox.model;

/**
 * Describes the output head, which scores every token.
 *
 * @param tied whether its matrix is the token embedding
 * @param bias whether it adds a bias (GPT-J)
 */
public record Head(boolean tied, boolean bias) {}
