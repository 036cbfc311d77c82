package dev.jneox.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.Jneox;
import dev.jneox.Options;
import dev.jneox.TextRequest;
import dev.jneox.convert.SyntheticModel;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.infer.Completion;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Vocabulary;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.Dtype;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.StreamingResponseHandler;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.Response;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JneoxModelsTest {
  private static final List<ChatMessage> MESSAGES =
      List.of(
          SystemMessage.from("Be brief."),
          UserMessage.from("int max"),
          AiMessage.from("(int a)"),
          UserMessage.from("return"));

  private static final String PROMPT =
      "System: Be brief.\nUser: int max\nAssistant: (int a)\nUser: return\nAssistant:";

  @TempDir static Path dir;

  private static Jneox model;

  @BeforeAll
  static void openModel() {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("static int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(dir.resolve("tokenizer.json"));
    ModelSpec spec = ModelSpec.neox(320, 64, 2, 4, 512).withVocabulary(new Vocabulary(320, 300, 0));
    new HfFolderWriter(dir.resolve("model"), spec, Dtype.F32)
        .tokenizer(dir.resolve("tokenizer.json"))
        .write(new SyntheticModel(dir, spec, 0.3, 0.3, Dtype.F32, 1, null));
    model = Jneox.open(dir.resolve("model"), Options.defaults().withSessions(2));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ChatRequest.Builder request() {
    return ChatRequest.builder().messages(MESSAGES);
  }

  /** Keeps what a handler hears. */
  private static class Heard implements StreamingChatResponseHandler {
    final StringBuilder text = new StringBuilder();
    final CompletableFuture<ChatResponse> end = new CompletableFuture<>();
    int parts;

    @Override
    public void onPartialResponse(PartialResponse part, PartialResponseContext context) {
      parts++;
      text.append(part.text());
    }

    @Override
    public void onCompleteResponse(ChatResponse response) {
      end.complete(response);
    }

    @Override
    public void onError(Throwable error) {
      end.completeExceptionally(error);
    }

    ChatResponse await() throws Exception {
      return end.get(1, TimeUnit.MINUTES);
    }
  }

  @Test
  void aChatIsThePromptOfItsTurns() {
    TextRequest same = TextRequest.of(PROMPT).withMaxTokens(20).withStop("\nUser:");
    Completion expected = model.complete(same);
    ChatResponse response = new JneoxChatModel(model).chat(request().maxOutputTokens(20).build());
    assertThat(response.aiMessage().text()).isEqualTo(expected.text()).isNotEmpty();
    assertThat(response.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(response.tokenUsage().inputTokenCount())
        .isEqualTo(model.tokenizer().encode(PROMPT).length);
    assertThat(response.tokenUsage().outputTokenCount()).isEqualTo(20);
  }

  @Test
  void optionsReachTheRequestAndDefaultsFillTheRest() {
    TextRequest defaults = TextRequest.of("").withSeed(5).withTopK(7).withStop("x");
    TextRequest found =
        Chat.request(
            request().temperature(0.5).topP(0.25).topK(3).maxOutputTokens(9).build(), defaults);
    assertThat(found.prompt()).isEqualTo(PROMPT);
    assertThat(found.sampler())
        .isEqualTo(defaults.sampler().withTemperature(0.5).withTopP(0.25).withTopK(3).withSeed(5));
    assertThat(found.maxTokens()).isEqualTo(9);
    assertThat(found.stop()).containsExactly("x", "\nUser:");
    assertThat(Chat.request(request().stopSequences(List.of("y")).build(), defaults).stop())
        .containsExactly("y", "\nUser:");
    assertThat(Chat.request(request().build(), defaults).sampler()).isEqualTo(defaults.sampler());
  }

  @Test
  void aStopSequenceEndsTheAnswer() {
    JneoxChatModel chat = new JneoxChatModel(model);
    String text = chat.chat(request().build()).aiMessage().text();
    String stop = text.substring(5, 8);
    ChatResponse response = chat.chat(request().stopSequences(List.of(stop)).build());
    assertThat(response.aiMessage().text()).isEqualTo(text.substring(0, text.indexOf(stop)));
    assertThat(response.finishReason()).isEqualTo(FinishReason.STOP);
  }

  @Test
  void whatIsNotSupportedIsRefusedByName() {
    Map<String, UnaryOperator<ChatRequest.Builder>> refused =
        Map.of(
            "modelName", r -> r.modelName("other"),
            "frequencyPenalty", r -> r.frequencyPenalty(0.1),
            "presencePenalty", r -> r.presencePenalty(0.1),
            "toolChoice", r -> r.toolChoice(ToolChoice.AUTO),
            "responseFormat", r -> r.responseFormat(ResponseFormat.JSON),
            "toolSpecifications",
                r -> r.toolSpecifications(ToolSpecification.builder().name("f").build()),
            "content of type IMAGE",
                r -> r.messages(UserMessage.from(ImageContent.from("http://127.0.0.1/a.png"))));
    refused.forEach(
        (name, option) -> {
          ChatRequest request = option.apply(request()).build();
          assertThatThrownBy(() -> new JneoxChatModel(model).chat(request))
              .isInstanceOf(UnsupportedFeatureException.class)
              .hasMessage("JNeoX does not support " + name);
          assertThatThrownBy(() -> new JneoxStreamingChatModel(model).chat(request, new Heard()))
              .isInstanceOf(UnsupportedFeatureException.class);
        });
    assertThatThrownBy(() -> new JneoxChatModel(model).chat(request().topP(2.0).build()))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("top");
  }

  @Test
  void theStreamedPartsAreTheAnswer() throws Exception {
    TextRequest defaults = TextRequest.of("").withTemperature(1).withSeed(3);
    ChatResponse expected = new JneoxChatModel(model, defaults).chat(request().build());
    Heard heard = new Heard();
    new JneoxStreamingChatModel(model, defaults).chat(request().build(), heard);
    ChatResponse response = heard.await();
    assertThat(response.aiMessage().text()).isEqualTo(expected.aiMessage().text());
    assertThat(heard.text).hasToString(expected.aiMessage().text());
    assertThat(heard.parts).isGreaterThan(5);
    assertThat(response.finishReason()).isEqualTo(expected.finishReason());
    assertThat(response.tokenUsage()).isEqualTo(expected.tokenUsage());
  }

  @Test
  void aCancelledAnswerEndsAndIsSilent() throws Exception {
    long before = model.metrics().tokens();
    CompletableFuture<Thread> reader = new CompletableFuture<>();
    Heard heard =
        new Heard() {
          @Override
          public void onPartialResponse(PartialResponse part, PartialResponseContext context) {
            super.onPartialResponse(part, context);
            context.streamingHandle().cancel();
            reader.complete(Thread.currentThread());
          }
        };
    new JneoxStreamingChatModel(model).chat(request().maxOutputTokens(300).build(), heard);
    assertThat(reader.get(1, TimeUnit.MINUTES).join(Duration.ofMinutes(1))).isTrue();
    assertThat(heard.parts).isEqualTo(1);
    assertThat(heard.end).isNotDone();
    awaitIdle();
    assertThat(model.metrics().tokens() - before).isLessThan(200);
  }

  @Test
  void whatAHandlerThrowsReachesItAndEndsTheAnswer() throws Exception {
    Heard heard =
        new Heard() {
          @Override
          public void onPartialResponse(PartialResponse part, PartialResponseContext context) {
            throw new IllegalStateException("enough");
          }
        };
    new JneoxStreamingChatModel(model).chat(request().maxOutputTokens(300).build(), heard);
    assertThatThrownBy(heard::await).hasRootCauseMessage("enough");
    awaitIdle();
  }

  @Test
  void anAnswerThatIsAskedForLaterCanBeCancelled() throws Exception {
    JneoxChatModel chat = new JneoxChatModel(model);
    ChatRequest request = request().build();
    assertThat(chat.chatAsync(request).get(1, TimeUnit.MINUTES).aiMessage().text())
        .isEqualTo(chat.chat(request).aiMessage().text());
    long before = model.metrics().tokens();
    chat.chatAsync(request().maxOutputTokens(300).build()).cancel(true);
    awaitIdle();
    assertThat(model.metrics().tokens() - before).isLessThan(200);
  }

  private static void awaitIdle() throws InterruptedException {
    while (model.metrics().active() + model.metrics().queued() > 0) {
      Thread.sleep(1);
    }
  }

  @Test
  void aTextIsContinuedAsItIs() throws Exception {
    TextRequest settings = TextRequest.of("").withMaxTokens(12);
    JneoxLanguageModel language = new JneoxLanguageModel(model, settings);
    Completion expected = model.complete(TextRequest.of("int max(").withMaxTokens(12));
    Response<String> response = language.generate("int max(");
    assertThat(response.content()).isEqualTo(expected.text());
    assertThat(response.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(response.tokenUsage().outputTokenCount()).isEqualTo(12);

    StringBuilder text = new StringBuilder();
    CompletableFuture<Response<String>> end = new CompletableFuture<>();
    language.generate(
        "int max(",
        new StreamingResponseHandler<String>() {
          @Override
          public void onNext(String token) {
            text.append(token);
          }

          @Override
          public void onComplete(Response<String> response) {
            end.complete(response);
          }

          @Override
          public void onError(Throwable error) {
            end.completeExceptionally(error);
          }
        });
    assertThat(end.get(1, TimeUnit.MINUTES)).isEqualTo(response);
    assertThat(text).hasToString(expected.text());
  }

  @Test
  void tokensAreCountedAsTheModelReadsThem() {
    JneoxChatModel chat = new JneoxChatModel(model);
    assertThat(chat.estimateTokenCountInText("int max"))
        .isEqualTo(model.tokenizer().encode("int max").length);
    assertThat(chat.estimateTokenCountInMessages(MESSAGES))
        .isEqualTo(model.tokenizer().encode(PROMPT).length);
    assertThat(chat.estimateTokenCountInMessage(UserMessage.from("a")))
        .isEqualTo(model.tokenizer().encode("User: a\nAssistant:").length);
  }
}
