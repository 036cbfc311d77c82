package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Structured output, tool calls and templates, responses and embeddings, over HTTP. */
class FormsAndToolsTest {
  private static final String CHATS = "/v1/chat/completions";
  private static final String SCHEMA =
      "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\", \"minimum\": 3,"
          + " \"maximum\": 40}, \"s\": {\"enum\": [\"x\", \"y\"]}}, \"required\": [\"n\", \"s\"],"
          + " \"additionalProperties\": false}";
  private static final String TOOLS =
      "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"add\", \"parameters\": "
          + SCHEMA
          + "}}]";

  @TempDir static Path dir;

  private static TestServer base;
  private static TestServer chat;

  @BeforeAll
  static void start() throws IOException {
    base = new TestServer.Builder().start(TestServer.model(dir, 256));
    chat = new TestServer.Builder().start(TestServer.chatModel(dir, 512));
  }

  @AfterAll
  static void stop() {
    base.close();
    chat.close();
  }

  private static String ask(long seed, String more) {
    return "{\"messages\": [{\"role\": \"user\", \"content\": \"int\"}], \"max_tokens\": 200,"
        + " \"temperature\": 2, \"seed\": "
        + seed
        + ", "
        + more
        + "}";
  }

  private static void holds(JsonNode value) {
    assertThat(value.get("n").isIntegralNumber()).isTrue();
    assertThat(value.get("n").intValue()).isBetween(3, 40);
    assertThat(value.get("s").textValue()).isIn("x", "y");
    assertThat(value).hasSize(2);
  }

  @Test
  void everyAnswerThatEndsByItselfHasItsForm() throws IOException {
    int ended = 0;
    for (int seed = 0; seed < 20; seed++) {
      String format =
          "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"p\","
              + " \"strict\": true, \"schema\": "
              + SCHEMA
              + "}}";
      JsonNode choice = base.ok(CHATS, ask(seed, format)).at("/choices/0");
      if (choice.get("finish_reason").textValue().equals("stop")) {
        ended++;
        holds(TestServer.JSON.readTree(choice.at("/message/content").textValue()));
      }
    }
    assertThat(ended).isPositive();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"grammar\": {\"type\": \"regex\", \"value\": \"[ab]{2}-[0-9]{1,3}\"}",
        "\"response_format\": {\"type\": \"regex\", \"pattern\": \"[ab]{2}-[0-9]{1,3}\"}",
        "\"guided_regex\": \"[ab]{2}-[0-9]{1,3}\"",
        "\"guided_choice\": [\"aa-1\", \"bb-22\"]",
        "\"structured_outputs\": {\"regex\": \"[ab]{2}-[0-9]{1,3}\"}",
        "\"structured_outputs\": {\"choice\": [\"aa-1\", \"bb-22\"]}",
      })
  void completionsHaveForms(String form) throws IOException {
    for (int seed = 0; seed < 5; seed++) {
      String body =
          "{\"prompt\": \"int\", \"max_tokens\": 60, \"temperature\": 2, \"seed\": "
              + seed
              + ", "
              + form
              + "}";
      JsonNode choice = base.ok("/v1/completions", body).at("/choices/0");
      assertThat(choice.get("finish_reason").textValue()).isEqualTo("stop");
      assertThat(choice.get("text").textValue()).matches("[ab]{2}-[0-9]{1,3}");
    }
  }

  @Test
  void aJsonObjectIsOne() throws IOException {
    JsonNode choice =
        base.ok(CHATS, ask(1, "\"response_format\": {\"type\": \"json_object\"}")).at("/choices/0");
    assertThat(choice.at("/message/content").textValue()).startsWith("{");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"response_format\": {\"type\": \"yaml\"} | response_format.type",
        "\"response_format\": {\"type\": \"json_schema\"} | response_format.schema",
        "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"type\":"
            + " \"thing\"}}} | response_format",
        "\"grammar\": {\"type\": \"regex\", \"value\": \"(a\"} | grammar",
        "\"guided_regex\": \"a\", \"guided_choice\": [\"b\"] | guided_choice",
        "\"grammar\": \"[ab]{3}\" | grammar",
        "\"grammar\": {\"regex\": \"[ab]{3}\"} | grammar",
        "\"structured_outputs\": {\"regex\": \"a\", \"choice\": [\"b\"]} |"
            + " structured_outputs.choice",
        "\"structured_outputs\": {\"grammar\": \"root ::= a\"} | structured_outputs.grammar",
        "\"structured_outputs\": {\"json\": \"{\"} | structured_outputs.json",
        "\"json_schema\": {\"type\": \"thing\"} | json_schema",
        "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\"}}] | tools",
      })
  void aFormThatIsNoneIsRefused(String more, String param) throws IOException {
    HttpResponse<String> response = base.post(CHATS, ask(1, more));
    assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
    assertThat(TestServer.JSON.readTree(response.body()).at("/error/param").textValue())
        .isEqualTo(param);
  }

  @Test
  void aForcedCallHasArgumentsOfItsSchema() throws IOException {
    for (int seed = 0; seed < 8; seed++) {
      JsonNode choice =
          chat.ok(CHATS, ask(seed, TOOLS + ", \"tool_choice\": \"required\"")).at("/choices/0");
      if (choice.get("finish_reason").textValue().equals("length")) {
        continue;
      }
      assertThat(choice.get("finish_reason").textValue()).isEqualTo("tool_calls");
      assertThat(choice.at("/message/content").isNull()).isTrue();
      JsonNode call = choice.at("/message/tool_calls/0");
      assertThat(call.at("/function/name").textValue()).isEqualTo("add");
      holds(TestServer.JSON.readTree(call.at("/function/arguments").textValue()));
    }
    String named =
        TOOLS + ", \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"add\"}}";
    List<JsonNode> events = chat.events(CHATS, ask(3, named + ", \"stream\": true"));
    JsonNode last = events.getLast().at("/choices/0");
    assertThat(last.get("finish_reason").textValue()).isEqualTo("tool_calls");
    assertThat(last.get("delta")).isEmpty();
    JsonNode begun = events.get(events.size() - 3).at("/choices/0/delta/tool_calls/0");
    assertThat(begun.get("index").intValue()).isZero();
    assertThat(begun.get("id").textValue()).startsWith("call_");
    assertThat(begun.at("/function/name").textValue()).isEqualTo("add");
    assertThat(begun.at("/function/arguments").textValue()).isEmpty();
    JsonNode rest = events.get(events.size() - 2).at("/choices/0");
    assertThat(rest.get("finish_reason").isNull()).isTrue();
    assertThat(rest.at("/delta/tool_calls/0/index").intValue()).isZero();
    holds(TestServer.JSON.readTree(rest.at("/delta/tool_calls/0/function/arguments").textValue()));
  }

  @Test
  void aTemplateThatCannotBeRenderedIsAnErrorOfTheMessages() throws IOException {
    String body =
        "{\"max_tokens\": 2, \"messages\": [{\"role\": \"assistant\", \"content\": null,"
            + " \"tool_calls\": [{\"id\": \"c\", \"type\": \"function\", \"function\": {\"name\":"
            + " \"add\", \"arguments\": \"%s\"}}]}]}";
    chat.ok(CHATS, body.formatted("{\\\"a\\\": 1}"));
    HttpResponse<String> broken = chat.post(CHATS, body.replace("\"function\": {", "\"f\": {"));
    assertThat(broken.statusCode()).isEqualTo(400);
    assertThat(TestServer.JSON.readTree(broken.body()).at("/error/param").textValue())
        .isEqualTo("messages");
    assertThat(TestServer.JSON.readTree(chat.get("/tokenizer_info").body()).get("chat_template"))
        .isEqualTo(TestServer.JSON.getNodeFactory().textNode(TestServer.TEMPLATE));
  }

  @Test
  void callsAreReadFromWhatModelsWrite() {
    JsonNode schema = TestServer.JSON.createObjectNode();
    for (Tools.Format format : Tools.Format.values()) {
      Tools tools =
          new Tools(List.of(java.util.Map.of()), java.util.Map.of("f", schema), false, format);
      String written =
          switch (format) {
            case TAGS ->
                "Let me see. <tool_call>\n"
                    + "{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n"
                    + "</tool_call><tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
            case LIST ->
                "Let me see. [TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"x\": 1}},"
                    + " {\"name\": \"f\", \"arguments\": {}}]";
            case OBJECT -> "{\"name\": \"f\", \"parameters\": {\"x\": 1}}";
          };
      Tools.Parsed parsed = tools.parse(written);
      assertThat(parsed.calls().getFirst().arguments()).isEqualTo("{\"x\":1}");
      assertThat(parsed.calls()).hasSize(format == Tools.Format.OBJECT ? 1 : 2);
      assertThat(parsed.text()).isEqualTo(format == Tools.Format.OBJECT ? "" : "Let me see.");
      for (String text : List.of("", "Hello", "a <b", "{\"name\": \"g\"}", "<tool_call>{\"na")) {
        assertThat(tools.parse(text)).isEqualTo(new Tools.Parsed(text, List.of()));
      }
    }
  }

  @Test
  void responsesAreThoseOfTheChat() throws IOException {
    String body =
        "{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_text\", \"text\":"
            + " \"int\"}]}], \"max_output_tokens\": 9, \"temperature\": 1, \"seed\": 4%s}";
    JsonNode whole = chat.ok("/v1/responses", body.formatted(""));
    String text = whole.at("/output/0/content/0/text").textValue();
    String same =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"int\"}], \"max_tokens\": 9,"
            + " \"temperature\": 1, \"seed\": 4}";
    assertThat(text).isEqualTo(chat.ok(CHATS, same).at("/choices/0/message/content").textValue());
    assertThat(whole.at("/usage/output_tokens").intValue()).isPositive();
    HttpResponse<String> streamed =
        chat.post("/v1/responses", body.formatted(", \"stream\": true"));
    StringBuilder deltas = new StringBuilder();
    List<String> types = new ArrayList<>();
    int number = 0;
    for (String event : streamed.body().split("\n\n")) {
      JsonNode data = TestServer.JSON.readTree(event.substring(event.indexOf("data: ") + 6));
      assertThat(event).startsWith("event: " + data.get("type").textValue() + "\n");
      assertThat(data.get("sequence_number").intValue()).isEqualTo(number++);
      types.add(data.get("type").textValue());
      deltas.append(data.path("delta").asText());
    }
    assertThat(deltas.toString()).isEqualTo(text);
    assertThat(types)
        .startsWith("response.created", "response.in_progress", "response.output_item.added")
        .last()
        .asString()
        .matches("response\\.(completed|incomplete)");
  }

  @Test
  void embeddingsHaveLengthOneAndDependOnTheTextAlone() throws IOException {
    JsonNode two =
        base.ok("/v1/embeddings", "{\"input\": [\"int max\", \"static int a\"]}").get("data");
    JsonNode one = base.ok("/v1/embeddings", "{\"input\": \"static int a\"}").get("data");
    assertThat(two.get(1).get("embedding")).isEqualTo(one.get(0).get("embedding"));
    assertThat(two.get(0).get("embedding")).isNotEqualTo(two.get(1).get("embedding"));
    double square = 0;
    for (JsonNode x : one.get(0).get("embedding")) {
      square += x.doubleValue() * x.doubleValue();
    }
    assertThat(square).isCloseTo(1, within(1e-5));
    JsonNode packed =
        base.ok("/v1/embeddings", "{\"input\": \"static int a\", \"encoding_format\": \"base64\"}");
    ByteBuffer bytes =
        ByteBuffer.wrap(Base64.getDecoder().decode(packed.at("/data/0/embedding").textValue()))
            .order(ByteOrder.LITTLE_ENDIAN);
    for (JsonNode x : one.get(0).get("embedding")) {
      assertThat(bytes.getFloat()).isEqualTo(x.floatValue());
    }
    assertThat(base.post("/v1/embeddings", "{\"input\": [\"\"]}").statusCode()).isEqualTo(400);
  }
}
