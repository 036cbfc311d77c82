package dev.jneox.serve;

import dev.jneox.grammar.Grammar;
import dev.jneox.grammar.TokenTrie;
import dev.jneox.infer.Engine;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.Generator;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Scorer;
import dev.jneox.infer.TextStream;
import dev.jneox.infer.TokenConstraint;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.template.ChatPrompt;
import dev.jneox.template.ChatTemplates;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A model that a server offers. It has two engines: one that writes, and one with keys and values
 * in fp32 for requests that ask for the scores of their prompt, which so are those of {@code jneox
 * score} to the last bit.
 */
final class ServedModel implements AutoCloseable {
  /** Forms whose constraints are kept. */
  private static final int CONSTRAINTS = 16;

  /** UTF-16 units of texts that are encoded in some milliseconds. */
  private static final int SHORT = 1 << 14;

  private final String id;
  private final LanguageModel model;
  private final ServerSettings settings;
  private final Admission admission;
  private final Engine engine;
  private final TokenTexts texts;
  private final long created = System.currentTimeMillis() / 1000;
  private final Optional<ChatTemplates> templates;
  private final @Nullable ChatPrompt chatPrompt; // null where the templates are broken

  /** Of the forms asked for lately. */
  private final Map<String, CompletableFuture<TokenConstraint>> constraints =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(
            Map.Entry<String, CompletableFuture<TokenConstraint>> eldest) {
          return size() > CONSTRAINTS;
        }
      };

  private final AtomicBoolean broken = new AtomicBoolean();

  private @Nullable Engine scoringEngine; // made when first asked for
  private @Nullable TokenTrie trie; // likewise

  /**
   * @param id the name that requests give
   * @param model closed with this
   * @param kvBytes bound on the memory for keys and values
   */
  ServedModel(String id, LanguageModel model, ServerSettings settings, long kvBytes) {
    this.id = id;
    this.model = model;
    this.settings = settings;
    this.templates = model.chatTemplates();
    this.chatPrompt = prompt(templates);
    this.texts = new TokenTexts(model.tokenizer());
    this.admission = new Admission(settings.sessions(), settings.queue());
    this.engine =
        model.engine(
            Engine.Settings.of(model.packed(), settings.sessions())
                .withThreads(settings.threads())
                .withKvBytes(kvBytes)
                .withReaders(settings.readers()));
  }

  /**
   * Opens a model.
   *
   * @param kvBytes bound on the memory for keys and values
   */
  static ServedModel open(String id, Path path, ServerSettings settings, long kvBytes) {
    LanguageModel model = LanguageModel.open(path, settings.precision());
    try {
      return new ServedModel(id, model, settings, kvBytes);
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  String id() {
    return id;
  }

  LanguageModel model() {
    return model;
  }

  Tokenizer tokenizer() {
    return model.tokenizer();
  }

  /** Writes conversations for this model. */
  ChatPrompt chatPrompt() {
    if (chatPrompt == null) {
      throw ApiException.http(
          500, "the chat template of this model is broken: the log of the server says how");
    }
    return chatPrompt;
  }

  /** Returns the text of the chat template; null where there is none. */
  @Nullable String chatTemplate() {
    return templates.map(all -> all.sources().get(ChatTemplates.DEFAULT)).orElse(null);
  }

  private static @Nullable ChatPrompt prompt(Optional<ChatTemplates> templates) {
    try {
      // Errors of rendering go to clients, which the place of the files is of no use to.
      return ChatPrompt.of(
          templates.map(all -> new ChatTemplates(all.sources(), all.specialTokens(), "the model")));
    } catch (InputException e) {
      System.getLogger("dev.jneox")
          .log(
              System.Logger.Level.WARNING,
              "%s: chats will be answered with status 500: %s"
                  .formatted(templates.map(ChatTemplates::origin).orElse(""), e.getMessage()));
      return null;
    }
  }

  /** Returns the ids of a text of the current request. */
  int[] encode(String text, String field) {
    return text.length() <= SHORT
        ? tokenizer().encode(text)
        : Preparation.compute(Call.current(), field, () -> tokenizer().encode(text));
  }

  /**
   * Returns the ids of a text of the current request that has to fit into the context.
   *
   * @throws ApiException where the text is so long that it cannot; other long ones are returned
   */
  int[] encodeWhole(String text, String field) {
    return encodeWhole(List.of(text), field).getFirst();
  }

  /** Returns the ids of each of some texts, as {@link #encodeWhole(String, String)} does of one. */
  List<int[]> encodeWhole(List<String> texts, String field) {
    long length = 0;
    for (String text : texts) {
      long least = tokenizer().leastIds(text.length());
      if (least > context() + 1) { // an id more may be scored
        throw ApiException.tooLong(
            field,
            "the context is %d tokens, found at least %d of the %s"
                .formatted(context(), least, field));
      }
      length += text.length();
    }
    Callable<List<int[]>> encoded = () -> texts.stream().map(tokenizer()::encode).toList();
    try {
      return length <= SHORT ? encoded.call() : Preparation.compute(Call.current(), field, encoded);
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Returns the constraint of a form, which is kept for the next request that has it. Requests that
   * have it at the same time wait for the first one's.
   *
   * @param key tells the form from others
   * @throws ApiException where this model's tokens cannot write the form
   */
  TokenConstraint constraint(String key, Supplier<Grammar> form, String param) {
    Call call = Call.current();
    CompletableFuture<TokenConstraint> mine = new CompletableFuture<>();
    while (true) {
      CompletableFuture<TokenConstraint> first;
      synchronized (constraints) {
        first = constraints.putIfAbsent(key, mine);
      }
      try {
        if (first == null) {
          return made(key, mine, call, form, param);
        }
        return Preparation.await(call, first);
      } catch (InputException e) {
        throw ApiException.invalid(param, param + ": " + e.getMessage());
      } catch (ExecutionException e) {
        if (e.getCause() instanceof InputException wrong) {
          throw ApiException.invalid(param, param + ": " + wrong.getMessage());
        }
        // The other request has not come to an end with it: this one tries.
      }
    }
  }

  private TokenConstraint made(
      String key,
      CompletableFuture<TokenConstraint> result,
      Call call,
      Supplier<Grammar> form,
      String param) {
    try {
      TokenConstraint made = Preparation.compute(call, param, () -> form.get().over(trie()));
      result.complete(made);
      return made;
    } catch (RuntimeException | Error e) {
      synchronized (constraints) {
        constraints.remove(key, result);
      }
      result.completeExceptionally(e);
      throw e;
    }
  }

  private synchronized TokenTrie trie() {
    if (trie == null) {
      trie = TokenTrie.of(tokenizer(), model.spec().vocabulary().ends());
    }
    return trie;
  }

  TokenTexts texts() {
    return texts;
  }

  Admission admission() {
    return admission;
  }

  /** How long the server waits for a client. */
  ServerSettings.Patience patience() {
    return settings.limits().patience();
  }

  /** Seconds since 1970 at which the model was opened. */
  long created() {
    return created;
  }

  /** Positions of the model's context. */
  int context() {
    return model.spec().maxPositions();
  }

  /** Whether the model's files were changed under it, so that it answers no more. */
  boolean broken() {
    return broken.get();
  }

  /** Returns the error of requests to a model whose files were changed; logs it once. */
  ApiException broken(StorageException change) {
    if (broken.compareAndSet(false, true)) {
      System.getLogger("dev.jneox")
          .log(
              System.Logger.Level.ERROR,
              "the model %s answers no more, until POST /admin/reload or a new start: %s"
                  .formatted(id, change.getMessage()));
    }
    return ApiException.unavailable(
        "the files of the model %s were changed while it was in use; POST /admin/reload reads them anew"
            .formatted(id));
  }

  /** Says what the model is. */
  ModelSummary.Opened opened() {
    return new ModelSummary.Opened(
        model.spec().parameterCount(),
        model.storedType(),
        engine.metrics().kvLimit(),
        chatTemplate() != null);
  }

  Engine.Metrics metrics() {
    return engine.metrics();
  }

  /**
   * Starts a request in the engine.
   *
   * @throws ApiException when it does not fit the model or its memory
   */
  TextStream stream(GenerationRequest request, List<String> stop) {
    try {
      Engine chosen = request.promptLogprobs().isPresent() ? scoringEngine() : engine;
      return new Generator(chosen, tokenizer()).stream(request, stop);
    } catch (InputException e) {
      throw ApiException.malformed(e.getMessage());
    }
  }

  private synchronized Engine scoringEngine() {
    if (scoringEngine == null) {
      scoringEngine = model.engine(Scorer.settings(model.packed()).withThreads(settings.threads()));
    }
    return scoringEngine;
  }

  @Override
  public void close() {
    admission.close();
    engine.close();
    synchronized (this) {
      if (scoringEngine != null) {
        scoringEngine.close();
      }
    }
    model.close();
  }
}
