package dev.jneox.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;

/**
 * Reads the texts of a request, which are a string, a list of strings, a list of token ids, or a
 * list of lists of token ids.
 */
final class PromptReader {
  private static final String EXPECTED =
      "a string, a list of strings, a list of token ids, or a list of lists of token ids";

  private final Body body;
  private final ServedModel model;
  private final String field;
  private final int most;

  /**
   * @param field of the body
   * @param most texts that are taken
   */
  PromptReader(Body body, ServedModel model, String field, int most) {
    this.body = body;
    this.model = model;
    this.field = field;
    this.most = most;
  }

  /** Returns the ids of each text. */
  List<int[]> ids() {
    return read((_, ids) -> ids);
  }

  /** Returns what is made of each text and its ids, at least one. */
  <T> List<T> read(BiFunction<String, int[], T> made) {
    JsonNode value = body.get(field).orElse(MissingNode.getInstance());
    if (value.isTextual()) {
      String text = body.text(field, value);
      return List.of(made.apply(text, model.encodeWhole(text, field)));
    }
    if (!value.isArray() || value.isEmpty()) {
      throw body.wrong(field, EXPECTED, value);
    }
    if (value.get(0).isNumber()) {
      return List.of(ids(field, value, made));
    }
    if (value.size() > most) {
      throw body.invalid(field, "at most " + most + " texts", value.size() + " of them");
    }
    boolean texts = value.get(0).isTextual();
    List<T> found = new ArrayList<>();
    List<String> read = new ArrayList<>();
    for (JsonNode item : value) {
      String name = field + "[" + (found.size() + read.size()) + "]";
      if (texts && item.isTextual()) {
        read.add(body.text(name, item));
      } else if (!texts && item.isArray()) {
        found.add(ids(name, item, made));
      } else {
        throw body.wrong(name, texts ? "a string" : "a list of token ids", item);
      }
    }
    List<int[]> encoded = model.encodeWhole(read, field);
    for (int i = 0; i < read.size(); i++) {
      found.add(made.apply(read.get(i), encoded.get(i)));
    }
    return found;
  }

  private <T> T ids(String name, JsonNode value, BiFunction<String, int[], T> made) {
    if (value.size() > model.context() + 1) { // before so many are decoded
      throw ApiException.tooLong(
          field,
          "the context is %d tokens, found %d of the %s"
              .formatted(model.context(), value.size(), field));
    }
    int last = model.model().spec().vocabulary().rows() - 1;
    int[] ids = new int[value.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = (int) body.whole(name + "[" + i + "]", value.get(i), 0, last);
    }
    return made.apply(model.tokenizer().decode(ids), ids);
  }
}
