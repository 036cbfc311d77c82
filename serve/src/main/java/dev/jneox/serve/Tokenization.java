package dev.jneox.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Optional;

/** Answers vLLM's {@code POST /tokenize} and {@code POST /detokenize}. */
final class Tokenization {
  private static final int LEAST_DECODED = 1 << 16; // a token may be hundreds of bytes

  private Tokenization() {}

  /** Returns the ids of a text, or of a conversation as the model gets it. */
  static ObjectNode tokenize(Body body, ServedModel model) {
    Optional<String> prompt = body.string("prompt");
    String text;
    if (body.get("messages").isPresent()) {
      if (prompt.isPresent()) {
        throw ApiException.invalid("messages", "messages: expected these or a prompt, found both");
      }
      text = Chats.prompt(body, model, Chats.messages(body), Tools.read(body, model));
    } else {
      text =
          prompt.orElseThrow(
              () -> body.wrong("prompt", "a string, or messages", MissingNode.getInstance()));
      body.flag("add_special_tokens", true);
    }
    boolean strings = body.flag("return_token_strs", false);
    body.end();
    int[] ids = model.encode(text, "prompt");
    ObjectNode root =
        JsonNodeFactory.instance
            .objectNode()
            .put("count", ids.length)
            .put("max_model_len", model.context());
    ArrayNode tokens = root.putArray("tokens");
    for (int id : ids) {
      tokens.add(id);
    }
    if (strings) {
      ArrayNode texts = root.putArray("token_strs");
      for (int id : ids) {
        texts.add(model.texts().of(id));
      }
    }
    return root;
  }

  /** Returns the text of ids. */
  static ObjectNode detokenize(Body body, ServedModel model) {
    JsonNode value = body.get("tokens").orElse(MissingNode.getInstance());
    if (!value.isArray()) {
      throw body.wrong("tokens", "a list of token ids", value);
    }
    body.end();
    int most = Math.max(model.context(), LEAST_DECODED);
    if (value.size() > most) {
      throw body.invalid("tokens", "at most " + most + " token ids", value.size() + " of them");
    }
    int last = model.model().spec().vocabulary().rows() - 1;
    int[] ids = new int[value.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = (int) body.whole("tokens[" + i + "]", value.get(i), 0, last);
    }
    return JsonNodeFactory.instance.objectNode().put("prompt", model.tokenizer().decode(ids));
  }
}
