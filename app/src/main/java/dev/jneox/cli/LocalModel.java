package dev.jneox.cli;

import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.TextStream;
import java.util.Arrays;
import java.util.NoSuchElementException;
import java.util.function.Consumer;

/** Has a model of this process write the turns of a conversation. */
final class LocalModel implements ReplModel {
  private final LanguageModel model;
  private final Sampler sampler;
  private final int maxTokens;
  private boolean saidCut;

  LocalModel(LanguageModel model, Sampler sampler, int maxTokens) {
    this.model = model;
    this.sampler = sampler;
    this.maxTokens = Math.min(maxTokens, Math.max(1, model.spec().maxPositions() / 2));
  }

  @Override
  public int maxTokens() {
    return maxTokens;
  }

  @Override
  public TurnStream start(Conversation conversation, long turn, Consumer<String> note) {
    int[] ids = model.tokenizer().encode(conversation.text());
    int room = model.spec().maxPositions() - maxTokens + 1;
    if (ids.length > room) {
      ids = Arrays.copyOfRange(ids, ids.length - room, ids.length);
      if (!saidCut) {
        note.accept(
            "[the text is beyond the model's context of "
                + model.spec().maxPositions()
                + " tokens: it sees the end alone]");
        saidCut = true;
      }
    }
    GenerationRequest request =
        GenerationRequest.builder(ids)
            .maxTokens(maxTokens)
            .sampler(sampler.withSeed(sampler.seed() + turn))
            .build();
    return new LocalStream(model.generator().stream(request, conversation.stop()));
  }

  private record LocalStream(TextStream stream) implements TurnStream {
    @Override
    public boolean hasNext() {
      return stream.hasNext();
    }

    @Override
    public String next() {
      try {
        return stream.next().text();
      } catch (NoSuchElementException e) {
        return "";
      }
    }

    @Override
    public FinishReason reason() {
      return stream.result().generation().reason();
    }

    @Override
    public void cancel() {
      stream.cancel();
    }

    @Override
    public void close() {
      stream.close();
    }
  }
}
