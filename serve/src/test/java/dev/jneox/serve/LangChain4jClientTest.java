package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.AuthenticationException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.model.StreamingResponseHandler;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonIntegerSchema;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiEmbeddingModel;
import dev.langchain4j.model.openai.OpenAiLanguageModel;
import dev.langchain4j.model.openai.OpenAiModelCatalog;
import dev.langchain4j.model.openai.OpenAiResponsesChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingLanguageModel;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.Response;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Has LangChain4j's client of OpenAI's API ask a server. */
@Tag("slow")
class LangChain4jClientTest {
  private static final String KEY = "secret-1";
  private static final List<ChatMessage> MESSAGES =
      List.of(SystemMessage.from("short"), UserMessage.from("int max"));
  private static final JsonObjectSchema SCHEMA =
      JsonObjectSchema.builder()
          .addProperty("b", JsonIntegerSchema.builder().build())
          .addEnumProperty("a", List.of("x", "y"))
          .addBooleanProperty("c")
          .required("a", "c")
          .build();

  @TempDir static Path dir;

  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    TestServer.Builder builder = new TestServer.Builder();
    builder.keys = List.of(ApiKey.parse(KEY, "key 1"));
    server = builder.start(TestServer.chatModel(dir, 1 << 14));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  private static String url() {
    return "http://127.0.0.1:" + server.port() + "/v1";
  }

  private static OpenAiChatModel.OpenAiChatModelBuilder chat() {
    return OpenAiChatModel.builder()
        .baseUrl(url())
        .apiKey(KEY)
        .modelName("tiny")
        .seed(5)
        .maxRetries(0);
  }

  private static OpenAiStreamingChatModel.OpenAiStreamingChatModelBuilder streaming() {
    return OpenAiStreamingChatModel.builder().baseUrl(url()).apiKey(KEY).modelName("tiny").seed(5);
  }

  /** Keeps what a handler hears. */
  private static class Heard
      implements StreamingChatResponseHandler, StreamingResponseHandler<String> {
    final StringBuilder text = new StringBuilder();
    final CompletableFuture<ChatResponse> end = new CompletableFuture<>();
    final CompletableFuture<Response<String>> plain = new CompletableFuture<>();

    @Override
    public void onPartialResponse(String part) {
      text.append(part);
    }

    @Override
    public void onNext(String token) {
      text.append(token);
    }

    @Override
    public void onCompleteResponse(ChatResponse response) {
      end.complete(response);
    }

    @Override
    public void onComplete(Response<String> response) {
      plain.complete(response);
    }

    @Override
    public void onError(Throwable error) {
      end.completeExceptionally(error);
      plain.completeExceptionally(error);
    }

    ChatResponse await() throws Exception {
      return end.get(1, TimeUnit.MINUTES);
    }
  }

  @Test
  void chatsAndTheirStreamsAreRead() throws Exception {
    ChatRequest request = ChatRequest.builder().messages(MESSAGES).maxOutputTokens(12).build();
    ChatResponse whole = chat().build().chat(request);
    assertThat(whole.aiMessage().text()).isNotEmpty();
    assertThat(whole.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(whole.tokenUsage().outputTokenCount()).isEqualTo(12);
    Heard heard = new Heard();
    streaming().build().chat(request, heard);
    assertThat(heard.await().aiMessage().text())
        .isEqualTo(whole.aiMessage().text())
        .isEqualTo(heard.text.toString());
    assertThat(heard.await().finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(heard.await().tokenUsage().totalTokenCount())
        .isEqualTo(whole.tokenUsage().totalTokenCount());
    assertThat(
            OpenAiResponsesChatModel.builder()
                .baseUrl(url())
                .apiKey(KEY)
                .modelName("tiny")
                .temperature(0.0)
                .maxOutputTokens(12)
                .build()
                .chat(MESSAGES)
                .aiMessage()
                .text())
        .isEqualTo(chat().temperature(0.0).maxTokens(12).build().chat(MESSAGES).aiMessage().text());
  }

  @Test
  void aStreamThatIsCancelledFreesItsPlace() throws Exception {
    Heard heard =
        new Heard() {
          @Override
          public void onPartialResponse(PartialResponse part, PartialResponseContext context) {
            text.append(part.text());
            context.streamingHandle().cancel();
          }
        };
    streaming()
        .customParameters(Map.of("ignore_eos", true))
        .build()
        .chat(ChatRequest.builder().messages(MESSAGES).maxOutputTokens(16_000).build(), heard);
    String ended = "jneox_requests_total{endpoint=\"/v1/chat/completions\",status=\"499\"}";
    TestServer.await(() -> metric(ended) == 1);
    assertThat(metric("jneox_sequences_running{model=\"tiny\"}")).isZero();
    assertThat(heard.text).isNotEmpty();
  }

  private static double metric(String name) {
    return server
        .get("/metrics", "Authorization", "Bearer " + KEY)
        .body()
        .lines()
        .filter(line -> line.startsWith(name + " "))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
        .findFirst()
        .orElse(Double.NaN);
  }

  @Test
  void completionsAndTheirStreamsAreRead() throws Exception {
    Response<String> whole =
        OpenAiLanguageModel.builder()
            .baseUrl(url())
            .apiKey(KEY)
            .modelName("tiny")
            .temperature(0.0)
            .maxRetries(0)
            .build()
            .generate("int max(int a");
    assertThat(whole.content()).isNotEmpty();
    assertThat(whole.tokenUsage().outputTokenCount()).isPositive();
    Heard heard = new Heard();
    OpenAiStreamingLanguageModel.builder()
        .baseUrl(url())
        .apiKey(KEY)
        .modelName("tiny")
        .temperature(0.0)
        .build()
        .generate("int max(int a", heard);
    Response<String> streamed = heard.plain.get(1, TimeUnit.MINUTES);
    assertThat(streamed.content()).isEqualTo(whole.content()).isEqualTo(heard.text.toString());
    assertThat(streamed.tokenUsage()).isEqualTo(whole.tokenUsage());
    assertThat(streamed.finishReason()).isEqualTo(whole.finishReason());
  }

  @Test
  void embeddingsAndModelsAreRead() {
    OpenAiEmbeddingModel model =
        OpenAiEmbeddingModel.builder()
            .baseUrl(url())
            .apiKey(KEY)
            .modelName("tiny")
            .maxRetries(0)
            .build();
    var two =
        model.embedAll(List.of(TextSegment.from("int max"), TextSegment.from("static int a")));
    assertThat(two.content()).hasSize(2);
    assertThat(two.content().get(1)).isEqualTo(model.embed("static int a").content());
    assertThat(two.content().get(0).vector()).hasSize(32);
    assertThat(two.tokenUsage().inputTokenCount()).isPositive();
    assertThat(OpenAiModelCatalog.builder().baseUrl(url()).apiKey(KEY).build().listModels())
        .singleElement()
        .satisfies(found -> assertThat(found.name()).isEqualTo("tiny"));
  }

  private static void holds(String json) throws IOException {
    JsonNode value = TestServer.JSON.readTree(json);
    assertThat(value.get("a").textValue()).isIn("x", "y");
    assertThat(value.get("c").isBoolean()).isTrue();
  }

  @Test
  void answersHaveTheirSchema() throws Exception {
    ResponseFormat format =
        ResponseFormat.builder()
            .type(ResponseFormatType.JSON)
            .jsonSchema(JsonSchema.builder().name("p").rootElement(SCHEMA).build())
            .build();
    for (boolean strict : new boolean[] {true, false}) {
      ChatResponse answer =
          chat()
              .strictJsonSchema(strict)
              .temperature(1.5)
              .build()
              .chat(ChatRequest.builder().messages(MESSAGES).responseFormat(format).build());
      assertThat(answer.finishReason()).isEqualTo(FinishReason.STOP);
      holds(answer.aiMessage().text());
    }
  }

  @Test
  void toolsAreCalledAndTheirResultsAreRead() throws Exception {
    ToolSpecification tool =
        ToolSpecification.builder().name("add").description("Adds.").parameters(SCHEMA).build();
    ChatRequest request =
        ChatRequest.builder()
            .messages(MESSAGES)
            .toolSpecifications(tool)
            .toolChoice(ToolChoice.REQUIRED)
            .build();
    ChatResponse answer = chat().temperature(1.5).build().chat(request);
    assertThat(answer.finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
    ToolExecutionRequest call = answer.aiMessage().toolExecutionRequests().getFirst();
    assertThat(call.name()).isEqualTo("add");
    holds(call.arguments());
    Heard heard = new Heard();
    streaming().temperature(1.5).build().chat(request, heard);
    ToolExecutionRequest streamed = heard.await().aiMessage().toolExecutionRequests().getFirst();
    assertThat(streamed.name()).isEqualTo("add");
    assertThat(streamed.arguments()).isEqualTo(call.arguments());
    assertThat(heard.await().finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
    ChatResponse next =
        chat()
            .build()
            .chat(
                ChatRequest.builder()
                    .messages(
                        MESSAGES.get(0),
                        MESSAGES.get(1),
                        answer.aiMessage(),
                        ToolExecutionResultMessage.from(call, "7"))
                    .toolSpecifications(tool)
                    .maxOutputTokens(5)
                    .build());
    assertThat(next.tokenUsage().inputTokenCount())
        .isGreaterThan(answer.tokenUsage().inputTokenCount());
  }

  @Test
  void errorsAreTheClientsExceptions() throws Exception {
    assertThatThrownBy(() -> chat().apiKey("secret-2").build().chat("int"))
        .isInstanceOf(AuthenticationException.class)
        .hasMessageContaining("invalid_api_key");
    assertThatThrownBy(() -> chat().modelName("other").build().chat("int"))
        .isInstanceOf(ModelNotFoundException.class);
    assertThatThrownBy(() -> chat().temperature(-1.0).build().chat("int"))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("temperature");
    Heard heard = new Heard();
    streaming().temperature(-1.0).build().chat("int", heard);
    assertThat(heard.end)
        .failsWithin(1, TimeUnit.MINUTES)
        .withThrowableOfType(java.util.concurrent.ExecutionException.class)
        .withCauseInstanceOf(InvalidRequestException.class);
  }
}
