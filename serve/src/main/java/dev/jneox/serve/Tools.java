package dev.jneox.serve;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.infer.TokenConstraint;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * Holds the functions that a model may call in a chat, and reads the calls from what it writes.
 *
 * @param definitions of OpenAI's form, as templates read them
 * @param parameters the schema of each function's arguments, by name
 * @param forced whether the answer must be a call
 */
record Tools(
    List<Map<String, Object>> definitions,
    Map<String, JsonNode> parameters,
    boolean forced,
    Format format) {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_.-]{1,64}");
  private static final int MOST_TOOLS = 128;
  private static final TypeReference<Map<String, Object>> MAP = new TypeReference<>() {};

  /** How the models of a template write calls. */
  enum Format {
    /** {@code <tool_call>{"name": .., "arguments": ..}</tool_call>}, as Hermes and Qwen. */
    TAGS("<tool_call>", "</tool_call>", "arguments"),
    /** {@code [TOOL_CALLS] [{"name": .., "arguments": ..}]}, as Mistral. */
    LIST("[TOOL_CALLS]", "", "arguments"),
    /** {@code {"name": .., "parameters": ..}} alone, as Llama 3. */
    OBJECT("{", "", "parameters");

    private final String open;
    private final String close;
    private final String arguments;

    Format(String open, String close, String arguments) {
      this.open = open;
      this.close = close;
      this.arguments = arguments;
    }

    /** Returns the format that a template mentions. */
    static Format of(String template) {
      return template.contains(TAGS.open) ? TAGS : template.contains(LIST.open) ? LIST : OBJECT;
    }
  }

  /** No functions. */
  static final Tools NONE = new Tools(List.of(), Map.of(), false, Format.OBJECT);

  /** Holds a call that a model made; {@code arguments} is JSON. */
  record ToolCall(String id, String name, String arguments) {
    /** Returns the call as an answer has it. */
    ObjectNode json() {
      ObjectNode call = JsonNodeFactory.instance.objectNode().put("id", id).put("type", "function");
      call.putObject("function").put("name", name).put("arguments", arguments);
      return call;
    }

    /** Returns the parts in which a stream has the call: its name, then its arguments. */
    List<ObjectNode> parts(int index) {
      ObjectNode begun = new ToolCall(id, name, "").json().put("index", index);
      ObjectNode rest = JsonNodeFactory.instance.objectNode().put("index", index);
      rest.putObject("function").put("arguments", arguments);
      return List.of(begun, rest);
    }
  }

  /** Holds what a model wrote: text, and the calls after it. */
  record Parsed(String text, List<ToolCall> calls) {}

  /** Reads {@code tools} and {@code tool_choice}. */
  static Tools read(Body body, ServedModel model) {
    Optional<JsonNode> given = body.get("tools");
    Optional<JsonNode> choice = body.get("tool_choice");
    if (given.isEmpty() || given.get().isArray() && given.get().isEmpty()) {
      if (choice.isPresent() && !choice.get().asText().matches("none|auto")) {
        throw ApiException.invalid("tool_choice", "tool_choice: expected only with tools");
      }
      return NONE;
    }
    if (!given.get().isArray() || given.get().size() > MOST_TOOLS) {
      throw body.wrong("tools", "a list of at most " + MOST_TOOLS + " tools", given.get());
    }
    List<Map<String, Object>> definitions = new ArrayList<>();
    Map<String, JsonNode> parameters = new LinkedHashMap<>();
    for (JsonNode item : given.get()) {
      String name = define(body.object("tools[" + definitions.size() + "]", item), parameters);
      if (parameters.size() == definitions.size()) {
        throw body.invalid("tools", "functions of different names", name + " twice");
      }
      definitions.add(Body.MAPPER.convertValue(item, MAP));
    }
    String word = choice.map(JsonNode::asText).orElse("auto");
    if (word.equals("none")) {
      return NONE;
    }
    String template = model.chatPrompt().source();
    if (template == null || !template.contains("tools")) {
      throw ApiException.unsupported(
          "tools", "tools: this model has no chat template that writes tools");
    }
    Format format = Format.of(template);
    if (choice.isPresent() && choice.get().isObject()) {
      String name = chosen(body.object("tool_choice", choice.get()));
      if (!parameters.containsKey(name)) {
        throw body.invalid("tool_choice", "one of " + parameters.keySet(), name);
      }
      return new Tools(definitions, Map.of(name, parameters.get(name)), true, format);
    }
    return switch (word) {
      case "auto" -> new Tools(definitions, parameters, false, format);
      case "required" -> new Tools(definitions, parameters, true, format);
      default ->
          throw body.wrong("tool_choice", "none, auto, required or a function", choice.get());
    };
  }

  private static String define(Body tool, Map<String, JsonNode> parameters) {
    String type = tool.string("type").orElse("function");
    if (!type.equals("function")) {
      throw tool.invalid("type", "\"function\"", '"' + type + '"');
    }
    Body function =
        tool.object("function")
            .orElseThrow(() -> tool.wrong("function", "an object", MissingNode.getInstance()));
    String name = function.string("name").orElse("");
    if (!NAME.matcher(name).matches()) {
      throw function.invalid("name", "letters, digits, _, . and -, at most 64", '"' + name + '"');
    }
    function.string("description");
    function.ignore("strict");
    ObjectNode none = JsonNodeFactory.instance.objectNode().put("type", "object");
    none.putObject("properties");
    parameters.put(
        name,
        function
            .get("parameters")
            .map(
                schema -> {
                  if (!schema.isObject()) {
                    throw function.wrong("parameters", "a JSON Schema", schema);
                  }
                  return schema;
                })
            .orElse(none));
    function.end();
    tool.end();
    return name;
  }

  private static String chosen(Body choice) {
    choice.string("type");
    Body function =
        choice
            .object("function")
            .orElseThrow(() -> choice.wrong("function", "an object", MissingNode.getInstance()));
    String name = function.string("name").orElse("");
    function.end();
    choice.end();
    return name;
  }

  /** Returns what the prompt ends with, so that the answer is a call. */
  String prefix() {
    return !forced
        ? ""
        : switch (format) {
          case TAGS -> format.open + "\n";
          case LIST -> format.open + " [";
          case OBJECT -> "";
        };
  }

  /** Returns the form of the answer where it must be a call: an object with name and arguments. */
  Optional<TokenConstraint> constraint(ServedModel model) {
    if (!forced) {
      return Optional.empty();
    }
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    ArrayNode ways = root.putArray("anyOf");
    parameters.forEach(
        (name, schema) -> {
          ObjectNode way = ways.addObject().put("type", "object");
          ObjectNode properties = way.putObject("properties");
          properties.putObject("name").put("const", name);
          properties.set(format.arguments, schema);
          way.putArray("required").add("name").add(format.arguments);
          way.put("additionalProperties", false);
        });
    return Optional.of(Forms.schema(root, model, "tools"));
  }

  /** Whether a text may yet turn out to be a call: it is not sent before that is known. */
  boolean mayBeCall(String text) {
    if (definitions.isEmpty()) {
      return false;
    }
    String begun = text.stripLeading();
    return forced
        || text.contains(format.open)
        || begun.isEmpty()
        || format.open.startsWith(begun)
        || format != Format.OBJECT && endsInside(text);
  }

  /** Whether the text ends with the beginning of the opening mark. */
  private boolean endsInside(String text) {
    for (int n = Math.min(format.open.length() - 1, text.length()); n > 0; n--) {
      if (format.open.startsWith(text.substring(text.length() - n))) {
        return true;
      }
    }
    return false;
  }

  /** Reads the calls of an answer; what is no call remains text. */
  Parsed parse(String written) {
    if (definitions.isEmpty()) {
      return new Parsed(written, List.of());
    }
    String text = prefix() + written;
    List<ToolCall> calls = new ArrayList<>();
    int first = text.indexOf(format.open);
    if (first < 0 || format == Format.OBJECT && !text.stripLeading().startsWith("{")) {
      return new Parsed(written, List.of());
    }
    for (int at = first; at >= 0; at = text.indexOf(format.open, at + 1)) {
      int from = format == Format.OBJECT ? at : at + format.open.length();
      int to = format.close.isEmpty() ? -1 : text.indexOf(format.close, from);
      read(text.substring(from, to < 0 ? text.length() : to).strip(), calls);
      if (format != Format.TAGS) {
        break;
      }
    }
    return calls.isEmpty()
        ? new Parsed(written, List.of())
        : new Parsed(text.substring(0, first).strip(), calls);
  }

  private void read(String json, List<ToolCall> calls) {
    try (var values = Body.MAPPER.readerFor(JsonNode.class).<JsonNode>readValues(json)) {
      while (values.hasNextValue()) {
        JsonNode value = values.nextValue();
        for (JsonNode call : value.isArray() ? value : List.of(value)) {
          add(call, calls);
        }
        if (format == Format.OBJECT) {
          return;
        }
      }
    } catch (JsonProcessingException e) {
      // What follows the last whole call is none.
    } catch (java.io.IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private void add(JsonNode call, List<ToolCall> calls) {
    JsonNode arguments = call.has("arguments") ? call.get("arguments") : call.path("parameters");
    if (call.path("name").isTextual() && parameters.containsKey(call.get("name").textValue())) {
      calls.add(
          new ToolCall(
              "call_" + UUID.randomUUID().toString().replace("-", "").substring(0, 24),
              call.get("name").textValue(),
              arguments.isTextual()
                  ? arguments.textValue()
                  : arguments.isMissingNode() ? "{}" : arguments.toString()));
    }
  }
}
