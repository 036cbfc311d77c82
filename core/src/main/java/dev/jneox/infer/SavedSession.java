package dev.jneox.infer;

/**
 * Holds what a session file had beside keys and values.
 *
 * @param ids of the sequence
 * @param note what the caller had saved with them
 * @param positions of the sequence, from the first on, whose keys and values are there
 */
public record SavedSession(int[] ids, String note, int positions) {}
