package dev.jneox.serve;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.infer.Completion;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.Token;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.io.InputException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Answers {@code POST /v1/chat/completions}, as OpenAI's API defines it. */
final class Chats {
  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool", "function");
  private static final TypeReference<Map<String, Object>> MAP = new TypeReference<>() {};
  private static final int MOST_MESSAGES = 10_000;
  private static final int MOST_TOP_LOGPROBS = 20;

  private final ServedModel model;
  private final Call call;
  private final GenerationOptions options;
  private final boolean logprobs;
  private final int topLogprobs;
  private final Tools tools;
  private final boolean goesOn;
  private final int[] prompt;
  private final int maxTokens;
  private final List<String> stop;
  private final long created = System.currentTimeMillis() / 1000;

  /** Reads a request. */
  Chats(Body body, ServedModel model, Call call) {
    this.model = model;
    this.call = call;
    List<Map<String, Object>> messages = messages(body);
    this.options = GenerationOptions.read(body, model);
    this.logprobs = body.flag("logprobs", false);
    OptionalInt top = body.integer("top_logprobs", 0, MOST_TOP_LOGPROBS);
    if (top.isPresent() && !logprobs) {
      throw ApiException.invalid("top_logprobs", "top_logprobs: expected only with logprobs: true");
    }
    this.topLogprobs = top.orElse(0);
    OptionalInt newer = body.integer("max_completion_tokens", 1, Integer.MAX_VALUE);
    OptionalInt older = body.integer("max_tokens", 1, Integer.MAX_VALUE);
    OptionalInt given = newer.isPresent() ? newer : older;
    this.tools = Tools.read(body, model);
    this.goesOn = body.flag("continue_final_message", false);
    String text = prompt(body, model, messages, tools);
    body.refuse("functions", "use tools");
    body.refuse("function_call", "use tool_choice");
    body.refuse("audio", "the models here write text");
    body.get("modalities");
    body.ignore("parallel_tool_calls", "reasoning_effort", "verbosity", "prediction");
    body.end();
    this.prompt = model.encodeWhole(text, "messages");
    this.stop = new ArrayList<>(options.stop());
    stop.addAll(model.chatPrompt().stop());
    int room = model.context() - Math.max(1, prompt.length);
    this.maxTokens = given.orElse(Math.max(1, room));
    Completions.check(Math.max(1, prompt.length), maxTokens, model.context(), "messages");
    options.checkLeast(maxTokens);
  }

  /**
   * Writes a conversation as the model gets it, by {@code add_generation_prompt}, {@code
   * continue_final_message} and {@code chat_template_kwargs}.
   */
  static String prompt(
      Body body, ServedModel model, List<Map<String, Object>> messages, Tools tools) {
    boolean goesOn = body.flag("continue_final_message", false);
    boolean begins = body.flag("add_generation_prompt", !goesOn);
    body.flag("add_special_tokens", false);
    Map<String, Object> variables =
        body.get("chat_template_kwargs")
            .map(
                value -> Body.MAPPER.convertValue(body.checked("chat_template_kwargs", value), MAP))
            .orElse(Map.of());
    if (goesOn && (begins || tools.forced())) {
      throw ApiException.invalid(
          "continue_final_message",
          "continue_final_message: expected without add_generation_prompt and without a tool_choice"
              + " that forces a call");
    }
    String text = write(model, messages, tools.definitions(), begins, variables, "messages");
    if (!goesOn) {
      return text + tools.prefix();
    }
    String last = String.valueOf(messages.getLast().get("content")).stripTrailing();
    int at = text.lastIndexOf(last);
    if (last.isEmpty() || at < 0) {
      throw ApiException.invalid(
          "continue_final_message",
          "continue_final_message: expected a last message with a text that the template writes");
    }
    return text.substring(0, at + last.length());
  }

  /**
   * Writes a conversation as the model gets it.
   *
   * @param param that an error names
   */
  static String write(
      ServedModel model,
      List<Map<String, Object>> messages,
      List<Map<String, Object>> tools,
      boolean begins,
      Map<String, Object> variables,
      String param) {
    try {
      return model.chatPrompt().write(messages, tools, begins, variables);
    } catch (InputException e) {
      throw ApiException.invalid(param, e.getMessage());
    }
  }

  boolean streamed() {
    return options.stream();
  }

  static List<Map<String, Object>> messages(Body body) {
    Optional<JsonNode> given = body.get("messages");
    if (given.isEmpty() || !given.get().isArray() || given.get().isEmpty()) {
      throw body.wrong(
          "messages", "a list of messages", given.orElse(JsonNodeFactory.instance.missingNode()));
    }
    if (given.get().size() > MOST_MESSAGES) {
      throw body.invalid(
          "messages", "at most " + MOST_MESSAGES + " messages", given.get().size() + " of them");
    }
    List<Map<String, Object>> messages = new ArrayList<>();
    for (JsonNode item : given.get()) {
      messages.add(message(body.object("messages[" + messages.size() + "]", item)));
    }
    return messages;
  }

  /** Reads a message. */
  static Map<String, Object> message(Body message) {
    Map<String, Object> read = new LinkedHashMap<>();
    String role =
        message
            .string("role")
            .orElseThrow(
                () -> message.wrong("role", "a string", JsonNodeFactory.instance.missingNode()));
    if (!ROLES.contains(role)) {
      throw message.invalid("role", "one of system, developer, user, assistant, tool", role);
    }
    read.put("role", role);
    boolean calls =
        role.equals("assistant")
            && (message.get("tool_calls").isPresent() || message.get("function_call").isPresent());
    String content = content(message, calls);
    read.put("content", content);
    message.get("tool_calls").ifPresent(list -> read.put("tool_calls", calls(message, list)));
    message.string("name").ifPresent(name -> read.put("name", name));
    message.string("tool_call_id").ifPresent(id -> read.put("tool_call_id", id));
    message.string("reasoning_content").ifPresent(text -> read.put("reasoning_content", text));
    message.ignore("refusal", "annotations", "audio", "function_call");
    message.end();
    return read;
  }

  /** Reads calls of an earlier answer. Templates want their arguments as values, not as text. */
  private static List<Object> calls(Body message, JsonNode given) {
    if (!given.isArray()) {
      throw message.wrong("tool_calls", "a list of calls", given);
    }
    List<Object> calls = new ArrayList<>();
    for (JsonNode item : given) {
      String name = "tool_calls[" + calls.size() + "]";
      message.object(name, item);
      Map<String, Object> call = Body.MAPPER.convertValue(message.checked(name, item), MAP);
      JsonNode arguments = item.path("function").path("arguments");
      if (call.get("function") instanceof Map<?, ?> function && arguments.isTextual()) {
        Map<Object, Object> changed = new LinkedHashMap<>(function);
        changed.put("arguments", value(arguments.textValue()));
        call.put("function", changed);
      }
      calls.add(call);
    }
    return calls;
  }

  /** Returns the object that a text is in JSON, or the text. */
  private static Object value(String text) {
    try {
      return Body.MAPPER.readValue(text, MAP);
    } catch (JsonProcessingException e) {
      return text;
    }
  }

  /** Reads a text, or the texts of a list of parts. */
  private static String content(Body message, boolean mayBeAbsent) {
    Optional<JsonNode> content = message.get("content");
    if (content.isEmpty()) {
      if (!mayBeAbsent) {
        throw message.wrong(
            "content", "a string or a list of parts", JsonNodeFactory.instance.missingNode());
      }
      return "";
    }
    if (content.get().isTextual()) {
      return message.text("content", content.get());
    }
    if (!content.get().isArray()) {
      throw message.wrong("content", "a string or a list of parts", content.get());
    }
    StringBuilder text = new StringBuilder();
    int index = 0;
    for (JsonNode item : content.get()) {
      String name = "content[" + index++ + "]";
      Body part = message.object(name, item);
      String type = part.string("type").orElse("");
      if (!type.equals("text") && !type.equals("input_text") && !type.equals("output_text")) {
        throw message.invalid(
            name + ".type", "\"text\": the models here read text", '"' + type + '"');
      }
      text.append(part.string("text").orElse(""));
    }
    return text.toString();
  }

  private List<GenerationRequest> requests() {
    List<GenerationRequest> requests = new ArrayList<>();
    Optional<TokenConstraint> called = tools.constraint(model);
    for (int choice = 0; choice < options.choices(); choice++) {
      GenerationRequest.Builder builder =
          called.isPresent()
              ? options.request(prompt, maxTokens, choice, called)
              : options.request(prompt, maxTokens, choice);
      if (logprobs) {
        builder.logprobs(topLogprobs);
      }
      requests.add(builder.build());
    }
    return requests;
  }

  /** Writes the answers and returns the body of the response. */
  ObjectNode answer() {
    List<Completion> answers =
        new Answers(model, call, options.choices()).run(requests(), stop, Answers.Listener.NONE);
    ObjectNode root = head("chat.completion");
    ArrayNode choices = root.putArray("choices");
    for (Completion completion : answers) {
      ObjectNode choice = choices.addObject().put("index", choices.size() - 1);
      Tools.Parsed parsed = tools.parse(begun(String.valueOf(completion.text())));
      boolean calls = !parsed.calls().isEmpty();
      ObjectNode message = choice.putObject("message").put("role", "assistant");
      message.put("content", calls && parsed.text().isEmpty() ? null : parsed.text());
      message.putNull("refusal");
      if (calls) {
        ArrayNode list = message.putArray("tool_calls");
        parsed.calls().forEach(call -> list.add(call.json()));
      }
      choice.set("logprobs", logprobs ? logprobs(completion.generation().tokens()) : null);
      choice.put("finish_reason", calls ? "tool_calls" : Completions.reason(completion.reason()));
    }
    root.set("usage", usage(answers));
    return root;
  }

  private static ObjectNode usage(List<Completion> answers) {
    Completion first = answers.getFirst();
    return Completions.usage(
        first.usage().promptTokens(),
        first.usage().reusedTokens(),
        answers.stream().mapToLong(answer -> answer.usage().newTokens()).sum());
  }

  private ObjectNode head(String object) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("id", "chatcmpl-" + call.id())
        .put("object", object)
        .put("created", created)
        .put("model", model.id());
  }

  /** Returns the beginning of an answer, without the space after {@code Assistant:}. */
  private String begun(String text) {
    return goesOn ? text : model.chatPrompt().answer(text);
  }

  private ObjectNode logprobs(List<Token> tokens) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.set("content", LogprobLists.content(model.texts(), tokens));
    return root.putNull("refusal");
  }

  /** Writes the answers as they grow. */
  void stream(EventStream events) {
    int n = options.choices();
    for (int i = 0; i < n; i++) {
      ObjectNode delta = JsonNodeFactory.instance.objectNode();
      events.send(chunk(i, delta.put("role", "assistant").put("content", ""), null, null));
    }
    List<Completion> answers =
        new Answers(model, call, options.choices())
            .run(
                requests(),
                stop,
                new Answers.Listener() {
                  private final List<List<Token>> pending = new ArrayList<>();
                  private final StringBuilder[] held = new StringBuilder[n]; // may be a call
                  private final boolean[] written = new boolean[n];

                  {
                    for (int i = 0; i < n; i++) {
                      pending.add(new ArrayList<>());
                      held[i] = new StringBuilder();
                    }
                  }

                  @Override
                  public void piece(int answer, TextPiece piece) {
                    if (logprobs) {
                      pending.get(answer).add(piece.token());
                    }
                    String next = written[answer] ? piece.text() : begun(piece.text());
                    written[answer] |= !piece.text().isEmpty();
                    String text = held[answer].append(next).toString();
                    if (!text.isEmpty() && !tools.mayBeCall(text)) {
                      held[answer].setLength(0);
                      text(answer, text);
                    }
                  }

                  private void text(int answer, String text) {
                    ObjectNode delta = JsonNodeFactory.instance.objectNode().put("content", text);
                    events.send(chunk(answer, delta, take(answer), null));
                  }

                  private @Nullable ObjectNode take(int answer) {
                    List<Token> tokens = pending.get(answer);
                    if (tokens.isEmpty()) {
                      return null;
                    }
                    ObjectNode lists = logprobs(tokens);
                    tokens.clear();
                    return lists;
                  }

                  @Override
                  public void end(int answer, Completion completion) {
                    Tools.Parsed parsed = tools.parse(held[answer].toString());
                    if (!parsed.text().isEmpty()) {
                      text(answer, parsed.text());
                    }
                    boolean calls = !parsed.calls().isEmpty();
                    for (int i = 0; i < parsed.calls().size(); i++) {
                      for (ObjectNode part : parsed.calls().get(i).parts(i)) {
                        ObjectNode delta = JsonNodeFactory.instance.objectNode();
                        delta.putArray("tool_calls").add(part);
                        events.send(chunk(answer, delta, null, null));
                      }
                    }
                    ObjectNode delta = JsonNodeFactory.instance.objectNode();
                    String reason = calls ? "tool_calls" : Completions.reason(completion.reason());
                    events.send(chunk(answer, delta, take(answer), reason));
                  }
                });
    if (options.streamUsage()) {
      ObjectNode last = head("chat.completion.chunk");
      last.putArray("choices");
      last.set("usage", usage(answers));
      events.send(last);
    }
    events.done();
  }

  private ObjectNode chunk(
      int index, ObjectNode delta, @Nullable ObjectNode logprobs, @Nullable String reason) {
    ObjectNode root = head("chat.completion.chunk");
    ObjectNode choice = root.putArray("choices").addObject().put("index", index);
    choice.set("delta", delta);
    choice.set("logprobs", logprobs);
    choice.put("finish_reason", reason);
    if (options.streamUsage()) {
      root.putNull("usage");
    }
    return root;
  }
}
