package dev.jneox.data;

/**
 * Holds one document of a corpus.
 *
 * @param text well-formed Unicode: no half of a surrogate pair
 * @param set the component of the corpus it belongs to ({@code meta.pile_set_name} of the Pile), or
 *     an empty string
 */
public record Document(String text, String set) {}
