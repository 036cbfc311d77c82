package dev.jneox.springai;

import dev.jneox.Jneox;
import dev.jneox.TextRequest;
import dev.jneox.infer.Completion;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationResult;
import dev.jneox.infer.TextStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.MediaContent;
import org.springframework.ai.model.tool.StructuredOutputChatOptions;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tokenizer.TokenCountEstimator;
import reactor.core.publisher.Flux;
import reactor.core.publisher.SynchronousSink;
import reactor.core.scheduler.Schedulers;

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
 * top-k, stop sequences and the most tokens are taken from a prompt's options; an option or content
 * that JNeoX does not have is refused by name, with an {@link UnsupportedOperationException}.
 * Errors of JNeoX are {@link dev.jneox.io.JneoxException}s. Safe for many threads.
 */
public final class JneoxChatModel implements ChatModel, TokenCountEstimator {
  /** What begins the user's next turn, which is not the model's to write. */
  private static final String NEXT_TURN = "\nUser:";

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
   * Adapts a model with defaults for what prompts leave open, such as the seed, which they cannot
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
  public ChatResponse call(Prompt prompt) {
    Completion completion = model.complete(request(prompt));
    return response(completion.text(), completion);
  }

  /**
   * Answers piece by piece. A text begins with each subscriber, its tokens are pulled as they are
   * asked for, and cancelling the subscription cancels it. The last response has no text, but the
   * usage and why the text ended.
   */
  @Override
  public Flux<ChatResponse> stream(Prompt prompt) {
    TextRequest request = request(prompt);
    return Flux.generate(() -> model.stream(request), JneoxChatModel::next, TextStream::close)
        .subscribeOn(Schedulers.boundedElastic()); // waits for tokens
  }

  private static TextStream next(TextStream stream, SynchronousSink<ChatResponse> sink) {
    while (stream.hasNext()) {
      String text = stream.next().text();
      if (!text.isEmpty()) {
        sink.next(new ChatResponse(List.of(new Generation(new AssistantMessage(text)))));
        return stream;
      }
    }
    sink.next(response("", stream.result()));
    sink.complete();
    return stream;
  }

  /** Returns what holds where a prompt says nothing. */
  @Override
  public ChatOptions getOptions() {
    return ChatOptions.builder()
        .maxTokens(defaults.maxTokens())
        .temperature(defaults.sampler().temperature())
        .topK(defaults.sampler().topK())
        .topP(defaults.sampler().topP())
        .stopSequences(defaults.stop())
        .build();
  }

  private TextRequest request(Prompt prompt) {
    TextRequest request = defaults.withPrompt(text(prompt.getInstructions()));
    ChatOptions options = prompt.getOptions();
    if (options == null) {
      return request.withStop(stop(defaults.stop()));
    }
    refuse("model", options.getModel() != null);
    refuse("frequencyPenalty", options.getFrequencyPenalty() != null);
    refuse("presencePenalty", options.getPresencePenalty() != null);
    refuse(
        "toolCallbacks",
        options instanceof ToolCallingChatOptions tools
            && tools.getToolCallbacks() != null
            && !tools.getToolCallbacks().isEmpty());
    refuse(
        "outputSchema",
        options instanceof StructuredOutputChatOptions structured
            && structured.getOutputSchema() != null);
    List<String> asked = options.getStopSequences();
    request = request.withStop(stop(asked == null || asked.isEmpty() ? defaults.stop() : asked));
    if (options.getMaxTokens() != null) {
      request = request.withMaxTokens(options.getMaxTokens());
    }
    if (options.getTemperature() != null) {
      request = request.withTemperature(options.getTemperature());
    }
    if (options.getTopP() != null) {
      request = request.withTopP(options.getTopP());
    }
    if (options.getTopK() != null) {
      request = request.withTopK(options.getTopK());
    }
    return request;
  }

  private static String[] stop(List<String> asked) {
    List<String> stop = new ArrayList<>(asked);
    stop.add(NEXT_TURN);
    return stop.toArray(String[]::new);
  }

  /** Writes messages as one text, which ends where the model's turn begins. */
  private static String text(List<Message> messages) {
    return messages.stream()
        .map(JneoxChatModel::turn)
        .collect(Collectors.joining("", "", "Assistant:"));
  }

  private static String turn(Message message) {
    refuse("media", message instanceof UserMessage user && !user.getMedia().isEmpty());
    refuse("tool calls", message instanceof AssistantMessage said && said.hasToolCalls());
    return switch (message.getMessageType()) {
      case SYSTEM -> "System: " + message.getText() + "\n";
      case USER -> "User: " + message.getText() + "\n";
      case ASSISTANT -> "Assistant: " + message.getText() + "\n";
      case TOOL -> throw unsupported("messages of tools");
    };
  }

  private static void refuse(String option, boolean given) {
    if (given) {
      throw unsupported(option);
    }
  }

  private static UnsupportedOperationException unsupported(String what) {
    return new UnsupportedOperationException("JNeoX does not support " + what);
  }

  private static ChatResponse response(String text, Completion completion) {
    GenerationResult.Usage usage = completion.usage();
    ChatGenerationMetadata metadata =
        ChatGenerationMetadata.builder().finishReason(reason(completion.reason())).build();
    return new ChatResponse(
        List.of(new Generation(new AssistantMessage(text), metadata)),
        ChatResponseMetadata.builder()
            .usage(new DefaultUsage(usage.promptTokens(), usage.newTokens()))
            .build());
  }

  /** Returns the words that Spring AI's other models use. */
  private static String reason(FinishReason reason) {
    return switch (reason) {
      case END_OF_TEXT, STOP_TOKEN, STOP_STRING, CONSTRAINT -> "STOP";
      case MAX_TOKENS, CONTEXT_FULL -> "LENGTH";
      case CANCELLED, STALLED -> "OTHER";
    };
  }

  @Override
  public int estimate(String text) {
    return model.tokenizer().encode(text).length;
  }

  @Override
  public int estimate(MediaContent content) {
    refuse("media", !content.getMedia().isEmpty());
    return estimate(Objects.requireNonNullElse(content.getText(), ""));
  }

  @Override
  public int estimate(Iterable<MediaContent> contents) {
    int sum = 0;
    for (MediaContent content : contents) {
      sum += estimate(content);
    }
    return sum;
  }
}
