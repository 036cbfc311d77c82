package dev.jneox.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Views a value of a {@code tokenizer.json} with its place, and checks its type.
 *
 * @param file named in errors
 * @param key the keys that lead to it, such as {@code pre_tokenizer.pattern}
 * @param node the value
 */
record JsonKey(Path file, String key, JsonNode node) {
  JsonKey at(String name) {
    return new JsonKey(file, key + "." + name, node.path(name));
  }

  /** Returns whether the value is missing or null. */
  boolean isAbsent() {
    return node.isMissingNode() || node.isNull();
  }

  InputException expected(String expected) {
    return expected(expected, TokenizerFile.describe(node));
  }

  InputException expected(String expected, String found) {
    return InputException.in(file, "key " + key, expected, found);
  }

  /** Returns a string without unpaired surrogates. */
  String string() {
    if (!node.isTextual() || !Utf8.wellFormed(node.textValue()).equals(node.textValue())) {
      throw expected("a string");
    }
    return node.textValue();
  }

  /** Returns a string of at most so many characters. */
  String string(int most) {
    String string = string();
    if (string.length() > most) {
      throw expected("a string of at most " + most + " characters");
    }
    return string;
  }

  /** Returns the character of a string of one. */
  int character() {
    String string = string();
    if (string.isEmpty() || string.codePointCount(0, string.length()) != 1) {
      throw expected("a single character");
    }
    return string.codePointAt(0);
  }

  /** Returns a boolean, or {@code otherwise} where the value is missing. */
  boolean flag() {
    if (!node.isBoolean()) {
      throw expected("true or false");
    }
    return node.booleanValue();
  }

  /** True or false, or {@code otherwise} where there is no value. */
  boolean flag(boolean otherwise) {
    return isAbsent() ? otherwise : flag();
  }

  /** Returns an integer of at least {@code least}. */
  int count(int least) {
    if (!node.canConvertToInt() || !node.isIntegralNumber() || node.intValue() < least) {
      throw expected("a whole number of at least " + least);
    }
    return node.intValue();
  }

  List<JsonKey> entries() {
    if (!node.isArray()) {
      throw expected("an array");
    }
    List<JsonKey> entries = new ArrayList<>(node.size());
    for (int i = 0; i < node.size(); i++) {
      entries.add(new JsonKey(file, key + "[" + i + "]", node.get(i)));
    }
    return entries;
  }

  /** Returns the value of {@code type} in an object. */
  String type() {
    if (!node.isObject()) {
      throw expected("an object");
    }
    return at("type").string();
  }
}
