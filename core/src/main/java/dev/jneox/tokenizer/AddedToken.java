package dev.jneox.tokenizer;

/**
 * A token of {@code added_tokens} in {@code tokenizer.json}: it is found in the text before the
 * model sees the rest.
 *
 * @param singleWord matches only where no word character touches it
 * @param lstrip takes the white space before it
 * @param rstrip takes the white space after it
 * @param normalized is looked for in the normalized text, otherwise in the text as given
 * @param special is looked for before those that are not, where two are the same
 */
record AddedToken(
    int id,
    String content,
    boolean singleWord,
    boolean lstrip,
    boolean rstrip,
    boolean normalized,
    boolean special) {
  AddedToken withId(int id) {
    return new AddedToken(id, content, singleWord, lstrip, rstrip, normalized, special);
  }
}
