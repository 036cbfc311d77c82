package dev.jneox.tokenizer;

/**
 * Describes a token of {@code added_tokens} in {@code tokenizer.json}. It is matched in the text
 * before the model encodes the rest.
 *
 * @param id its id in the file
 * @param content its text
 * @param singleWord matches only where no word character touches it
 * @param lstrip takes the white space before it
 * @param rstrip takes the white space after it
 * @param normalized is matched in the normalized text, else in the given text
 * @param special is matched before those that are not, where two have the same text
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
