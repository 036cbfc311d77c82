package dev.jneox.langchain4j;

import dev.jneox.Jneox;
import dev.jneox.TextRequest;
import dev.jneox.infer.TextStream;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import java.util.Objects;

/**
 * Answers chats piece by piece with a model in this process; see {@link JneoxChatModel} for the
 * prompt and the options.
 *
 * <p>A handler is called on a virtual thread of its own, and one that takes its time holds up its
 * own answer alone. A request that is refused throws; what fails later reaches {@code onError}, as
 * does what the handler throws, which ends the answer. The handle of a partial response cancels;
 * nothing is called after that.
 */
public final class JneoxStreamingChatModel implements StreamingChatModel {
  private final Jneox model;
  private final TextRequest defaults;

  /**
   * Adapts a model with the defaults of {@link TextRequest#of}.
   *
   * @param model stays open for as long as this is used, and is the caller's to close
   */
  public JneoxStreamingChatModel(Jneox model) {
    this(model, TextRequest.of(""));
  }

  /**
   * Adapts a model with defaults for what requests leave open.
   *
   * @param model stays open for as long as this is used, and is the caller's to close
   * @param defaults its prompt is not read
   */
  public JneoxStreamingChatModel(Jneox model, TextRequest defaults) {
    this.model = Objects.requireNonNull(model, "model");
    this.defaults = Objects.requireNonNull(defaults, "defaults");
  }

  /** Cancels one answer. */
  private static final class Handle implements StreamingHandle {
    private final TextStream stream;
    private volatile boolean cancelled;

    Handle(TextStream stream) {
      this.stream = stream;
    }

    @Override
    public void cancel() {
      cancelled = true;
      stream.close();
    }

    @Override
    public boolean isCancelled() {
      return cancelled;
    }
  }

  @Override
  public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
    TextStream stream = model.stream(Chat.request(request, defaults));
    Thread.ofVirtual().name("jneox-chat").start(() -> read(stream, handler));
  }

  private static void read(TextStream stream, StreamingChatResponseHandler handler) {
    Handle handle = new Handle(stream);
    PartialResponseContext context = new PartialResponseContext(handle);
    try (stream) {
      while (stream.hasNext()) {
        String text = stream.next().text();
        if (!text.isEmpty()) {
          handler.onPartialResponse(new PartialResponse(text), context);
        }
      }
      if (!handle.isCancelled()) {
        handler.onCompleteResponse(Chat.response(stream.result()));
      }
    } catch (Throwable t) {
      if (!handle.isCancelled()) {
        handler.onError(t);
      }
    }
  }
}
