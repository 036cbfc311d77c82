package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The fields of requests and of answers, and docs/server.md, which lists them. */
class FieldsTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHATS = "/v1/chat/completions";
  private static final String RESPONSES = "/v1/responses";
  private static final String ASKED = "\"messages\": [{\"role\": \"user\", \"content\": \"int\"}]";

  @TempDir static Path dir;

  private static Path model;
  private static TestServer base;
  private static TestServer chat;

  @BeforeAll
  static void start() throws IOException {
    model = TestServer.model(dir, 256);
    base = new TestServer.Builder().start(model);
    chat = new TestServer.Builder().start(TestServer.chatModel(dir, 512));
  }

  @AfterAll
  static void stop() {
    base.close();
    chat.close();
  }

  private static JsonNode refused(TestServer server, String path, String body) throws IOException {
    HttpResponse<String> response = server.post(path, body);
    assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
    return TestServer.JSON.readTree(response.body()).get("error");
  }

  /** Names in the first column of the tables of docs/server.md, by the heading above them. */
  private static Map<String, Set<String>> documented() throws IOException {
    Pattern name = Pattern.compile("`([^`]+)`");
    Map<String, Set<String>> found = new HashMap<>();
    String heading = "";
    for (String line : Files.readAllLines(Path.of("..", "docs", "server.md"))) {
      if (line.startsWith("#")) {
        heading = line.replaceFirst("#+ ", "");
      } else if (line.startsWith("| `")) {
        Matcher names = name.matcher(line.split("\\|")[1]);
        while (names.find()) {
          found.computeIfAbsent(heading, _ -> new TreeSet<>()).add(names.group(1));
        }
      }
    }
    return found;
  }

  private static Set<String> names(String json, Consumer<Body> reader) {
    Body body = Body.parse(json.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    body.string("model");
    reader.accept(body);
    return new TreeSet<>(body.names());
  }

  @Test
  void theDocsListTheFieldsThatAreRead() throws IOException {
    Map<String, Set<String>> docs = documented();
    Set<String> shared = docs.get("Fields of every request that writes");
    try (ServedModel served =
        ServedModel.open("tiny", model, new TestServer.Builder().settings(), 64 << 20)) {
      Call call = new Call("", Long.MAX_VALUE);
      Map<String, Set<String>> read =
          Map.of(
              "POST /v1/completions",
              names("{\"prompt\": \"a\"}", body -> new Completions(body, served, call)),
              "POST /v1/chat/completions",
              names("{" + ASKED + "}", body -> new Chats(body, served, call)),
              "POST /v1/responses",
              names("{\"input\": \"a\"}", body -> new Responses(body, served, call)),
              "POST /v1/embeddings",
              names("{\"input\": \"a\"}", body -> new Embeddings(body, served, call)),
              "POST /tokenize",
              names("{" + ASKED + "}", body -> Tokenization.tokenize(body, served)),
              "POST /detokenize",
              names("{\"tokens\": [7]}", body -> Tokenization.detokenize(body, served)));
      read.forEach(
          (route, names) -> {
            Set<String> listed = new TreeSet<>(docs.get(route));
            if (names.contains("temperature")) {
              listed.addAll(shared);
            }
            assertThat(listed).as(route).isEqualTo(names);
          });
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"role\": \"user\"} | messages[0].content: expected a string or a list of parts",
        "{\"role\": \"user\", \"content\": null} | messages[0].content: expected a string",
        "{\"role\": \"assistant\", \"content\": null} | messages[0].content: expected a string",
        "{\"role\": \"tool\", \"tool_calls\": []} | messages[0].content: expected a string",
      })
  void aMessageHasAContentUnlessItIsACall(String message, String error) throws IOException {
    assertThat(refused(chat, CHATS, "{\"messages\": [" + message + "]}").get("message").textValue())
        .startsWith(error);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"user\": {\"a\": 1} | user: expected a string",
        "\"metadata\": \"a\" | metadata: expected an object",
        "\"logit_bias\": {\"01\": 100} | logit_bias: expected token ids from 0 to 319, found"
            + " \"01\"",
        "\"min_tokens\": 9, \"max_tokens\": 8 | min_tokens: expected at most the 8 of max_tokens",
        "\"return_token_ids\": true | return_token_ids: ids are not returned",
        "\"prompt_logprobs\": 1 | prompt_logprobs: use echo with logprobs",
      })
  void valuesAreChecked(String more, String error) throws IOException {
    assertThat(
            refused(base, COMPLETIONS, "{\"prompt\": \"a\", " + more + "}")
                .get("message")
                .textValue())
        .startsWith(error);
  }

  @Test
  void fieldsOfVllmAreTakenAtTheirDefaults() throws IOException {
    base.ok(
        COMPLETIONS,
        "{\"prompt\": \"a\", \"max_tokens\": 1, \"min_tokens\": 0, \"skip_special_tokens\": true,"
            + " \"add_special_tokens\": true, \"prompt_logprobs\": null, \"return_token_ids\":"
            + " false, \"user\": \"ann\", \"metadata\": {\"a\": \"b\"}}");
    base.ok(
        CHATS,
        "{"
            + ASKED
            + ", \"max_tokens\": 1, \"add_special_tokens\": false, \"continue_final_message\":"
            + " false}");
  }

  /** A strong bias would end each answer with its first token. */
  @Test
  void anAnswerHasTheTokensThatItMustHave() throws IOException {
    String body =
        "{\"prompt\": \"int\", \"temperature\": 0, \"max_tokens\": 20, \"logit_bias\": {\"0\":"
            + " 100, \"7\": 90}%s}";
    assertThat(base.ok(COMPLETIONS, body.formatted("")).at("/usage/completion_tokens").intValue())
        .isEqualTo(1);
    JsonNode five = base.ok(COMPLETIONS, body.formatted(", \"min_tokens\": 5"));
    assertThat(five.at("/usage/completion_tokens").intValue()).isEqualTo(6);
    assertThat(five.at("/choices/0/finish_reason").textValue()).isEqualTo("stop");
    JsonNode stopped =
        base.ok(COMPLETIONS, body.formatted(", \"min_tokens\": 3, \"stop_token_ids\": [7]"));
    assertThat(stopped.at("/usage/completion_tokens").intValue()).isEqualTo(4);
    JsonNode held =
        base.ok(COMPLETIONS, body.formatted(", \"min_tokens\": 5, \"guided_regex\": \"a{8,12}\""));
    assertThat(held.at("/choices/0/text").textValue()).matches("a{8,12}");
  }

  @Test
  void aLastMessageIsContinued() throws IOException {
    String spoken =
        "\"messages\": [{\"role\": \"user\", \"content\": \"int\"}, {\"role\": \"assistant\","
            + " \"content\": \"max(\"}]";
    String more = ", \"continue_final_message\": true, \"add_generation_prompt\": false";
    for (TestServer server : new TestServer[] {base, chat}) {
      JsonNode tokens = server.ok("/tokenize", "{" + spoken + more + "}").get("tokens");
      String text =
          server.ok("/detokenize", "{\"tokens\": " + tokens + "}").get("prompt").textValue();
      assertThat(text)
          .isEqualTo(server == chat ? "[user]int[assistant]max(" : "User: int\nAssistant: max(");
    }
    assertThat(
            refused(
                    chat,
                    CHATS,
                    "{"
                        + spoken
                        + ", \"continue_final_message\": true, \"add_generation_prompt\": true}")
                .get("param")
                .textValue())
        .isEqualTo("continue_final_message");
  }

  @Test
  void textsOfTokensAndConversationsAreTokenized() throws IOException {
    JsonNode answer = base.ok("/tokenize", "{\"prompt\": \"int é\", \"return_token_strs\": true}");
    assertThat(answer.get("token_strs")).hasSize(answer.get("count").intValue());
    assertThat(answer.get("token_strs").toString()).contains("bytes:\\\\xc3", "bytes:\\\\xa9");
    JsonNode tokens = chat.ok("/tokenize", "{" + ASKED + "}").get("tokens");
    assertThat(chat.ok("/detokenize", "{\"tokens\": " + tokens + "}").get("prompt").textValue())
        .isEqualTo("[user]int[assistant]");
    assertThat(refused(base, "/detokenize", "{\"tokens\": [7, 320]}").get("message").textValue())
        .isEqualTo("tokens[1]: expected a whole number from 0 to 319, found 320");
    assertThat(
            refused(base, "/tokenize", "{\"prompt\": \"a\", " + ASKED + "}")
                .get("param")
                .textValue())
        .isEqualTo("messages");
  }

  @Test
  void partsOfCharactersAreNamedByTheirBytes() throws IOException {
    JsonNode lists =
        base.ok(
                COMPLETIONS,
                "{\"prompt\": \"é\", \"echo\": true, \"logprobs\": 0, \"max_tokens\": 0}")
            .at("/choices/0/logprobs");
    assertThat(lists.get("tokens").get(0).textValue()).isEqualTo("bytes:\\xc3");
    assertThat(lists.get("tokens").get(1).textValue()).isEqualTo("bytes:\\xa9");
    JsonNode token =
        base.ok(
                CHATS,
                "{"
                    + ASKED
                    + ", \"max_tokens\": 1, \"temperature\": 0, \"logprobs\": true,"
                    + " \"logit_bias\": {\""
                    + base.ok("/tokenize", "{\"prompt\": \"é\"}").at("/tokens/0")
                    + "\": 100}}")
            .at("/choices/0/logprobs/content/0");
    assertThat(token.get("token").textValue()).isEqualTo("bytes:\\xc3");
    assertThat(token.get("bytes").toString()).isEqualTo("[195]");
  }

  @Test
  void aTranscriptsAnswerBeginsWithoutItsSpace() throws IOException {
    JsonNode tokens = base.ok("/tokenize", "{\"prompt\": \" a\"}").get("tokens");
    String body =
        "{%s, \"max_tokens\": 6, \"temperature\": 0, \"guided_regex\": \" a b\"%s}"
            .formatted(ASKED, "%s");
    assertThat(tokens).isNotEmpty();
    assertThat(base.ok(CHATS, body.formatted("")).at("/choices/0/message/content").textValue())
        .isEqualTo("a b");
    StringBuilder streamed = new StringBuilder();
    base.events(CHATS, body.formatted(", \"stream\": true"))
        .forEach(event -> streamed.append(event.at("/choices/0/delta/content").asText("")));
    assertThat(streamed.toString()).isEqualTo("a b");
    assertThat(chat.ok(CHATS, body.formatted("")).at("/choices/0/message/content").textValue())
        .isEqualTo(" a b");
  }

  @Test
  void toolsThatAreNotToBeCalledNeedNoTemplate() throws IOException {
    String tools =
        ", \"max_tokens\": 1, \"tools\": [{\"type\": \"function\", \"function\": {\"name\":"
            + " \"f\"}}]";
    base.ok(CHATS, "{" + ASKED + tools + ", \"tool_choice\": \"none\"}");
    assertThat(refused(base, CHATS, "{" + ASKED + tools + "}").get("param").textValue())
        .isEqualTo("tools");
  }

  @Test
  void aResponseSaysWhatItIs() throws IOException {
    String body = "{\"input\": \"int\", \"max_output_tokens\": 3%s}";
    JsonNode plain = chat.ok(RESPONSES, body.formatted(""));
    assertThat(plain.get("created_at").isIntegralNumber()).isTrue();
    assertThat(plain.get("tool_choice").textValue()).isEqualTo("auto");
    assertThat(plain.get("parallel_tool_calls").booleanValue()).isTrue();
    assertThat(plain.get("previous_response_id").isNull()).isTrue();
    assertThat(plain.get("truncation").textValue()).isEqualTo("disabled");
    assertThat(plain.at("/text/format/type").textValue()).isEqualTo("text");
    assertThat(plain.get("reasoning")).hasSize(2);
    assertThat(plain.at("/output/0/content/0/logprobs")).isEmpty();
    JsonNode full =
        chat.ok(
            RESPONSES,
            body.formatted(
                ", \"store\": true, \"metadata\": {\"a\": \"b\"}, \"top_logprobs\": 2,"
                    + " \"include\": [\"message.output_text.logprobs\"]"));
    assertThat(full.get("store").booleanValue()).isFalse(); // nothing is kept
    assertThat(full.at("/metadata/a").textValue()).isEqualTo("b");
    JsonNode logprobs = full.at("/output/0/content/0/logprobs");
    assertThat(logprobs).hasSize(full.at("/usage/output_tokens").intValue());
    assertThat(logprobs.get(0).get("top_logprobs")).hasSize(2);
    assertThat(
            refused(chat, RESPONSES, body.formatted(", \"include\": [\"thoughts\"]"))
                .get("param")
                .textValue())
        .isEqualTo("include");
  }

  @Test
  void aTextThatIsTooLongToBeReadHasNoAnswerInItsError() throws IOException {
    String ids = "[" + "7, ".repeat(300) + "7]";
    assertThat(
            refused(base, "/v1/embeddings", "{\"input\": \"" + "int ".repeat(400) + "\"}")
                .get("message")
                .textValue())
        .matches("the context is 256 tokens, found \\d+ of the input");
    assertThat(
            refused(base, "/v1/embeddings", "{\"input\": " + ids + "}").get("message").textValue())
        .isEqualTo("the context is 256 tokens, found 301 of the input");
  }
}
