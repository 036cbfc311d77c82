package dev.jneox.cli;

import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.TextStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.NoSuchElementException;
import java.util.function.Consumer;

/** Has a model of this process write the turns of a conversation. */
final class LocalModel implements ReplModel {
  private final LanguageModel model;
  private final Sampler sampler;
  private final int maxTokens;
  private boolean saidCut;
  private int first; // turn of a chat that the context has room for

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
    int before = first;
    int[] all = ids(conversation);
    int[] ids = end(all);
    if ((ids.length < all.length || first > before) && !saidCut) {
      note.accept(
          "[the text is beyond the model's context of "
              + model.spec().maxPositions()
              + " tokens: it sees the end alone]");
      saidCut = true;
    }
    GenerationRequest request =
        GenerationRequest.builder(ids)
            .maxTokens(maxTokens)
            .sampler(sampler.withSeed(sampler.seed() + turn))
            .build();
    return new LocalStream(model.generator().stream(request, conversation.stop()));
  }

  /** Encodes a conversation; a chat without its oldest turns, where the context is too short. */
  private int[] ids(Conversation conversation) {
    int last = conversation.turns().size() - 1;
    first = Math.clamp(first, 0, Math.max(0, last));
    int[] ids = model.tokenizer().encode(conversation.text(first));
    while (!conversation.goesOn() && ids.length > room() && first < last) {
      first++;
      ids = model.tokenizer().encode(conversation.text(first));
    }
    return ids;
  }

  private int room() {
    return model.spec().maxPositions() - maxTokens + 1;
  }

  /** Returns as much of the end of a text as the context has room for. */
  private int[] end(int[] ids) {
    int room = room();
    return ids.length > room ? Arrays.copyOfRange(ids, ids.length - room, ids.length) : ids;
  }

  /** Saves a conversation with the keys and values that are there of it. */
  void save(Path file, Conversation conversation, String note) {
    int[] ids = end(ids(conversation));
    model.generator().engine().saveSession(file, ids, note);
  }

  /** Takes up keys and values, and returns the note that was saved with them. */
  String restore(Path file) {
    return model.generator().engine().openSession(file).note();
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
