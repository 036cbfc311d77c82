package dev.jneox.serve;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.jneox.grammar.Grammar;
import dev.jneox.infer.TokenConstraint;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Reads the form that a request holds its answer to: OpenAI's {@code response_format}, the {@code
 * grammar} of text-generation-inference, llama.cpp's {@code json_schema}, and vLLM's {@code
 * structured_outputs}, {@code guided_json}, {@code guided_regex} and {@code guided_choice}.
 */
final class Forms {
  private Forms() {}

  /**
   * Reads the form.
   *
   * @throws ApiException where it is none, where it cannot be held, or where there are two
   */
  static Optional<TokenConstraint> read(Body body, ServedModel model) {
    List<String> given = new ArrayList<>();
    List<TokenConstraint> found = new ArrayList<>();
    responseFormat(body, model).ifPresent(form -> add("response_format", form, given, found));
    typed(body, "grammar", model).ifPresent(form -> add("grammar", form, given, found));
    body.get("guided_json")
        .ifPresent(
            schema -> add("guided_json", schema(schema, model, "guided_json"), given, found));
    body.string("guided_regex")
        .ifPresent(regex -> add("guided_regex", regex(regex, model, "guided_regex"), given, found));
    List<String> choices = body.strings("guided_choice", 10_000);
    if (!choices.isEmpty()) {
      add("guided_choice", choice(choices, model, "guided_choice"), given, found);
    }
    body.get("json_schema")
        .ifPresent(
            schema -> add("json_schema", schema(schema, model, "json_schema"), given, found));
    body.object("structured_outputs").ifPresent(form -> structured(form, model, given, found));
    if (given.size() > 1) {
      throw ApiException.invalid(
          given.get(1), given.get(1) + ": expected one form of the answer, found " + given);
    }
    return found.stream().findFirst();
  }

  /** Reads vLLM's object, which has one form. */
  private static void structured(
      Body body, ServedModel model, List<String> given, List<TokenConstraint> found) {
    String name = "structured_outputs";
    body.get("json")
        .ifPresent(
            schema -> add(name + ".json", schema(parsed(body, schema), model, name), given, found));
    body.string("regex")
        .ifPresent(regex -> add(name + ".regex", regex(regex, model, name), given, found));
    List<String> choices = body.strings("choice", 10_000);
    if (!choices.isEmpty()) {
      add(name + ".choice", choice(choices, model, name), given, found);
    }
    if (body.flag("json_object", false)) {
      add(name + ".json_object", json(model), given, found);
    }
    body.refuse("grammar", "grammars in EBNF are not read: use json, regex or choice");
    body.refuse("structural_tag", "use json, regex or choice");
    body.end();
  }

  /** Returns a schema, which vLLM also takes as a text of JSON. */
  private static JsonNode parsed(Body body, JsonNode schema) {
    if (!schema.isTextual()) {
      return schema;
    }
    try {
      return Body.MAPPER.readTree(schema.textValue());
    } catch (JsonProcessingException e) {
      throw body.wrong("json", "a JSON Schema", schema);
    }
  }

  private static TokenConstraint choice(List<String> choices, ServedModel model, String param) {
    return model.constraint("choice " + choices, () -> Grammar.choice(choices), param);
  }

  private static void add(
      String name, TokenConstraint form, List<String> given, List<TokenConstraint> found) {
    given.add(name);
    found.add(form);
  }

  private static Optional<TokenConstraint> responseFormat(Body body, ServedModel model) {
    Optional<Body> format = body.object("response_format");
    if (format.isEmpty()) {
      return Optional.empty();
    }
    Body read = format.get();
    String type = read.string("type").orElse("");
    Optional<TokenConstraint> constraint =
        switch (type) {
          case "text" -> Optional.empty();
          case "json_object" -> Optional.of(json(model));
          case "json_schema" -> Optional.of(named(read, model));
          case "regex" -> Optional.of(regex(value(read, "pattern"), model, "response_format"));
          default ->
              throw read.invalid(
                  "type", "one of text, json_object, json_schema, regex", '"' + type + '"');
        };
    read.end();
    return constraint;
  }

  /** Reads OpenAI's schema with its name, or the fields of the responses API beside the type. */
  static TokenConstraint named(Body format, ServedModel model) {
    Body schema = format.object("json_schema").orElse(format);
    schema.ignore("name", "strict", "description");
    JsonNode found =
        schema
            .get("schema")
            .orElseThrow(() -> schema.wrong("schema", "a JSON Schema", MissingNode.getInstance()));
    if (schema != format) {
      schema.end();
    }
    return schema(found, model, "response_format");
  }

  private static Optional<TokenConstraint> typed(Body body, String name, ServedModel model) {
    Optional<JsonNode> grammar = body.get(name);
    if (grammar.isEmpty()) {
      return Optional.empty();
    }
    if (!grammar.get().isObject() || !grammar.get().has("type")) {
      throw body.wrong(
          name,
          "{\"type\": \"regex\", \"value\": \"[ab]+\"} or {\"type\": \"json\", \"value\":"
              + " SCHEMA}",
          grammar.get());
    }
    Body read = body.object(name, grammar.get());
    String type = read.string("type").orElse("");
    TokenConstraint constraint =
        switch (type) {
          case "regex" -> regex(value(read, "value"), model, name);
          case "json", "json_schema" ->
              schema(read.get("value").orElse(MissingNode.getInstance()), model, name);
          default -> throw read.invalid("type", "regex or json", '"' + type + '"');
        };
    read.end();
    return Optional.of(constraint);
  }

  private static String value(Body body, String name) {
    return body.string(name)
        .orElseThrow(() -> body.wrong(name, "a regular expression", MissingNode.getInstance()));
  }

  static TokenConstraint json(ServedModel model) {
    return model.constraint("json", Grammar::json, "response_format");
  }

  static TokenConstraint schema(JsonNode schema, ServedModel model, String param) {
    return model.constraint("schema " + schema, () -> Grammar.jsonSchema(schema), param);
  }

  private static TokenConstraint regex(String regex, ServedModel model, String param) {
    return model.constraint("regex " + regex, () -> Grammar.regex(regex), param);
  }
}
