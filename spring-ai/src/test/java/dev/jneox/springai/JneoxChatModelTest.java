package dev.jneox.springai;

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
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.Media;
import org.springframework.ai.model.tool.StructuredOutputChatOptions;
import org.springframework.util.MimeTypeUtils;

@Timeout(value = 1, unit = TimeUnit.MINUTES)
class JneoxChatModelTest {
  private static final List<Message> MESSAGES =
      List.of(
          new SystemMessage("Be brief."),
          new UserMessage("int max"),
          new AssistantMessage("(int a)"),
          new UserMessage("return"));

  private static final String TEXT =
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

  private static Prompt prompt(ChatOptions.Builder<?> options) {
    return new Prompt(MESSAGES, options.build());
  }

  private static String text(ChatResponse response) {
    return response.getResult().getOutput().getText();
  }

  private static String reason(ChatResponse response) {
    return response.getResult().getMetadata().getFinishReason();
  }

  @Test
  void aChatIsTheTextOfItsTurns() {
    TextRequest same =
        TextRequest.of(TEXT)
            .withMaxTokens(20)
            .withTemperature(0.5)
            .withTopK(30)
            .withTopP(0.9)
            .withSeed(5)
            .withStop("\nUser:");
    Completion expected = model.complete(same);
    JneoxChatModel chat = new JneoxChatModel(model, TextRequest.of("").withSeed(5));
    ChatResponse response =
        chat.call(prompt(ChatOptions.builder().maxTokens(20).temperature(0.5).topK(30).topP(0.9)));
    assertThat(text(response)).isEqualTo(expected.text()).isNotEmpty();
    assertThat(reason(response)).isEqualTo("LENGTH");
    Usage usage = response.getMetadata().getUsage();
    assertThat(usage.getPromptTokens()).isEqualTo(model.tokenizer().encode(TEXT).length);
    assertThat(usage.getCompletionTokens()).isEqualTo(20);
  }

  @Test
  void defaultsFillWhatAPromptLeavesOpen() {
    TextRequest defaults =
        TextRequest.of("").withMaxTokens(9).withTemperature(1).withTopK(8).withSeed(2);
    JneoxChatModel chat = new JneoxChatModel(model, defaults);
    String expected = model.complete(defaults.withPrompt(TEXT)).text();
    assertThat(text(chat.call(new Prompt(MESSAGES)))).isEqualTo(expected);
    assertThat(text(chat.call(prompt(ChatOptions.builder())))).isEqualTo(expected);
    assertThat(text(chat.call(new Prompt(MESSAGES, chat.getOptions())))).isEqualTo(expected);
    assertThat(chat.getOptions().getMaxTokens()).isEqualTo(9);
  }

  @Test
  void aStopSequenceEndsTheAnswer() {
    JneoxChatModel chat = new JneoxChatModel(model);
    String text = text(chat.call(new Prompt(MESSAGES)));
    String stop = text.substring(5, 8);
    ChatResponse response = chat.call(prompt(ChatOptions.builder().stopSequences(List.of(stop))));
    assertThat(text(response)).isEqualTo(text.substring(0, text.indexOf(stop)));
    assertThat(reason(response)).isEqualTo("STOP");
  }

  @Test
  void whatIsNotSupportedIsRefusedByName() {
    JneoxChatModel chat = new JneoxChatModel(model);
    Media image = new Media(MimeTypeUtils.IMAGE_PNG, URI.create("http://127.0.0.1/a.png"));
    Map<String, Prompt> refused =
        Map.of(
            "model", prompt(ChatOptions.builder().model("other")),
            "frequencyPenalty", prompt(ChatOptions.builder().frequencyPenalty(0.1)),
            "presencePenalty", prompt(ChatOptions.builder().presencePenalty(0.1)),
            "outputSchema", prompt(StructuredOutputChatOptions.builder().outputSchema("{}")),
            "media", new Prompt(UserMessage.builder().text("what is it?").media(image).build()),
            "messages of tools",
                new Prompt(ToolResponseMessage.builder().responses(List.of()).build()));
    refused.forEach(
        (name, prompt) -> {
          assertThatThrownBy(() -> chat.call(prompt))
              .isInstanceOf(UnsupportedOperationException.class)
              .hasMessage("JNeoX does not support " + name);
          assertThatThrownBy(() -> chat.stream(prompt))
              .isInstanceOf(UnsupportedOperationException.class);
        });
    assertThatThrownBy(() -> chat.call(prompt(ChatOptions.builder().topP(2.0))))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("top");
  }

  @Test
  void theStreamedPartsAreTheAnswer() {
    JneoxChatModel chat =
        new JneoxChatModel(model, TextRequest.of("").withTemperature(1).withSeed(3));
    ChatResponse expected = chat.call(new Prompt(MESSAGES));
    List<ChatResponse> parts = chat.stream(new Prompt(MESSAGES)).collectList().block();
    assertThat(parts.stream().map(JneoxChatModelTest::text).collect(Collectors.joining()))
        .isEqualTo(text(expected));
    assertThat(parts).hasSizeGreaterThan(5);
    ChatResponse last = parts.getLast();
    assertThat(text(last)).isEmpty();
    assertThat(reason(last)).isEqualTo(reason(expected));
    assertThat(last.getMetadata().getUsage().getTotalTokens())
        .isEqualTo(expected.getMetadata().getUsage().getTotalTokens());
  }

  @Test
  void cancellingASubscriptionCancelsTheText() throws InterruptedException {
    JneoxChatModel chat = new JneoxChatModel(model);
    long before = model.metrics().tokens();
    List<ChatResponse> parts =
        chat.stream(prompt(ChatOptions.builder().maxTokens(300))).take(2).collectList().block();
    assertThat(parts).hasSize(2);
    while (model.metrics().active() + model.metrics().queued() > 0) {
      Thread.sleep(1);
    }
    assertThat(model.metrics().tokens() - before).isLessThan(200);
  }

  @Test
  void tokensAreCountedAsTheModelReadsThem() {
    JneoxChatModel chat = new JneoxChatModel(model);
    int one = model.tokenizer().encode("int max").length;
    assertThat(chat.estimate("int max")).isEqualTo(one);
    assertThat(chat.estimate(new UserMessage("int max"))).isEqualTo(one);
    assertThat(chat.estimate(List.of(new UserMessage("int max"), new UserMessage("int max"))))
        .isEqualTo(2 * one);
  }
}
