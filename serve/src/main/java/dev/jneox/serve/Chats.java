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
import dev.jneox.infer.Token.Candidate;
import dev.jneox.infer.TokenConstraint;
import java.nio.charset.StandardCharsets;
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
    boolean goOn = body.flag("add_generation_prompt", true);
    this.tools = Tools.read(body, model);
    Map<String, Object> variables =
        body.get("chat_template_kwargs")
            .map(
                value -> Body.MAPPER.convertValue(body.checked("chat_template_kwargs", value), MAP))
            .orElse(Map.of());
    body.refuse("functions", "use tools");
    body.refuse("function_call", "use tool_choice");
    body.refuse("audio", "the models here write text");
    body.get("modalities");
    body.ignore("parallel_tool_calls", "reasoning_effort", "verbosity", "prediction");
    body.end();
    ChatPrompt writer = model.chatPrompt();
    String text = writer.write(messages, tools.definitions(), goOn, variables) + tools.prefix();
    this.prompt = model.encodeWhole(text, "messages");
    this.stop = new ArrayList<>(options.stop());
    stop.addAll(writer.stop());
    int room = model.context() - Math.max(1, prompt.length);
    this.maxTokens = given.orElse(Math.max(1, room));
    Completions.check(Math.max(1, prompt.length), maxTokens, model.context(), "messages");
  }

  boolean streamed() {
    return options.stream();
  }

  private static List<Map<String, Object>> messages(Body body) {
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
    String content = content(message);
    read.put("content", content);
    message.get("tool_calls").ifPresent(calls -> read.put("tool_calls", calls(message, calls)));
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
  private static String content(Body message) {
    Optional<JsonNode> content = message.get("content");
    if (content.isEmpty()) {
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
      GenerationRequest.Builder builder = options.request(prompt, maxTokens, choice);
      called.ifPresent(builder::constraint);
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
      Tools.Parsed parsed = tools.parse(String.valueOf(completion.text()));
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

  private ObjectNode logprobs(List<Token> tokens) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    ArrayNode content = root.putArray("content");
    for (Token token : tokens) {
      ObjectNode entry = entry(content.addObject(), token.id(), token.logProb());
      ArrayNode top = entry.putArray("top_logprobs");
      for (Candidate candidate : token.top()) {
        entry(top.addObject(), candidate.id(), candidate.logProb());
      }
    }
    root.putNull("refusal");
    return root;
  }

  private ObjectNode entry(ObjectNode entry, int id, double logProb) {
    String text = model.texts().of(id);
    entry.put("token", text).put("logprob", LogprobLists.rounded(logProb));
    if (model.texts().length(id) == 0) {
      return entry.putNull("bytes");
    }
    ArrayNode bytes = entry.putArray("bytes");
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      bytes.add(b & 0xFF);
    }
    return entry;
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
                    String text = held[answer].append(piece.text()).toString();
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
                    ObjectNode delta = JsonNodeFactory.instance.objectNode();
                    boolean calls = !parsed.calls().isEmpty();
                    if (calls) {
                      ArrayNode list = delta.putArray("tool_calls");
                      parsed
                          .calls()
                          .forEach(call -> list.add(call.json().put("index", list.size())));
                    }
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
