package dev.jneox.langchain4j;

import dev.jneox.Jneox;
import dev.jneox.TextRequest;
import dev.jneox.infer.TextStream;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.model.TokenCountEstimator;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;

/**
 * Answers chats with a model in this process, and counts tokens as it does.
 *
 * <p>JNeoX runs base models, which continue a text. So the messages become one, a turn a line, and
 * the answer ends where the model begins a turn of the user:
 *
 * <pre>
 *   System: You are brief.
 *   User: What is 2 + 2?
 *   Assistant:
 * </pre>
 *
 * The answer is what the model writes behind that, its first space included. Temperature, top-p,
 * top-k, stop sequences and the most output tokens are taken from a request; an option or content
 * that JNeoX does not have is refused by name, with an {@link
 * dev.langchain4j.exception.UnsupportedFeatureException}. Errors of JNeoX are {@link
 * dev.jneox.io.JneoxException}s. Safe for many threads.
 */
public final class JneoxChatModel implements ChatModel, TokenCountEstimator {
  private final Jneox model;
  private final TextRequest defaults;

  /**
   * Adapts a model with the defaults of {@link TextRequest#of}.
   *
   * @param model stays open for as long as this is used, and is the caller's to close
   */
  public JneoxChatModel(Jneox model) {
    this(model, TextRequest.of(""));
  }

  /**
   * Adapts a model with defaults for what requests leave open, such as the seed, which they cannot
   * say.
   *
   * @param model stays open for as long as this is used, and is the caller's to close
   * @param defaults its prompt is not read
   */
  public JneoxChatModel(Jneox model, TextRequest defaults) {
    this.model = Objects.requireNonNull(model, "model");
    this.defaults = Objects.requireNonNull(defaults, "defaults");
  }

  @Override
  public ChatResponse doChat(ChatRequest request) {
    return Chat.response(model.complete(Chat.request(request, defaults)));
  }

  /** Answers on a virtual thread; to cancel the future cancels the text. */
  @Override
  public CompletableFuture<ChatResponse> doChatAsync(ChatRequest request) {
    CompletableFuture<ChatResponse> answer = new CompletableFuture<>();
    TextStream stream = model.stream(Chat.request(request, defaults));
    answer.whenComplete((response, failure) -> stream.close());
    Thread.ofVirtual()
        .name("jneox-chat")
        .start(
            () -> {
              try {
                answer.complete(Chat.response(stream.result()));
              } catch (Throwable t) {
                answer.completeExceptionally(t);
              }
            });
    return answer;
  }

  @Override
  public int estimateTokenCountInText(String text) {
    return model.tokenizer().encode(text).length;
  }

  /** Counts the tokens of a chat of this message alone. */
  @Override
  public int estimateTokenCountInMessage(ChatMessage message) {
    return estimateTokenCountInMessages(List.of(message));
  }

  /** Counts the tokens of the prompt that these messages become. */
  @Override
  public int estimateTokenCountInMessages(Iterable<ChatMessage> messages) {
    List<ChatMessage> all = new ArrayList<>();
    messages.forEach(all::add);
    return estimateTokenCountInText(Chat.prompt(all));
  }
}
