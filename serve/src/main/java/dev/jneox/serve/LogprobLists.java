package dev.jneox.serve;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.infer.Token;
import dev.jneox.infer.Token.Candidate;
import java.util.List;

/**
 * Lists tokens with their log-probabilities as {@code /v1/completions} does: {@code tokens}, {@code
 * token_logprobs}, {@code top_logprobs}, {@code text_offset}. Values are those of fp32, written in
 * full, as {@code jneox score} has them.
 */
final class LogprobLists {
  private static final double LEAST = -9999;

  private final ObjectNode root = JsonNodeFactory.instance.objectNode();
  private final ArrayNode tokens = root.putArray("tokens");
  private final ArrayNode values = root.putArray("token_logprobs");
  private final ArrayNode tops = root.putArray("top_logprobs");
  private final ArrayNode offsets = root.putArray("text_offset");
  private final TokenTexts texts;
  private final int top;
  private int offset;

  /**
   * @param top candidates that are listed for each token, beside the token itself
   * @param offset characters of text before the first token
   */
  LogprobLists(TokenTexts texts, int top, int offset) {
    this.texts = texts;
    this.top = top;
    this.offset = offset;
  }

  /** Adds the first token of a prompt, before which there is nothing that could predict it. */
  void addFirst(int id) {
    name(id);
    values.addNull();
    tops.addNull();
  }

  void add(Token token) {
    name(token.id());
    values.add(rounded(token.logProb()));
    ObjectNode candidates = tops.addObject();
    int listed = 0;
    for (Candidate candidate : token.top()) {
      if (listed++ < top) {
        put(candidates, candidate.id(), candidate.logProb());
      }
    }
    if (token.top().stream().limit(top).noneMatch(c -> c.id() == token.id())) {
      put(candidates, token.id(), token.logProb());
    }
  }

  /** Lists tokens as chats and responses do: token, logprob, bytes, top_logprobs. */
  static ArrayNode content(TokenTexts texts, List<Token> tokens) {
    ArrayNode content = JsonNodeFactory.instance.arrayNode();
    for (Token token : tokens) {
      ArrayNode top =
          entry(content.addObject(), texts, token.id(), token.logProb()).putArray("top_logprobs");
      for (Candidate candidate : token.top()) {
        entry(top.addObject(), texts, candidate.id(), candidate.logProb());
      }
    }
    return content;
  }

  private static ObjectNode entry(ObjectNode entry, TokenTexts texts, int id, double logProb) {
    entry.put("token", texts.of(id)).put("logprob", rounded(logProb));
    ArrayNode bytes = entry.putArray("bytes");
    for (byte b : texts.bytes(id)) {
      bytes.add(b & 0xFF);
    }
    return entry;
  }

  private void put(ObjectNode candidates, int id, double logProb) {
    String name = texts.of(id);
    // Some tokenizers write two tokens alike, at the beginning of a text.
    candidates.put(candidates.has(name) ? TokenTexts.name(id) : name, rounded(logProb));
  }

  private void name(int id) {
    String text = texts.of(id);
    tokens.add(text);
    offsets.add(offset);
    offset += texts.length(id);
  }

  /** Rounds to fp32, in which scores are kept. JSON has no infinity: OpenAI writes -9999. */
  static double rounded(double logProb) {
    if (Double.isNaN(logProb)) {
      throw ApiException.http(500, "the model's scores are not numbers: its weights are broken");
    }
    return Math.max(LEAST, (float) logProb);
  }

  ObjectNode json() {
    return root;
  }
}
