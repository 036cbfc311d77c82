package dev.jneox.infer;

import dev.jneox.convert.GgufCache;
import dev.jneox.format.ModelFiles;
import dev.jneox.io.FreeMemory;
import dev.jneox.io.InputException;
import dev.jneox.io.MemoryException;
import dev.jneox.io.Progress;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.SamplingDefaults;
import dev.jneox.template.ChatTemplates;
import dev.jneox.tokenizer.Tokenizer;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/** A model on disk, opened to be used: its network and its tokenizer if it has one. */
public final class LanguageModel implements AutoCloseable {
  private final StoredModel stored;
  private final Precision precision;
  private final PackedModel packed;
  private final @Nullable Tokenizer tokenizer;
  private @Nullable Engine engine; // made when first asked for
  private @Nullable Engine scoringEngine;

  private LanguageModel(
      StoredModel stored, Precision precision, PackedModel packed, @Nullable Tokenizer tokenizer) {
    this.stored = stored;
    this.precision = precision;
    this.packed = packed;
    this.tokenizer = tokenizer;
  }

  /**
   * Opens whatever {@link ModelFiles#open} knows, or what {@link GgufCache} keeps of it. Weights
   * that are stored as wanted stay in the mapped file.
   *
   * @throws InputException if it is not a whole model
   * @throws MemoryException if it is too large for the memory there is
   */
  public static LanguageModel open(Path path, Precision precision) {
    return open(path, precision, Progress.silent());
  }

  /** The same, and counts as {@link PackedModel#of(StoredModel, Precision, Progress)} does. */
  public static LanguageModel open(Path path, Precision precision, Progress progress) {
    return open(stored(path, precision), precision, progress);
  }

  private static StoredModel stored(Path path, Precision precision) {
    Optional<StoredModel> kept =
        precision == Precision.STORED ? GgufCache.open(path) : Optional.empty();
    return kept.orElseGet(() -> ModelFiles.open(path));
  }

  /**
   * Says what a model would take that {@link #open(Path, Precision)} opens.
   *
   * @throws InputException if it is not a whole model
   */
  public static ModelMemory memory(Path path, Precision precision) {
    try (StoredModel stored = stored(path, precision)) {
      MemoryNeed need = MemoryNeed.of(stored, precision);
      KvFormat format = KvFormat.of(stored.spec(), need.kv());
      return new ModelMemory(
          need.made() + need.mapped(),
          need.context(),
          KvSequence.pages(need.context()) * format.pageBytes());
    }
  }

  /** Over a model that is open, which is closed with this, or when it cannot be used. */
  public static LanguageModel open(StoredModel stored, Precision precision) {
    return open(stored, precision, Progress.silent());
  }

  private static LanguageModel open(StoredModel stored, Precision precision, Progress progress) {
    // The tokenizer takes as long as the weights of a small model, and nothing of them.
    CompletableFuture<Tokenizer> tokenizer = CompletableFuture.supplyAsync(() -> tokenizer(stored));
    PackedModel packed = null;
    try {
      OptionalLong free = FreeMemory.bytes();
      if (free.isPresent()) {
        MemoryNeed.of(stored, precision).check(free.getAsLong());
      }
      packed = PackedModel.of(stored, precision, progress);
      Tokenizer read = tokenizer.join();
      return new LanguageModel(stored, precision, packed, read);
    } catch (RuntimeException | Error e) {
      // It reads what is closed below.
      Tokenizer read = tokenizer.exceptionally(failure -> null).join();
      if (read != null) {
        read.close();
      }
      if (packed != null) {
        packed.close();
      }
      stored.close();
      if (e instanceof CompletionException && e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw e;
    }
  }

  private static @Nullable Tokenizer tokenizer(StoredModel stored) {
    return stored
        .tokenizerJson()
        .map(json -> Tokenizer.parse(json, tokenizerFile(stored)))
        .orElse(null);
  }

  private static Path tokenizerFile(StoredModel stored) {
    Path path = stored.path();
    return Files.isDirectory(path) ? path.resolve("tokenizer.json") : path;
  }

  /** Returns the model's architecture and sizes. */
  public ModelSpec spec() {
    return stored.spec();
  }

  /** What to expect where the model is larger than the memory it is to stay in; mostly nothing. */
  public Optional<String> warning() {
    OptionalLong free = FreeMemory.bytes();
    // What loading made is taken by now.
    MemoryNeed need = MemoryNeed.of(stored, precision);
    return free.isEmpty() ? Optional.empty() : need.warning(free.getAsLong() + need.made());
  }

  /** How the authors of the model want its tokens drawn, where they say so. */
  public SamplingDefaults sampling() {
    return stored.sampling();
  }

  /** Returns the chat templates that the model came with; empty where it has none. */
  public Optional<ChatTemplates> chatTemplates() {
    return stored.chatTemplates();
  }

  /** The weights it was opened over, valid until {@link #close}. */
  public StoredModel stored() {
    return stored;
  }

  /** Returns the type that most values are stored in, as the format calls it: {@code BF16}. */
  public String storedType() {
    Map<String, Long> values = new TreeMap<>();
    for (StoredTensor tensor : stored.tensors()) {
      TensorExpression expression = tensor.expression();
      values.merge(tensor.type(), (long) expression.rows() * expression.columns(), Long::sum);
    }
    return Collections.max(values.entrySet(), Map.Entry.comparingByValue()).getKey();
  }

  /** The network as inference reads it. */
  public PackedModel packed() {
    return packed;
  }

  /** Returns whether the model came with a tokenizer. */
  public boolean hasTokenizer() {
    return tokenizer != null;
  }

  /**
   * @throws InputException where the model came without a tokenizer
   */
  public Tokenizer tokenizer() {
    if (tokenizer == null) {
      throw new InputException(
          stored.path()
              + ": expected a tokenizer.json, to read and write text with, found none; give token"
              + " ids instead");
    }
    return tokenizer;
  }

  /** Continues texts one at a time; without a tokenizer, ids alone. */
  public synchronized Generator generator() {
    if (engine == null) {
      engine = engine(Engine.Settings.of(packed, 1));
    }
    return new Generator(engine, tokenizer);
  }

  /** Starts an engine of the caller's own, to be closed before this. */
  public Engine engine(Engine.Settings settings) {
    return new Engine(packed, settings);
  }

  /** Scores texts over keys and values in fp32, whatever the weights are in. */
  public synchronized Scorer scorer() {
    if (scoringEngine == null) {
      scoringEngine = engine(Scorer.settings(packed));
    }
    return new Scorer(scoringEngine);
  }

  @Override
  public void close() {
    if (engine != null) {
      engine.close();
    }
    if (scoringEngine != null) {
      scoringEngine.close();
    }
    packed.close();
    if (tokenizer != null) {
      tokenizer.close();
    }
    stored.close();
  }
}
