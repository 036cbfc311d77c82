package dev.jneox.corpus;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.io.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Reads verse kept as JSON. A poem is an object with its lines in {@code paragraphs} or {@code
 * content}, and maybe {@code title}, {@code rhythmic} or {@code chapter}, and {@code author}, at
 * any depth of objects and arrays. A file that is one array of strings is a chapter, with the
 * verses as its lines. Marks of type, such as {@code <FI>}, are dropped.
 */
final class JsonPoems {
  private static final ObjectMapper MAPPER = new ObjectMapper(JsonObject.JSON);

  private JsonPoems() {}

  /**
   * Reads a file.
   *
   * @throws JsonProcessingException where it is not JSON
   */
  static void read(String text, Consumer<String> documents) throws JsonProcessingException {
    JsonNode root = MAPPER.readTree(text);
    List<String> verses = strings(root);
    if (!verses.isEmpty()) {
      documents.accept(String.join("\n", verses) + "\n");
      return;
    }
    Entries poems = new Entries("\n", documents);
    visit(root, poems);
    poems.end();
  }

  private static void visit(JsonNode node, Entries poems) {
    List<String> lines = strings(node.path("paragraphs"));
    if (lines.isEmpty()) {
      lines = strings(node.path("content"));
    }
    if (lines.isEmpty()) {
      for (JsonNode child : node) {
        visit(child, poems);
      }
      return;
    }
    StringBuilder poem = new StringBuilder();
    for (String key : List.of("title", "rhythmic", "chapter", "author")) {
      String value = plain(node.path(key).asText("")).strip();
      if (!value.isEmpty()) {
        poem.append(value).append('\n');
      }
    }
    lines.forEach(line -> poem.append(line).append('\n'));
    poems.add(poem.toString());
  }

  /** Returns the strings of an array of strings; none for anything else. */
  private static List<String> strings(JsonNode node) {
    List<String> strings = new ArrayList<>();
    if (!node.isArray()) {
      return strings;
    }
    for (JsonNode item : node) {
      if (!item.isTextual()) {
        return List.of();
      }
      String line = plain(item.asText()).strip();
      if (!line.isEmpty()) {
        strings.add(line);
      }
    }
    return strings;
  }

  private static String plain(String text) {
    return text.indexOf('<') < 0 ? text : text.replaceAll("</?[A-Za-z]{1,3}/?>", "");
  }
}
