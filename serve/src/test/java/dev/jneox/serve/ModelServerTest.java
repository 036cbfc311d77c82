package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.infer.Engine;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Scorer;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelServerTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHATS = "/v1/chat/completions";
  private static final int CONTEXT = 128;

  @TempDir static Path dir;

  private static Path model;
  private static TestServer server;

  @BeforeAll
  static void start() {
    model = TestServer.model(dir, CONTEXT);
    server = new TestServer.Builder().start(model);
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static String completion(String more) {
    return "{\"model\": \"tiny\", \"prompt\": \"int max(int a\", \"seed\": 5, \"ignore_eos\": true"
        + (more.isEmpty() ? "" : ", ")
        + more
        + "}";
  }

  private static String chat(String more) {
    return "{\"messages\": [{\"role\": \"user\", \"content\": \"int max\"}], \"seed\": 5,"
        + " \"ignore_eos\": true, \"max_tokens\": 12"
        + (more.isEmpty() ? "" : ", ")
        + more
        + "}";
  }

  private static JsonNode error(HttpResponse<String> response, int status) throws IOException {
    assertThat(response.statusCode()).as(response.body()).isEqualTo(status);
    JsonNode root = TestServer.JSON.readTree(response.body());
    assertThat(fields(root)).containsExactly("error");
    assertThat(fields(root.get("error"))).containsExactly("code", "message", "param", "type");
    assertThat(root.at("/error/message").asText()).isNotBlank();
    assertThat(response.headers().firstValue("X-Request-Id")).isPresent();
    return root.get("error");
  }

  private static TreeSet<String> fields(JsonNode node) {
    TreeSet<String> names = new TreeSet<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  private static List<JsonNode> list(JsonNode node) {
    return StreamSupport.stream(node.spliterator(), false).toList();
  }

  @Test
  void completionsHaveOpenAisForm() throws IOException {
    JsonNode root = server.ok(COMPLETIONS, completion(""));
    assertThat(fields(root))
        .containsExactly("choices", "created", "id", "model", "object", "usage");
    assertThat(root.get("object").asText()).isEqualTo("text_completion");
    assertThat(root.get("id").asText()).startsWith("cmpl-");
    assertThat(root.get("model").asText()).isEqualTo("tiny");
    assertThat(root.at("/choices/0/finish_reason").asText()).isEqualTo("length");
    assertThat(root.at("/choices/0/text").asText()).isNotEmpty();
    assertThat(root.at("/choices/0/logprobs").isNull()).isTrue();
    int prompt = server.ok("/tokenize", "{\"prompt\": \"int max(int a\"}").get("count").asInt();
    assertThat(root.at("/usage/prompt_tokens").asInt()).isEqualTo(prompt);
    assertThat(root.at("/usage/completion_tokens").asInt()).isEqualTo(16);
    assertThat(root.at("/usage/total_tokens").asInt()).isEqualTo(prompt + 16);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "\"n\": 3",
        "\"echo\": true",
        "\"logprobs\": 2",
        "\"echo\": true, \"logprobs\": 1"
      })
  void aStreamHasTheSameText(String more) throws IOException {
    JsonNode whole = server.ok(COMPLETIONS, completion(more));
    List<JsonNode> events =
        server.events(
            COMPLETIONS,
            completion(
                "\"stream\": true, \"stream_options\": {\"include_usage\": true}"
                    + (more.isEmpty() ? "" : ", " + more)));
    for (int i = 0; i < whole.get("choices").size(); i++) {
      StringBuilder text = new StringBuilder();
      List<String> tokens = new ArrayList<>();
      String reason = "";
      for (JsonNode event : events) {
        JsonNode choice = event.at("/choices/0");
        if (choice.isObject() && choice.get("index").asInt() == i) {
          text.append(choice.get("text").asText());
          list(choice.at("/logprobs/tokens")).forEach(token -> tokens.add(token.asText()));
          reason = choice.get("finish_reason").asText();
        }
      }
      JsonNode choice = whole.at("/choices/" + i);
      assertThat(text.toString()).isEqualTo(choice.get("text").asText());
      assertThat(tokens)
          .isEqualTo(list(choice.at("/logprobs/tokens")).stream().map(JsonNode::asText).toList());
      assertThat(reason).isEqualTo("length");
    }
    assertThat(events.getLast().get("choices")).isEmpty();
    assertThat(events.getLast().at("/usage/completion_tokens"))
        .isEqualTo(whole.at("/usage/completion_tokens"));
  }

  @Test
  void chatsHaveOpenAisForm() throws IOException {
    JsonNode root = server.ok(CHATS, chat("\"logprobs\": true, \"top_logprobs\": 2"));
    assertThat(root.get("object").asText()).isEqualTo("chat.completion");
    assertThat(root.at("/choices/0/message/role").asText()).isEqualTo("assistant");
    assertThat(root.at("/choices/0/logprobs/content").size())
        .isEqualTo(root.at("/usage/completion_tokens").asInt());
    for (JsonNode token : root.at("/choices/0/logprobs/content")) {
      assertThat(token.get("top_logprobs")).hasSize(2);
      for (JsonNode top : token.get("top_logprobs")) {
        if (top.get("token").equals(token.get("token"))) {
          assertThat(top.get("logprob")).isEqualTo(token.get("logprob")); // to the last bit
        }
      }
    }
    StringBuilder text = new StringBuilder();
    List<JsonNode> events = server.events(CHATS, chat("\"stream\": true"));
    events.forEach(event -> text.append(event.at("/choices/0/delta/content").asText("")));
    assertThat(text.toString()).isEqualTo(root.at("/choices/0/message/content").asText());
    assertThat(events.getFirst().at("/choices/0/delta/role").asText()).isEqualTo("assistant");
  }

  @Test
  void seedsAndAnswersRepeat() throws IOException {
    JsonNode three = server.ok(COMPLETIONS, completion("\"n\": 3"));
    assertThat(server.ok(COMPLETIONS, completion("\"n\": 3")).get("choices"))
        .isEqualTo(three.get("choices"));
    assertThat(three.at("/choices/0/text")).isNotEqualTo(three.at("/choices/1/text"));
    // The likeliest of three.
    JsonNode best = server.ok(COMPLETIONS, completion("\"best_of\": 3, \"n\": 1"));
    assertThat(list(three.get("choices")).stream().map(c -> c.get("text")).toList())
        .contains(best.at("/choices/0/text"));
    assertThat(best.at("/usage/completion_tokens").asInt()).isEqualTo(48);
  }

  @Test
  void aRequestMayHaveMoreAnswersThanPlaces() throws IOException {
    TestServer.Builder small = new TestServer.Builder();
    small.sessions = 2;
    small.queue = 1;
    try (TestServer other = small.start(model)) {
      JsonNode many = other.ok(COMPLETIONS, completion("\"n\": 20, \"max_tokens\": 3"));
      assertThat(many.get("choices"))
          .isEqualTo(
              server.ok(COMPLETIONS, completion("\"n\": 20, \"max_tokens\": 3")).get("choices"));
    }
    String prompts = "[" + "\"a\", ".repeat(99) + "\"a\"]";
    error(server.post(COMPLETIONS, "{\"prompt\": " + prompts + ", \"n\": 41}"), 400);
  }

  @Test
  void echoedScoresAreThoseOfTheScorer() throws IOException {
    int[] ids;
    float[] expected;
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED);
        Engine engine = loaded.engine(Scorer.settings(loaded.packed()).withThreads(1))) {
      ids = loaded.tokenizer().encode("static int max(int a, int b)");
      expected = new Scorer(engine).logProbabilities(ids);
    }
    JsonNode lists =
        server
            .ok(
                COMPLETIONS,
                "{\"prompt\": \"static int max(int a, int b)\", \"echo\": true, \"logprobs\": 5,"
                    + " \"max_tokens\": 0}")
            .at("/choices/0/logprobs");
    assertThat(lists.get("token_logprobs")).hasSize(ids.length);
    assertThat(lists.at("/token_logprobs/0").isNull()).isTrue();
    for (int i = 1; i < ids.length; i++) {
      assertThat((float) lists.get("token_logprobs").get(i).asDouble()).isEqualTo(expected[i - 1]);
      JsonNode top = lists.get("top_logprobs").get(i).get(lists.get("tokens").get(i).asText());
      assertThat(top).isEqualTo(lists.get("token_logprobs").get(i));
    }
  }

  /** What lm-evaluation-harness sends and reads. */
  @Test
  void echoedIdsHaveAnEntryEachAndOneMoreIsDrawn() throws IOException {
    int[][] prompts = {{40, 41, 42, 43, 44}, {7}, {300, 0, 60, 60}};
    JsonNode choices =
        server
            .ok(
                COMPLETIONS,
                "{\"prompt\": "
                    + TestServer.JSON.writeValueAsString(prompts)
                    + ", \"echo\": true, \"logprobs\": 1, \"max_tokens\": 1, \"temperature\": 0}")
            .get("choices");
    assertThat(choices).hasSize(prompts.length);
    try (LanguageModel loaded = LanguageModel.open(model, Precision.STORED);
        Engine engine = loaded.engine(Scorer.settings(loaded.packed()).withThreads(1))) {
      for (int p = 0; p < prompts.length; p++) {
        JsonNode lists = choices.get(p).get("logprobs");
        float[] expected = new Scorer(engine).logProbabilities(prompts[p]);
        for (String list : List.of("tokens", "token_logprobs", "top_logprobs", "text_offset")) {
          assertThat(lists.get(list)).as(list).hasSize(prompts[p].length + 1);
        }
        assertThat(lists.at("/token_logprobs/0").isNull()).isTrue();
        assertThat(lists.at("/top_logprobs/0").isNull()).isTrue();
        for (int i = 1; i <= prompts[p].length; i++) {
          JsonNode score = lists.get("token_logprobs").get(i);
          if (i < prompts[p].length) {
            assertThat(score.doubleValue()).isEqualTo(expected[i - 1]);
          }
          // The likeliest, and the token itself.
          JsonNode top = lists.get("top_logprobs").get(i);
          assertThat(top.size()).isBetween(1, 2);
          assertThat(top.get(lists.get("tokens").get(i).textValue())).isEqualTo(score);
          list(top)
              .forEach(
                  x -> assertThat(x.doubleValue()).isGreaterThanOrEqualTo(score.doubleValue()));
        }
        assertThat(lists.get("top_logprobs").get(prompts[p].length)).hasSize(1); // greedy
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    // prompt, max_tokens, echo, answered
    "128, 1, true, true",
    "129, 0, true, true",
    "129, 1, true, false",
    "130, 0, true, false",
    "127, 2, true, false",
    "126, 2, true, true",
    "127, 1, false, true",
    "128, 1, false, false",
    "128, 0, false, true",
    "129, 0, false, false",
  })
  void anEchoOfAtMostOneNewTokenTakesOneTokenMore(
      int prompt, int maxTokens, boolean echo, boolean answered) throws IOException {
    String body =
        "{\"prompt\": [%s7], \"max_tokens\": %d, \"echo\": %s, \"ignore_eos\": true%s}"
            .formatted("7, ".repeat(prompt - 1), maxTokens, echo, echo ? ", \"logprobs\": 1" : "");
    HttpResponse<String> response = server.post(COMPLETIONS, body);
    if (answered) {
      assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
      JsonNode root = TestServer.JSON.readTree(response.body());
      assertThat(root.at("/usage/prompt_tokens").intValue()).isEqualTo(prompt);
      assertThat(root.at("/usage/completion_tokens").intValue()).isEqualTo(maxTokens);
      if (echo) {
        assertThat(root.at("/choices/0/logprobs/token_logprobs")).hasSize(prompt + maxTokens);
      }
    } else {
      assertThat(error(response, 400).get("code").textValue()).isEqualTo("context_length_exceeded");
    }
  }

  @Test
  void aStopStringEndsTheText() throws IOException {
    String text = server.ok(COMPLETIONS, completion("")).at("/choices/0/text").asText();
    String stop = text.substring(text.length() / 2, text.length() / 2 + 1);
    JsonNode cut =
        server.ok(COMPLETIONS, completion("\"stop\": " + TestServer.JSON.writeValueAsString(stop)));
    assertThat(cut.at("/choices/0/text").asText()).isEqualTo(text.substring(0, text.indexOf(stop)));
    assertThat(cut.at("/choices/0/finish_reason").asText()).isEqualTo("stop");
  }

  @Test
  void thePromptMayFillTheContext() throws IOException {
    String ids = "[" + "7, ".repeat(CONTEXT - 1) + "7]";
    JsonNode full =
        server.ok(
            COMPLETIONS,
            "{\"prompt\": " + ids + ", \"echo\": true, \"logprobs\": 0," + " \"max_tokens\": 1}");
    assertThat(full.at("/usage/completion_tokens").asInt()).isEqualTo(1);
    JsonNode error =
        error(server.post(COMPLETIONS, "{\"prompt\": " + ids + ", \"max_tokens\": 2}"), 400);
    assertThat(error.get("code").asText()).isEqualTo("context_length_exceeded");
    assertThat(error.get("message").asText())
        .contains("the context is 128 tokens, found 130: 128 of the prompt and max_tokens 2");
    JsonNode nothing = server.ok(COMPLETIONS, "{\"prompt\": " + ids + ", \"max_tokens\": 0}");
    assertThat(nothing.at("/choices/0/text").asText()).isEmpty();
    assertThat(nothing.at("/usage/completion_tokens").asInt()).isZero();
  }

  @Test
  void longListsOfTokensAreRefusedBeforeTheyAreDecoded() throws IOException {
    String ids = "[" + "7,".repeat(1 << 16) + "7]";
    assertThat(
            error(server.post("/detokenize", "{\"tokens\": " + ids + "}"), 400)
                .get("message")
                .asText())
        .isEqualTo("tokens: expected at most 65536 token ids, found 65537 of them");
    JsonNode error =
        error(server.post(COMPLETIONS, "{\"echo\": true, \"prompt\": " + ids + "}"), 400);
    assertThat(error.get("code").asText()).isEqualTo("context_length_exceeded");
    assertThat(error.get("message").asText())
        .isEqualTo("the context is 128 tokens, found 65537 of the prompt");
  }

  @Test
  void whatDoesNotFitTheMemoryIsRefusedByName() throws IOException {
    TestServer.Builder small = new TestServer.Builder();
    small.kvBytes = 1 << 15;
    try (TestServer other = small.start(model)) {
      JsonNode error = error(other.post(COMPLETIONS, completion("\"max_tokens\": 100")), 400);
      assertThat(error.get("message").asText()).contains("memory for keys and values");
      other.ok(COMPLETIONS, completion("\"max_tokens\": 4"));
    }
  }

  @Test
  void modelsAreListed() throws IOException {
    JsonNode list = TestServer.JSON.readTree(server.get("/v1/models").body());
    assertThat(list.at("/data/0/id").asText()).isEqualTo("tiny");
    assertThat(TestServer.JSON.readTree(server.get("/v1/models/tiny").body()))
        .isEqualTo(list.at("/data/0"));
    assertThat(error(server.get("/v1/models/other"), 404).get("code").asText())
        .isEqualTo("model_not_found");
    assertThat(
            error(server.post(COMPLETIONS, "{\"model\": \"other\"}"), 404).get("message").asText())
        .isEqualTo("The model 'other' does not exist here: there is tiny");
  }

  @Test
  void textsAndTokensAreTranslated() throws IOException {
    JsonNode tokens = server.ok("/tokenize", "{\"prompt\": \"int é\"}").get("tokens");
    assertThat(server.ok("/detokenize", "{\"tokens\": " + tokens + "}").get("prompt").asText())
        .isEqualTo("int é");
    assertThat(server.get("/tokenizer_info").statusCode()).isEqualTo(200);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/v1/completions | 'hello' | body: line 1, column 1: expected JSON in UTF-8, found hello",
        "/v1/completions | '{\"prompt\": \"a\", }' | found the character }",
        "/v1/completions | '{\"prompt\": ' | found the end of it",
        "/v1/completions | '{}' | prompt: expected a string",
        "/v1/completions | '[]' | expected a JSON object",
        "/v1/completions | '' | expected a JSON object",
        "/v1/completions | '{\"prompt\": {}}' | prompt: expected a string",
        "/v1/completions | '{\"prompt\": \"\\ud800\"}' | lone surrogate",
        "/v1/completions | '{\"prompt\": \"\", \"max_tokens\": 1e99}' | max_tokens: expected a"
            + " whole number",
        "/v1/completions | '{\"prompt\": \"\", \"max_tokens\": 1e1000000000}' | 2147483647,"
            + " found a number beyond 1e308",
        "/v1/completions | '{\"prompt\": \"\", \"max_token\": 1}' | did you mean max_tokens?",
        "/v1/completions | '{\"prompt\": \"\", \"n\": 0}' | n: expected a whole number from 1 to"
            + " 128",
        "/v1/completions | '{\"prompt\": \"a\", \"prompt\": \"b\"}' | the field prompt twice",
        "/v1/completions | '{\"prompt\": [320]}' | prompt[0]: expected a whole number from 0 to"
            + " 319",
        "/v1/chat/completions | '{}' | messages: expected a list of messages",
        "/v1/chat/completions | '{\"messages\": [{}]}' | messages[0].role: expected a string",
        "/tokenize | '{}' | prompt: expected a string",
        "/detokenize | '{\"tokens\": [-1]}' | tokens[0]: expected a whole number"
      })
  void badBodiesAreRefusedByName(String path, String body, String message) throws IOException {
    assertThat(error(server.post(path, body), 400).get("message").asText()).contains(message);
  }

  @Test
  void onlyANearMissIsTakenForASlip() throws IOException {
    for (String name : List.of("big_tokens", "foo", "guided_grammar")) {
      assertThat(
              error(server.post(COMPLETIONS, completion("\"" + name + "\": 1")), 400)
                  .get("message")
                  .asText())
          .isEqualTo("unknown parameter: " + name);
    }
    assertThat(
            error(
                    server.post(
                        CHATS,
                        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\", \"foo\": 1}]}"),
                    400)
                .get("message")
                .asText())
        .isEqualTo("unknown parameter: messages[0].foo");
    assertThat(
            error(server.post(COMPLETIONS, completion("\"tempreature\": 1")), 400)
                .get("message")
                .asText())
        .endsWith("did you mean temperature?");
  }

  @Test
  void wrongPathsMethodsAndTypesAreRefused() throws IOException {
    assertThat(error(server.get("/nothing"), 404).get("message").asText())
        .isEqualTo("no such URL: GET /nothing");
    HttpResponse<String> wrong = server.get(COMPLETIONS);
    assertThat(error(wrong, 405).get("message").asText())
        .isEqualTo("/v1/completions takes POST, found GET");
    assertThat(wrong.headers().firstValue("Allow")).contains("POST");
    error(server.post("/v1/models", "{}"), 405);
    try (RawClient client = server.connect()) {
      client.write("HEAD /v1/completions HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(client.readHead().status()).isEqualTo(405);
      client.write("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n");
      client.write("Content-Length: 2\r\n\r\n{}");
      RawClient.Reply reply = client.read();
      assertThat(reply.status()).isEqualTo(415);
      assertThat(reply.body()).contains("expected application/json, found text/plain");
    }
  }

  @Test
  void aLargeBodyIsRefused() throws IOException {
    try (RawClient client = server.connect()) {
      client.write(RawClient.post(COMPLETIONS, " ".repeat((1 << 20) + 1)));
      RawClient.Reply reply = client.read();
      assertThat(reply.status()).isEqualTo(413);
      assertThat(TestServer.JSON.readTree(reply.body()).at("/error/type").asText())
          .isEqualTo("invalid_request_error");
    }
    try (RawClient client = server.connect()) {
      client.write(
          "POST /tokenize HTTP/1.1\r\n"
              + "Host: localhost\r\n"
              + "Content-Type: application/json\r\n"
              + "Transfer-Encoding: chunked\r\n\r\n");
      client.write("100001\r\n" + " ".repeat(0x100001) + "\r\n0\r\n\r\n");
      RawClient.Reply reply = client.read();
      assertThat(reply.status()).isEqualTo(413);
      assertThat(TestServer.JSON.readTree(reply.body()).at("/error/message").asText())
          .isEqualTo("the body is over 1.0 MB (--max-body)");
    }
  }

  @Test
  void requestIdsAreKept() {
    HttpResponse<String> given = server.get("/v1/models", "X-Request-Id", "mine-1");
    assertThat(given.headers().firstValue("X-Request-Id")).contains("mine-1");
    HttpResponse<String> made = server.get("/v1/models", "X-Request-Id", "no good");
    assertThat(made.headers().firstValue("X-Request-Id").orElseThrow()).matches("[0-9a-f]{32}");
  }
}
