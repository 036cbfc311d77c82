package dev.jneox.infer;

import java.nio.charset.StandardCharsets;

/**
 * Sums up the scores of texts, and what they are divided by. The quotients are those of
 * lm-evaluation-harness for {@code loglikelihood_rolling}: sums over all documents divided by sums
 * over all documents.
 *
 * @param tokens that have a score
 * @param sum of the natural logarithms of their probabilities
 * @param bytes of the text in UTF-8 that these tokens spell
 * @param words what white space separates in it, counted as Python's {@code len(re.split(r"\s+",
 *     text))}: white space at an end has an empty word beyond it
 */
public record TextLikelihood(long tokens, double sum, long bytes, long words) {
  /** Holds no text. */
  public static final TextLikelihood NONE = new TextLikelihood(0, 0, 0, 0);

  /**
   * Sums up one document.
   *
   * @param scores as {@link Scorer} gives them
   * @param text that they are of
   */
  public static TextLikelihood of(float[] scores, String text) {
    long bytes = text.getBytes(StandardCharsets.UTF_8).length;
    return new TextLikelihood(scores.length, LogLikelihood.of(scores).sum(), bytes, words(text));
  }

  /** Adds the sums of another document. */
  public TextLikelihood plus(TextLikelihood other) {
    return new TextLikelihood(
        tokens + other.tokens, sum + other.sum, bytes + other.bytes, words + other.words);
  }

  /** Returns the loss in nats per token; NaN without tokens. */
  public double loss() {
    return -sum / tokens;
  }

  /** Returns {@code exp(loss)}: the perplexity per token. */
  public double perplexity() {
    return Math.exp(loss());
  }

  /** Returns {@code -sum / (ln 2 * bytes)}; it compares models of different tokenizers. */
  public double bitsPerByte() {
    return -sum / (Math.log(2) * bytes);
  }

  /** Returns {@code exp(-sum / bytes)}. */
  public double bytePerplexity() {
    return Math.exp(-sum / bytes);
  }

  /** Returns {@code exp(-sum / words)}. */
  public double wordPerplexity() {
    return Math.exp(-sum / words);
  }

  private static long words(String text) {
    long words = 1;
    boolean space = false;
    for (int i = 0; i < text.length(); i++) {
      boolean now = isSpace(text.charAt(i));
      if (now && !space) {
        words++;
      }
      space = now;
    }
    return words;
  }

  /** Tells what Python's {@code \s} matches; all of it lies in the basic plane. */
  private static boolean isSpace(char c) {
    return c >= 0x1C && c <= 0x20
        || c >= '\t' && c <= '\r'
        || c == 0x85
        || Character.isSpaceChar(c);
  }
}
