package dev.jneox;

import dev.jneox.hub.Hub;
import dev.jneox.hub.HubName;
import dev.jneox.hub.HubSettings;
import dev.jneox.infer.Completion;
import dev.jneox.infer.Engine;
import dev.jneox.infer.Generator;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Scorer;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.TextStream;
import dev.jneox.infer.Token;
import dev.jneox.io.BusyException;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.kernel.Kernels;
import dev.jneox.model.ModelSpec;
import dev.jneox.tokenizer.StreamingDecoder;
import dev.jneox.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Opens a language model, and continues and scores texts with it. Safe for many threads, best
 * virtual ones: their requests share the engine's steps, and each gets what it would get alone.
 * After {@link #close}, {@link #complete}, {@link #stream} and {@link #score} throw an {@link
 * IllegalStateException}.
 *
 * {@snippet :
 * try (Jneox model = Jneox.open(Path.of("model"));
 *     TextStream text = model.stream(TextRequest.of("Once upon a time").withMaxTokens(100))) {
 *   text.forEachRemaining(piece -> System.out.print(piece.text()));
 * }
 * }
 */
public final class Jneox implements AutoCloseable {
  private static final AtomicBoolean TOLD = new AtomicBoolean();

  private final LanguageModel model;
  private final Options options;
  private final Engine engine;
  private @Nullable Engine scoringEngine; // made when first asked for
  private boolean closed;

  private Jneox(LanguageModel model, Options options) {
    this.model = model;
    this.options = options;
    this.engine =
        model.engine(
            Engine.Settings.of(model.packed(), options.sessions())
                .withThreads(options.threads())
                .withKvBytes(options.kvBytes()));
  }

  /** Opens a model with the defaults; see {@link #open(Path, Options)}. */
  public static Jneox open(Path path) {
    return open(path, Options.defaults());
  }

  /**
   * Opens the model in a folder (of HF transformers, of GPT-NeoX, of a run of training, or
   * quantised by us) or in a GGUF file.
   *
   * <p>In a JVM started without {@code --add-modules jdk.incubator.vector} it computes in scalar
   * Java, at a ninth of the rate, and says so once in the log {@code dev.jneox}; see {@link
   * #kernels}.
   *
   * @throws InputException if it is not a whole model
   * @throws dev.jneox.io.MemoryException if it is too large for the memory
   */
  public static Jneox open(Path path, Options options) {
    Objects.requireNonNull(path, "path");
    Kernels.check();
    tellOfScalarKernels();
    LanguageModel model =
        LanguageModel.open(path, options.dtype(), new Loading(options.listener()));
    try {
      model.warning().ifPresent(options.listener()::warning);
      return new Jneox(model, options);
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /** Opens a model by name with the defaults; see {@link #hub(String, Options)}. */
  public static Jneox hub(String name) {
    return hub(name, Options.defaults());
  }

  /**
   * Opens the model {@code ORG/NAME} or {@code ORG/NAME@REVISION} of the Hugging Face Hub or a
   * mirror, fetched the first time and then taken from the cache.
   *
   * @throws InputException if it cannot be had, or as {@link #open(Path, Options)} does
   */
  public static Jneox hub(String name, Options options) {
    HubName parsed = HubName.parse(name);
    Options.Listener listener = options.listener();
    Path path;
    try (Hub hub =
        new Hub(options.hub().orElseGet(HubSettings::ofEnvironment), listener::warning)) {
      path = hub.model(parsed, bytes -> new Download(name, bytes, listener));
    }
    return open(path, options);
  }

  private static void tellOfScalarKernels() {
    if (!Kernels.vectorModule() && TOLD.compareAndSet(false, true)) {
      System.getLogger("dev.jneox")
          .log(
              System.Logger.Level.WARNING,
              "JNeoX computes in scalar Java, at a ninth of the rate it can have: start java with"
                  + " --add-modules jdk.incubator.vector");
    }
  }

  /**
   * Names what multiplies in this process: machine code, the Vector API with the width of its
   * vectors, or scalar Java.
   */
  public static String kernels() {
    return Kernels.description();
  }

  /** Tells a listener how far a download has come. */
  private static final class Download extends Progress {
    private final String model;
    private final Options.Listener listener;

    Download(String model, long bytes, Options.Listener listener) {
      super(bytes);
      this.model = model;
      this.listener = listener;
    }

    @Override
    public void step(long n) {
      super.step(n);
      listener.downloaded(model, done(), total());
    }
  }

  /** Tells a listener how far a model is opened. */
  private static final class Loading extends Progress {
    private final Options.Listener listener;

    Loading(Options.Listener listener) {
      super(-1);
      this.listener = listener;
    }

    @Override
    public void step(long n) {
      super.step(n);
      listener.loaded(done(), total());
    }
  }

  /** Continues a text with the defaults of {@link TextRequest#of}. */
  public Completion complete(String prompt) {
    return complete(TextRequest.of(prompt));
  }

  /**
   * Continues a text and returns when it is done.
   *
   * @throws InputException as {@link #stream} does, or if the model gives no numbers
   * @throws BusyException as {@link #stream} does
   * @throws dev.jneox.io.CancelledException if the thread is interrupted
   * @throws IllegalStateException after {@link #close}, or from a tap
   */
  public Completion complete(TextRequest request) {
    try (TextStream stream = stream(request)) {
      return stream.result();
    }
  }

  /**
   * Starts a text whose pieces the caller pulls as they are drawn; closing the stream cancels.
   *
   * @throws InputException if the prompt does not fit the model, or the model has no tokenizer
   * @throws BusyException if too many requests wait already
   */
  public TextStream stream(TextRequest request) {
    Tokenizer tokenizer = tokenizer();
    return new Generator(engine, tokenizer)
        .stream(request.generation(tokenizer.encode(request.prompt())), request.stop());
  }

  /**
   * Scores a text: every token but the first, each given those before it. Nothing is before the
   * first one, so it has no score. Keys and values are in fp32, and a text beyond the model's
   * context is read in windows, see {@link Scorer}.
   *
   * @throws InputException if the text is empty, or the model has no tokenizer or gives no numbers
   */
  public TextScore score(String text) {
    Objects.requireNonNull(text, "text");
    int[] ids = tokenizer().encode(text);
    if (ids.length == 0) {
      throw new InputException("text to score: expected some text, found none");
    }
    return score(ids, 1);
  }

  /**
   * Scores a continuation given its context. Both are tokenized as one text; the score is that of
   * its tokens from the first one on that the context alone does not begin with. An empty context
   * stands for the beginning of a document, after the end-of-text token.
   *
   * @throws InputException if the continuation is empty, or the model has no tokenizer, no
   *     end-of-text token where it is needed, or gives no numbers
   */
  public TextScore score(String context, String continuation) {
    if (continuation.isEmpty()) {
      throw new InputException("continuation to score: expected some text, found none");
    }
    int[] before = tokenizer().encode(context);
    int[] ids = tokenizer().encode(context + continuation);
    int differs = Arrays.mismatch(before, ids);
    int from = differs < 0 ? ids.length : differs;
    if (from > 0) {
      return score(ids, from);
    }
    int end = spec().vocabulary().endOfText();
    if (end < 0) {
      throw new InputException(
          "empty context: the model has no end-of-text token to begin a document with; give some"
              + " text");
    }
    int[] begun = new int[ids.length + 1];
    begun[0] = end;
    System.arraycopy(ids, 0, begun, 1, ids.length);
    return score(begun, 1);
  }

  private TextScore score(int[] ids, int from) {
    float[] logProbs = scorer().logProbabilities(ids, from);
    StreamingDecoder decoder = new StreamingDecoder(tokenizer());
    for (int i = 0; i < from; i++) {
      decoder.next(ids[i]);
    }
    List<TextPiece> tokens = new ArrayList<>();
    for (int i = from; i < ids.length; i++) {
      String text = decoder.next(ids[i]) + (i == ids.length - 1 ? decoder.finish() : "");
      tokens.add(new TextPiece(new Token(ids[i], logProbs[i - from], List.of()), text));
    }
    return new TextScore(tokens);
  }

  private synchronized Scorer scorer() {
    if (closed) {
      throw new IllegalStateException("the model is closed");
    }
    if (scoringEngine == null) {
      scoringEngine = model.engine(Scorer.settings(model.packed()).withThreads(options.threads()));
    }
    return new Scorer(scoringEngine);
  }

  /**
   * Saves a text with the keys and values that the model has of its beginning, to go on from it in
   * another process without computing them again. The first call reads all weights.
   *
   * @return tokens whose keys and values were saved, a multiple of 64
   * @throws InputException if the model has no tokenizer
   * @throws dev.jneox.io.StorageException if the file cannot be written
   */
  public int saveSession(Path file, String text) {
    return engine.saveSession(file, tokenizer().encode(text), text);
  }

  /**
   * Reads what {@link #saveSession} saved, and returns its text. A request whose prompt begins with
   * this text computes only the tokens behind it. It draws the same tokens as without the file.
   *
   * @throws InputException if the file is not whole, or of another model; nothing has changed then
   * @throws dev.jneox.io.StorageException if the file cannot be read
   */
  public String openSession(Path file) {
    return engine.openSession(file).note();
  }

  /** Returns the model's description. */
  public ModelSpec spec() {
    return model.spec();
  }

  /**
   * Returns the model's tokenizer, valid until {@link #close}.
   *
   * @throws InputException if the model came without one
   */
  public Tokenizer tokenizer() {
    return model.tokenizer();
  }

  /** Returns what the engine of {@link #complete} and {@link #stream} is doing. */
  public Engine.Metrics metrics() {
    return engine.metrics();
  }

  /**
   * Cancels all requests and closes the model; a second time does nothing. Texts in progress end
   * with {@link dev.jneox.infer.FinishReason#CANCELLED}, scores with a {@link
   * dev.jneox.io.CancelledException} or an {@link IllegalStateException}.
   *
   * @throws IllegalStateException from a tap, on whose thread the model runs
   */
  @Override
  public void close() {
    engine.close();
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    if (scoringEngine != null) {
      scoringEngine.close();
    }
    model.close();
  }
}
