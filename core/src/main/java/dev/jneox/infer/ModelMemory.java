package dev.jneox.infer;

/**
 * Says what a model takes once it is open, by the headers of its files alone.
 *
 * @param weights bytes of its weights, those that stay in the mapped file included
 * @param context tokens of its longest sequence
 * @param sequence bytes of keys and values of one sequence of that length
 */
public record ModelMemory(long weights, int context, long sequence) {}
