package dev.jneox.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.infer.Completion;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.Token;
import dev.jneox.template.ChatPrompt;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Answers {@code POST /v1/responses}, as OpenAI's API defines it, for texts. The server keeps no
 * response: a conversation is given whole each time.
 */
final class Responses {
  private static final int MOST_ITEMS = 10_000;
  private static final JsonNode TEXT = JsonNodeFactory.instance.objectNode().put("type", "text");

  private static final List<String> INCLUDED =
      List.of(
          "message.output_text.logprobs",
          "reasoning.encrypted_content",
          "message.input_image.image_url",
          "file_search_call.results",
          "web_search_call.results",
          "web_search_call.action.sources",
          "code_interpreter_call.outputs",
          "computer_call_output.output.image_url");

  private final ServedModel model;
  private final Call call;
  private final GenerationOptions options;
  private final int[] prompt;
  private final int maxTokens;
  private final List<String> stop;
  private final @Nullable String instructions;
  private final @Nullable JsonNode metadata;
  private final boolean logprobs;
  private final int topLogprobs;
  private final JsonNode format;
  private final JsonNode toolChoice;
  private final boolean parallel;
  private final long created = System.currentTimeMillis() / 1000;
  private int sequence;

  /** Reads a request. */
  Responses(Body body, ServedModel model, Call call) {
    this.model = model;
    this.call = call;
    this.instructions = body.string("instructions").orElse(null);
    List<Map<String, Object>> messages = new ArrayList<>();
    if (instructions != null) {
      messages.add(message("system", instructions));
    }
    messages.addAll(input(body));
    GenerationOptions read = GenerationOptions.read(body, model);
    this.metadata = body.get("metadata").orElse(null);
    this.logprobs = included(body).contains("message.output_text.logprobs");
    this.topLogprobs = body.integer("top_logprobs", 0, 20).orElse(0);
    Optional<JsonNode> given = body.get("text");
    this.format = given.map(value -> value.path("format")).filter(JsonNode::isObject).orElse(TEXT);
    Optional<Body> text = body.object("text");
    if (text.isPresent()) {
      read = form(text.get(), read, model);
    }
    this.options = read;
    int most = body.integer("max_output_tokens", 1, Integer.MAX_VALUE).orElse(-1);
    body.refuse(
        "previous_response_id", "no response is kept: give the whole conversation as input");
    body.refuse("conversation", "no conversation is kept: give it whole as input");
    if (body.get("tools").filter(tools -> !tools.isEmpty()).isPresent()) {
      throw ApiException.unsupported(
          "tools", "tools: no function is called here: use /v1/chat/completions");
    }
    this.parallel = body.flag("parallel_tool_calls", true);
    this.toolChoice = body.get("tool_choice").orElse(JsonNodeFactory.instance.textNode("auto"));
    if (body.flag("background", false)) {
      throw ApiException.unsupported("background", "background: the answer is sent at once");
    }
    body.ignore("reasoning", "truncation", "max_tool_calls");
    body.end();
    ChatPrompt writer = model.chatPrompt();
    this.prompt =
        model.encodeWhole(
            Chats.write(model, messages, List.of(), true, Map.of(), "input"), "input");
    this.stop = new ArrayList<>(options.stop());
    stop.addAll(writer.stop());
    int length = Math.max(1, prompt.length);
    this.maxTokens = most > 0 ? most : Math.max(1, model.context() - length);
    Completions.check(length, maxTokens, model.context(), "input");
    options.checkLeast(maxTokens);
  }

  /** Reads what an answer is to have beside its text. What no model here makes is never there. */
  private static List<String> included(Body body) {
    List<String> given = body.strings("include", INCLUDED.size());
    for (String name : given) {
      if (!INCLUDED.contains(name)) {
        throw body.invalid("include", "some of " + String.join(", ", INCLUDED), '"' + name + '"');
      }
    }
    return given;
  }

  private static GenerationOptions form(Body text, GenerationOptions read, ServedModel model) {
    text.ignore("verbosity");
    Optional<Body> format = text.object("format");
    text.end();
    if (format.isEmpty()) {
      return read;
    }
    String type = format.get().string("type").orElse("");
    GenerationOptions held =
        switch (type) {
          case "text" -> read;
          case "json_object" -> read.withForm(Forms.json(model));
          case "json_schema" -> read.withForm(Forms.named(format.get(), model));
          default ->
              throw format
                  .get()
                  .invalid("type", "one of text, json_object, json_schema", '"' + type + '"');
        };
    format.get().end();
    return held;
  }

  private static Map<String, Object> message(String role, String content) {
    Map<String, Object> message = new LinkedHashMap<>();
    message.put("role", role);
    message.put("content", content);
    return message;
  }

  private static List<Map<String, Object>> input(Body body) {
    Optional<JsonNode> given = body.get("input");
    if (given.isPresent() && given.get().isTextual()) {
      return List.of(message("user", body.text("input", given.get())));
    }
    if (given.isEmpty() || !given.get().isArray() || given.get().isEmpty()) {
      throw body.wrong(
          "input",
          "a string or a list of messages",
          given.orElse(JsonNodeFactory.instance.missingNode()));
    }
    if (given.get().size() > MOST_ITEMS) {
      throw body.invalid(
          "input", "at most " + MOST_ITEMS + " messages", given.get().size() + " of them");
    }
    List<Map<String, Object>> messages = new ArrayList<>();
    for (JsonNode item : given.get()) {
      Body message = body.object("input[" + messages.size() + "]", item);
      String type = message.string("type").orElse("message");
      if (!type.equals("message")) {
        throw message.invalid("type", "\"message\"", '"' + type + '"');
      }
      message.ignore("id", "status");
      messages.add(Chats.message(message));
    }
    return messages;
  }

  boolean streamed() {
    return options.stream();
  }

  private List<GenerationRequest> requests() {
    GenerationRequest.Builder builder = options.request(prompt, maxTokens, 0);
    return List.of((logprobs ? builder.logprobs(topLogprobs) : builder).build());
  }

  /** Writes the answer and returns the body of the response. */
  ObjectNode answer() {
    return whole(
        new Answers(model, call, 1).run(requests(), stop, Answers.Listener.NONE).getFirst());
  }

  private ObjectNode whole(Completion completion) {
    boolean cut = isCut(completion.reason());
    ObjectNode root = head(cut ? "incomplete" : "completed");
    if (cut) {
      root.putObject("incomplete_details").put("reason", "max_output_tokens");
    }
    root.putArray("output")
        .add(item(cut ? "incomplete" : "completed", part(text(completion), completion)));
    ObjectNode usage = root.putObject("usage");
    usage.put("input_tokens", completion.usage().promptTokens());
    usage
        .putObject("input_tokens_details")
        .put("cached_tokens", completion.usage().reusedTokens())
        .put("cache_write_tokens", 0); // for services that charge for them
    usage.put("output_tokens", completion.usage().newTokens());
    usage.putObject("output_tokens_details").put("reasoning_tokens", 0);
    usage.put("total_tokens", completion.usage().promptTokens() + completion.usage().newTokens());
    return root;
  }

  private String text(Completion completion) {
    return model.chatPrompt().answer(String.valueOf(completion.text()));
  }

  private static boolean isCut(FinishReason reason) {
    return Completions.reason(reason).equals("length");
  }

  private ObjectNode head(String status) {
    ObjectNode root =
        JsonNodeFactory.instance
            .objectNode()
            .put("id", "resp_" + call.id())
            .put("object", "response")
            .put("created_at", created)
            .put("status", status)
            .put("model", model.id())
            .put("instructions", instructions)
            .put("max_output_tokens", maxTokens)
            .put("temperature", options.sampler().temperature())
            .put("top_p", options.sampler().topP())
            .put("parallel_tool_calls", parallel)
            .put("top_logprobs", topLogprobs)
            .put("truncation", "disabled")
            .put("store", false)
            .put("background", false);
    root.set("tool_choice", toolChoice);
    root.putNull("error");
    root.putNull("incomplete_details");
    root.putNull("previous_response_id");
    root.set("metadata", metadata == null ? JsonNodeFactory.instance.objectNode() : metadata);
    root.putObject("text").set("format", format);
    root.putObject("reasoning").putNull("effort").putNull("summary");
    root.putArray("tools");
    root.putArray("output");
    return root;
  }

  private ObjectNode item(String status, @Nullable ObjectNode part) {
    ObjectNode item =
        JsonNodeFactory.instance
            .objectNode()
            .put("id", itemId())
            .put("type", "message")
            .put("status", status)
            .put("role", "assistant");
    var content = item.putArray("content");
    if (part != null) {
      content.add(part);
    }
    return item;
  }

  private String itemId() {
    return "msg_" + call.id();
  }

  private ObjectNode part(String text, @Nullable Completion completion) {
    ObjectNode part =
        JsonNodeFactory.instance.objectNode().put("type", "output_text").put("text", text);
    part.putArray("annotations");
    part.set("logprobs", logprobs(completion == null ? List.of() : tokens(completion)));
    return part;
  }

  private static List<Token> tokens(Completion completion) {
    return completion.generation().tokens();
  }

  private ArrayNode logprobs(List<Token> tokens) {
    return LogprobLists.content(model.texts(), logprobs ? tokens : List.of());
  }

  /** Writes the answer as it grows, in the events of the responses API. */
  void stream(EventStream events) {
    send(events, "response.created", "response", head("in_progress"));
    send(events, "response.in_progress", "response", head("in_progress"));
    ObjectNode added = event("response.output_item.added").put("output_index", 0);
    added.set("item", item("in_progress", null));
    send(events, added);
    ObjectNode begun = inItem("response.content_part.added");
    begun.set("part", part("", null));
    send(events, begun);
    Completion completion =
        new Answers(model, call, 1)
            .run(
                requests(),
                stop,
                new Answers.Listener() {
                  private final List<Token> pending = new ArrayList<>();
                  private boolean written;

                  @Override
                  public void piece(int answer, TextPiece piece) {
                    pending.add(piece.token());
                    if (piece.text().isEmpty()) {
                      return;
                    }
                    String text = written ? piece.text() : model.chatPrompt().answer(piece.text());
                    written = true;
                    if (!text.isEmpty()) {
                      ObjectNode delta = inItem("response.output_text.delta").put("delta", text);
                      delta.set("logprobs", logprobs(pending));
                      pending.clear();
                      send(events, delta);
                    }
                  }

                  @Override
                  public void end(int answer, Completion whole) {}
                })
            .getFirst();
    String text = text(completion);
    ObjectNode done = inItem("response.output_text.done").put("text", text);
    done.set("logprobs", logprobs(tokens(completion)));
    send(events, done);
    ObjectNode ended = inItem("response.content_part.done");
    ended.set("part", part(text, completion));
    send(events, ended);
    boolean cut = isCut(completion.reason());
    ObjectNode last = event("response.output_item.done").put("output_index", 0);
    last.set("item", item(cut ? "incomplete" : "completed", part(text, completion)));
    send(events, last);
    send(events, cut ? "response.incomplete" : "response.completed", "response", whole(completion));
  }

  private ObjectNode event(String type) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("type", type)
        .put("sequence_number", sequence++);
  }

  private ObjectNode inItem(String type) {
    return event(type).put("item_id", itemId()).put("output_index", 0).put("content_index", 0);
  }

  private void send(EventStream events, String type, String name, ObjectNode value) {
    ObjectNode event = event(type);
    event.set(name, value);
    send(events, event);
  }

  private static void send(EventStream events, ObjectNode event) {
    events.send(event.get("type").textValue(), event);
  }
}
