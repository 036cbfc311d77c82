package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.OpenAIServiceException;
import com.openai.errors.RateLimitException;
import com.openai.errors.SseException;
import com.openai.errors.UnauthorizedException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionMessageFunctionToolCall;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionTokenLogprob;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.chat.completions.StructuredChatCompletion;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionChoice;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.embeddings.CreateEmbeddingResponse;
import com.openai.models.embeddings.EmbeddingCreateParams;
import com.openai.models.models.Model;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseStatus;
import com.openai.models.responses.ResponseStreamEvent;
import com.openai.models.responses.StructuredResponse;
import io.swagger.v3.oas.annotations.media.Schema;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Has OpenAI's own client for Java ask a server, and check every field of the answers. */
@Tag("slow")
class OpenAiClientTest {
  private static final String KEY = "secret-1";
  private static final ChatCompletionStreamOptions USAGE =
      ChatCompletionStreamOptions.builder().includeUsage(true).build();

  @TempDir static Path dir;

  private static TestServer server;
  private static OpenAIClient client;

  /**
   * Does not check, because OpenAI's own answers have nulls that the checks refuse: {@code
   * finish_reason} within a stream of completions, and the first score of an echo.
   */
  private static OpenAIClient lenient;

  /** A form of answers and of the arguments of a call. */
  @JsonClassDescription("Takes a number and a letter.")
  static final class Add {
    @Schema(minimum = "3", maximum = "40")
    public int n;

    public Letter s;

    enum Letter {
      x,
      y
    }

    private void check() {
      assertThat(n).isBetween(3, 40);
      assertThat(s).isNotNull();
    }
  }

  @BeforeAll
  static void start() throws IOException {
    TestServer.Builder builder = new TestServer.Builder();
    builder.keys = List.of(ApiKey.parse(KEY, "key 1"));
    server = builder.start(TestServer.chatModel(dir, 512));
    client = client(server, KEY);
    lenient = lenient(server);
  }

  @AfterAll
  static void stop() {
    client.close();
    lenient.close();
    server.close();
  }

  private static OpenAIClient client(TestServer server, String key) {
    return OpenAIOkHttpClient.builder()
        .baseUrl("http://127.0.0.1:" + server.port() + "/v1")
        .apiKey(key)
        .responseValidation(true)
        .maxRetries(0)
        .build();
  }

  private static OpenAIClient lenient(TestServer server) {
    return client(server, KEY).withOptions(options -> options.responseValidation(false));
  }

  private static CompletionCreateParams endless(int tokens) {
    return completion()
        .maxTokens(tokens)
        .putAdditionalBodyProperty("ignore_eos", JsonValue.from(true))
        .build();
  }

  private static CompletionCreateParams.Builder completion() {
    return CompletionCreateParams.builder()
        .model("tiny")
        .prompt("int max(int a")
        .maxTokens(12)
        .seed(5);
  }

  private static ChatCompletionCreateParams.Builder chat() {
    return chat(5);
  }

  private static ChatCompletionCreateParams.Builder chat(int seed) {
    return ChatCompletionCreateParams.builder()
        .model("tiny")
        .addSystemMessage("short")
        .addUserMessage("int max")
        .maxCompletionTokens(12)
        .putAdditionalBodyProperty("seed", JsonValue.from(seed));
  }

  private static String text(List<Completion> events, int index) {
    return events.stream()
        .flatMap(event -> event.choices().stream())
        .filter(choice -> choice.index() == index)
        .map(CompletionChoice::text)
        .collect(Collectors.joining());
  }

  @Test
  void completionsAndTheirStreamsAreRead() {
    Completion answer = client.completions().create(completion().logprobs(2).build());
    assertThat(answer.choices().getFirst().logprobs().orElseThrow().topLogprobs().orElseThrow())
        .hasSize(12);
    Completion whole =
        lenient.completions().create(completion().n(2).logprobs(2).echo(true).build());
    CompletionChoice.Logprobs lists = whole.choices().getFirst().logprobs().orElseThrow();
    assertThat(lists.tokenLogprobs().orElseThrow())
        .hasSameSizeAs(lists.tokens().orElseThrow())
        .hasSize((int) whole.usage().orElseThrow().promptTokens() + 12)
        .startsWith((Double) null)
        .last()
        .satisfies(last -> assertThat(last).isNegative());
    assertThat(whole.choices()).hasSize(2);
    assertThat(whole.choices().getFirst().text()).startsWith("int max(int a");
    assertThat(whole.choices().getFirst().finishReason())
        .isEqualTo(CompletionChoice.FinishReason.LENGTH);
    List<Completion> events;
    try (StreamResponse<Completion> stream =
        lenient
            .completions()
            .createStreaming(completion().n(2).echo(true).streamOptions(USAGE).build())) {
      events = stream.stream().toList();
    }
    assertThat(text(events, 0)).isEqualTo(whole.choices().get(0).text());
    assertThat(text(events, 1)).isEqualTo(whole.choices().get(1).text());
    assertThat(events.getLast().choices()).isEmpty();
    assertThat(events.getLast().usage().orElseThrow().totalTokens())
        .isEqualTo(whole.usage().orElseThrow().totalTokens());
  }

  @Test
  void tokensAreScored() {
    List<Long> ids = List.of(40L, 41L, 42L, 43L);
    CompletionChoice choice =
        lenient
            .completions()
            .create(
                completion()
                    .promptOfArrayOfTokens(ids)
                    .echo(true)
                    .logprobs(1)
                    .maxTokens(1)
                    .temperature(0)
                    .build())
            .choices()
            .getFirst();
    List<Double> scores = choice.logprobs().orElseThrow().tokenLogprobs().orElseThrow();
    assertThat(scores).hasSize(ids.size() + 1);
    assertThat(scores.subList(1, scores.size())).allSatisfy(x -> assertThat(x).isNegative());
  }

  private static ChatCompletion streamed(ChatCompletionCreateParams params) {
    ChatCompletionAccumulator whole = ChatCompletionAccumulator.create();
    try (StreamResponse<ChatCompletionChunk> stream =
        client.chat().completions().createStreaming(params)) {
      stream.stream().forEach(whole::accumulate);
    }
    return whole.chatCompletion();
  }

  @Test
  void chatsAndTheirStreamsAreRead() {
    ChatCompletion whole =
        client.chat().completions().create(chat().n(2).logprobs(true).topLogprobs(3).build());
    List<ChatCompletionTokenLogprob> tokens =
        whole.choices().getFirst().logprobs().orElseThrow().content().orElseThrow();
    assertThat(tokens).allSatisfy(token -> assertThat(token.topLogprobs()).hasSize(3));
    ChatCompletion streamed =
        streamed(chat().n(2).logprobs(true).topLogprobs(3).streamOptions(USAGE).build());
    for (int i = 0; i < 2; i++) {
      assertThat(streamed.choices().get(i).message().content())
          .isEqualTo(whole.choices().get(i).message().content())
          .isPresent();
      assertThat(streamed.choices().get(i).finishReason())
          .isEqualTo(whole.choices().get(i).finishReason());
      assertThat(streamed.choices().get(i).logprobs().orElseThrow().content())
          .isEqualTo(whole.choices().get(i).logprobs().orElseThrow().content());
    }
    assertThat(streamed.usage().orElseThrow().completionTokens())
        .isEqualTo(whole.usage().orElseThrow().completionTokens())
        .isPositive();
  }

  private static <E extends OpenAIServiceException> void fails(
      Class<E> type, String param, String code, CompletionCreateParams.Builder request) {
    E error = catchThrowableOfType(type, () -> client.completions().create(request.build()));
    assertThat(error).isNotNull();
    assertThat(error.param()).isEqualTo(Optional.ofNullable(param));
    assertThat(error.code()).contains(code);
    E streamed =
        catchThrowableOfType(
            type, () -> client.completions().createStreaming(request.build()).close());
    assertThat(streamed.param()).isEqualTo(error.param());
  }

  @Test
  void errorsAreTheClientsExceptions() {
    fails(BadRequestException.class, "temperature", "invalid_value", completion().temperature(-1));
    fails(
        BadRequestException.class,
        "prompt",
        "context_length_exceeded",
        completion().maxTokens(512));
    fails(BadRequestException.class, "suffix", "unsupported_parameter", completion().suffix("}"));
    fails(NotFoundException.class, "model", "model_not_found", completion().model("other"));
    BadRequestException nested =
        catchThrowableOfType(
            BadRequestException.class,
            () ->
                client
                    .chat()
                    .completions()
                    .create(chat().messages(Collections.emptyList()).build()));
    assertThat(nested.param()).contains("messages");
    assertThatThrownBy(() -> client.models().retrieve("other"))
        .isInstanceOf(NotFoundException.class);
    OpenAIClient stranger = client(server, "secret-2");
    UnauthorizedException refused =
        catchThrowableOfType(
            UnauthorizedException.class, () -> stranger.completions().create(completion().build()));
    stranger.close();
    assertThat(refused.code()).contains("invalid_api_key");
    assertThat(refused.param()).isEmpty();
  }

  @Test
  void aFullQueueIsItsExceptionAndAStreamThatIsClosedFreesItsPlace() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.sessions = 1;
    builder.queue = 0;
    Path model = TestServer.model(dir, 1 << 16);
    try (TestServer small = builder.start(model)) {
      OpenAIClient other = lenient(small);
      try (StreamResponse<Completion> stream =
          other.completions().createStreaming(endless(60_000))) {
        Iterator<Completion> events = stream.stream().iterator();
        assertThat(events.next().choices()).hasSize(1);
        RateLimitException refused =
            catchThrowableOfType(
                RateLimitException.class, () -> other.completions().create(completion().build()));
        assertThat(refused.code()).contains("rate_limit_exceeded");
        assertThat(refused.headers().values("Retry-After")).containsExactly("1");
      }
      String running = "jneox_sequences_running{model=\"tiny\"}";
      assertThat(TestServer.await(() -> small.metric(running) == 0)).isLessThan(2000);
      assertThat(small.metric("jneox_requests_total{endpoint=\"/v1/completions\",status=\"499\"}"))
          .isEqualTo(1);
      assertThat(other.completions().create(completion().build()).choices()).hasSize(1);
      other.close();
    }
  }

  @Test
  void anErrorWithinAStreamIsItsException() {
    TestServer.Builder builder = new TestServer.Builder();
    builder.timeout = Duration.ofSeconds(1);
    try (TestServer hasty = builder.start(TestServer.model(dir, 1 << 17))) {
      OpenAIClient other = lenient(hasty);
      CompletionCreateParams endless = endless(130_000);
      SseException error =
          catchThrowableOfType(
              SseException.class,
              () -> {
                try (StreamResponse<Completion> stream =
                    other.completions().createStreaming(endless)) {
                  stream.stream().forEach(event -> {});
                }
              });
      assertThat(error.code()).contains("timeout");
      SseException ofResponse =
          catchThrowableOfType(
              SseException.class,
              () -> {
                try (StreamResponse<ResponseStreamEvent> stream =
                    other
                        .responses()
                        .createStreaming(
                            response()
                                .maxOutputTokens(130_000)
                                .putAdditionalBodyProperty("ignore_eos", JsonValue.from(true))
                                .build())) {
                  stream.stream().forEach(event -> {});
                }
              });
      assertThat(ofResponse.code()).contains("timeout");
      other.close();
    }
  }

  @Test
  void embeddingsAreRead() {
    EmbeddingCreateParams.Builder params =
        EmbeddingCreateParams.builder()
            .model("tiny")
            .inputOfArrayOfStrings(List.of("int max", "static int a"));
    CreateEmbeddingResponse given = client.embeddings().create(params.build());
    assertThat(given.data()).hasSize(2);
    assertThat(given.data().get(1).embedding()).hasSize(32);
    assertThat(given.usage().promptTokens()).isPositive();
    for (EmbeddingCreateParams.EncodingFormat format :
        List.of(
            EmbeddingCreateParams.EncodingFormat.FLOAT,
            EmbeddingCreateParams.EncodingFormat.BASE64)) {
      CreateEmbeddingResponse same =
          client.embeddings().create(params.encodingFormat(format).build());
      for (int i = 0; i < 2; i++) {
        assertThat(same.data().get(i).embedding()).isEqualTo(given.data().get(i).embedding());
      }
    }
  }

  @Test
  void modelsAreListed() {
    assertThat(client.models().list().autoPager().stream().map(Model::id)).containsExactly("tiny");
    assertThat(client.models().retrieve("tiny").ownedBy()).isEqualTo("jneox");
  }

  private static ResponseCreateParams.Builder response() {
    return ResponseCreateParams.builder()
        .model("tiny")
        .instructions("short")
        .input("int max")
        .maxOutputTokens(12)
        .temperature(0);
  }

  private static String text(Response response) {
    return response.output().getFirst().asMessage().content().stream()
        .map(part -> part.asOutputText().text())
        .collect(Collectors.joining());
  }

  @Test
  void responsesAndTheirStreamsAreRead() {
    Response whole = client.responses().create(response().build());
    assertThat(whole.status()).contains(ResponseStatus.INCOMPLETE);
    assertThat(whole.usage().orElseThrow().outputTokens()).isEqualTo(12);
    assertThat(text(whole))
        .isEqualTo(
            client
                .chat()
                .completions()
                .create(chat().temperature(0).build())
                .choices()
                .getFirst()
                .message()
                .content()
                .orElseThrow());
    ResponseAccumulator accumulator = ResponseAccumulator.create();
    StringBuilder deltas = new StringBuilder();
    try (StreamResponse<ResponseStreamEvent> stream =
        client.responses().createStreaming(response().build())) {
      stream.stream()
          .peek(accumulator::accumulate)
          .forEach(event -> event.outputTextDelta().ifPresent(part -> deltas.append(part.delta())));
    }
    assertThat(text(accumulator.response())).isEqualTo(text(whole)).isEqualTo(deltas.toString());
    assertThat(accumulator.response().usage()).isEqualTo(whole.usage());
    BadRequestException refused =
        catchThrowableOfType(
            BadRequestException.class,
            () -> client.responses().create(response().previousResponseId("resp_1").build()));
    assertThat(refused.param()).contains("previous_response_id");
  }

  @Test
  void answersAreOfTheClassAskedFor() {
    int ended = 0;
    for (int seed = 0; seed < 8; seed++) {
      StructuredChatCompletion<Add> answer =
          client
              .chat()
              .completions()
              .create(
                  chat(seed)
                      .maxCompletionTokens(100)
                      .temperature(2)
                      .responseFormat(Add.class)
                      .build());
      if (answer
          .choices()
          .getFirst()
          .finishReason()
          .equals(ChatCompletion.Choice.FinishReason.STOP)) {
        ended++;
        answer.choices().getFirst().message().content().orElseThrow().check();
      }
    }
    assertThat(ended).isPositive();
    StructuredResponse<Add> response =
        client
            .responses()
            .create(
                response()
                    .maxOutputTokens(100)
                    .temperature(2)
                    .putAdditionalBodyProperty("seed", JsonValue.from(1))
                    .text(Add.class)
                    .build());
    assertThat(response.status()).contains(ResponseStatus.COMPLETED);
    response.output().getFirst().asMessage().content().getFirst().asOutputText().check();
  }

  private static ChatCompletionCreateParams.Builder calling() {
    return chat()
        .maxCompletionTokens(100)
        .temperature(2)
        .addTool(Add.class)
        .toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED);
  }

  private static ChatCompletionMessageFunctionToolCall call(ChatCompletion answer) {
    assertThat(answer.choices().getFirst().finishReason())
        .isEqualTo(ChatCompletion.Choice.FinishReason.TOOL_CALLS);
    return answer.choices().getFirst().message().toolCalls().orElseThrow().getFirst().asFunction();
  }

  @Test
  void toolsAreCalledAndTheirResultsAreRead() {
    ChatCompletion answer = client.chat().completions().create(calling().build());
    ChatCompletionMessageFunctionToolCall call = call(answer);
    assertThat(call.function().name()).isEqualTo("Add");
    call.function().arguments(Add.class).check();
    ChatCompletion streamed = streamed(calling().streamOptions(USAGE).build());
    assertThat(call(streamed).function().arguments()).isEqualTo(call.function().arguments());
    assertThat(call(streamed).id()).startsWith("call_");
    ChatCompletion next =
        client
            .chat()
            .completions()
            .create(
                calling()
                    .toolChoice(ChatCompletionToolChoiceOption.Auto.NONE)
                    .addMessage(answer.choices().getFirst().message())
                    .addMessage(
                        ChatCompletionToolMessageParam.builder()
                            .toolCallId(call.id())
                            .content("7")
                            .build())
                    .build());
    assertThat(next.usage().orElseThrow().promptTokens())
        .isGreaterThan(answer.usage().orElseThrow().promptTokens());
  }
}
