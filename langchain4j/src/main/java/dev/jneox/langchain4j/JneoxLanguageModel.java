package dev.jneox.langchain4j;

import dev.jneox.Jneox;
import dev.jneox.TextRequest;
import dev.jneox.infer.Completion;
import dev.jneox.infer.TextStream;
import dev.langchain4j.model.StreamingResponseHandler;
import dev.langchain4j.model.language.LanguageModel;
import dev.langchain4j.model.language.StreamingLanguageModel;
import dev.langchain4j.model.output.Response;
import java.util.Objects;

/**
 * Continues texts with a model in this process, as they are. A handler is called on a virtual
 * thread of its own; what it throws ends the text and reaches {@code onError}.
 */
public final class JneoxLanguageModel implements LanguageModel, StreamingLanguageModel {
  private final Jneox model;
  private final TextRequest settings;

  /**
   * Adapts a model with the defaults of {@link TextRequest#of}.
   *
   * @param model stays open for as long as this is used, and is the caller's to close
   */
  public JneoxLanguageModel(Jneox model) {
    this(model, TextRequest.of(""));
  }

  /**
   * Adapts a model with settings for all texts.
   *
   * @param model stays open for as long as this is used, and is the caller's to close
   * @param settings its prompt is not read
   */
  public JneoxLanguageModel(Jneox model, TextRequest settings) {
    this.model = Objects.requireNonNull(model, "model");
    this.settings = Objects.requireNonNull(settings, "settings");
  }

  private static Response<String> response(Completion completion) {
    return Response.from(completion.text(), Chat.usage(completion), Chat.reason(completion));
  }

  @Override
  public Response<String> generate(String prompt) {
    return response(model.complete(settings.withPrompt(prompt)));
  }

  @Override
  public void generate(String prompt, StreamingResponseHandler<String> handler) {
    TextStream stream = model.stream(settings.withPrompt(prompt));
    Thread.ofVirtual().name("jneox-text").start(() -> read(stream, handler));
  }

  private static void read(TextStream stream, StreamingResponseHandler<String> handler) {
    try (stream) {
      while (stream.hasNext()) {
        String text = stream.next().text();
        if (!text.isEmpty()) {
          handler.onNext(text);
        }
      }
      handler.onComplete(response(stream.result()));
    } catch (Throwable t) {
      handler.onError(t);
    }
  }
}
