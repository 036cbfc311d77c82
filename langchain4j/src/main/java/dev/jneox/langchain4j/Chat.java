package dev.jneox.langchain4j;

import dev.jneox.TextRequest;
import dev.jneox.infer.Completion;
import dev.jneox.infer.GenerationResult;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** Brings requests of LangChain4j into the form of JNeoX, and results back. */
final class Chat {
  /** What begins the user's next turn, which is not the model's to write. */
  private static final String NEXT_TURN = "\nUser:";

  private Chat() {}

  /** Writes messages as one text, which ends where the model's turn begins. */
  static String prompt(List<ChatMessage> messages) {
    return messages.stream().map(Chat::turn).collect(Collectors.joining("", "", "Assistant:"));
  }

  private static String turn(ChatMessage message) {
    return switch (message) {
      case SystemMessage system -> "System: " + system.text() + "\n";
      case UserMessage user -> "User: " + text(user) + "\n";
      case AiMessage ai when !ai.hasToolExecutionRequests() -> "Assistant: " + ai.text() + "\n";
      default -> throw unsupported("messages of type " + message.type());
    };
  }

  private static String text(UserMessage message) {
    StringBuilder text = new StringBuilder();
    for (Content content : message.contents()) {
      if (!(content instanceof TextContent part)) {
        throw unsupported("content of type " + content.type());
      }
      text.append(text.isEmpty() ? "" : "\n").append(part.text());
    }
    return text.toString();
  }

  /**
   * Maps a request.
   *
   * @param defaults for what it leaves open
   * @throws UnsupportedFeatureException that names the option which JNeoX does not have
   */
  static TextRequest request(ChatRequest request, TextRequest defaults) {
    refuse("modelName", request.modelName() != null);
    refuse("frequencyPenalty", request.frequencyPenalty() != null);
    refuse("presencePenalty", request.presencePenalty() != null);
    refuse(
        "toolSpecifications",
        request.toolSpecifications() != null && !request.toolSpecifications().isEmpty());
    refuse("toolChoice", request.toolChoice() != null);
    refuse(
        "responseFormat",
        request.responseFormat() != null
            && request.responseFormat().type() != ResponseFormatType.TEXT);
    TextRequest mapped =
        defaults
            .withPrompt(prompt(request.messages()))
            .withStop(stop(request.stopSequences(), defaults));
    if (request.maxOutputTokens() != null) {
      mapped = mapped.withMaxTokens(request.maxOutputTokens());
    }
    if (request.temperature() != null) {
      mapped = mapped.withTemperature(request.temperature());
    }
    if (request.topP() != null) {
      mapped = mapped.withTopP(request.topP());
    }
    if (request.topK() != null) {
      mapped = mapped.withTopK(request.topK());
    }
    return mapped;
  }

  private static String[] stop(List<String> asked, TextRequest defaults) {
    List<String> stop = new ArrayList<>(asked == null || asked.isEmpty() ? defaults.stop() : asked);
    stop.add(NEXT_TURN);
    return stop.toArray(String[]::new);
  }

  private static void refuse(String option, boolean given) {
    if (given) {
      throw unsupported(option);
    }
  }

  private static UnsupportedFeatureException unsupported(String what) {
    return new UnsupportedFeatureException("JNeoX does not support " + what);
  }

  static ChatResponse response(Completion completion) {
    return ChatResponse.builder()
        .aiMessage(AiMessage.from(completion.text()))
        .tokenUsage(usage(completion))
        .finishReason(reason(completion))
        .build();
  }

  static TokenUsage usage(Completion completion) {
    GenerationResult.Usage usage = completion.usage();
    return new TokenUsage(usage.promptTokens(), usage.newTokens());
  }

  static FinishReason reason(Completion completion) {
    return switch (completion.reason()) {
      case END_OF_TEXT, STOP_TOKEN, STOP_STRING, CONSTRAINT -> FinishReason.STOP;
      case MAX_TOKENS, CONTEXT_FULL -> FinishReason.LENGTH;
      case CANCELLED, STALLED -> FinishReason.OTHER;
    };
  }
}
