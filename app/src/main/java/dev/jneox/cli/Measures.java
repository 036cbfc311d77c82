package dev.jneox.cli;

import dev.jneox.infer.TextLikelihood;
import dev.jneox.io.Counted;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** Prints how well a model predicts a text, as {@code score} and {@code eval} do. */
public final class Measures {
  private Measures() {}

  /**
   * Prints the summary of a text that has tokens.
   *
   * @param unigram loss of the unigram model
   * @param text whether its bytes and words are known
   */
  public static void print(PrintWriter out, TextLikelihood all, double unigram, boolean text) {
    out.printf(
        Locale.ROOT,
        "loss %.4f nats a token, perplexity %.2f%s%n",
        all.loss(),
        all.perplexity(),
        text ? String.format(Locale.ROOT, ", %.4f bits a byte", all.bitsPerByte()) : "");
    out.printf(
        Locale.ROOT, "a unigram model: loss %.4f, perplexity %.2f%n", unigram, Math.exp(unigram));
    if (text) {
      out.printf(
          Locale.ROOT,
          "byte perplexity %.4f, word perplexity %.2f%n%s, %s, %s%n",
          all.bytePerplexity(),
          all.wordPerplexity(),
          Counted.text(all.tokens(), "token"),
          Counted.text(all.bytes(), "byte"),
          Counted.text(all.words(), "word"));
    } else {
      out.println(Counted.text(all.tokens(), "token"));
    }
  }

  /** Returns the same for {@code --json}. */
  public static Map<String, Object> json(TextLikelihood all, double unigram, boolean text) {
    Map<String, Object> json = json(all, text);
    json.put("unigram_loss", unigram);
    return json;
  }

  /** Returns it without a unigram model. */
  public static Map<String, Object> json(TextLikelihood all, boolean text) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("tokens", all.tokens());
    json.put("logprob", all.sum());
    json.put("loss", all.loss());
    json.put("perplexity", all.perplexity());
    if (text) {
      json.put("bytes", all.bytes());
      json.put("words", all.words());
      json.put("bits_per_byte", all.bitsPerByte());
      json.put("byte_perplexity", all.bytePerplexity());
      json.put("word_perplexity", all.wordPerplexity());
    }
    return json;
  }
}
