package dev.jneox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.jneox.convert.Conversion;
import dev.jneox.convert.WeightType;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.hub.HubSettings;
import dev.jneox.infer.Completion;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.Taps;
import dev.jneox.infer.TextPiece;
import dev.jneox.infer.TextStream;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Vocabulary;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.RandomWeights;
import dev.jneox.weights.StoredModel;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JneoxTest {
  private static final String PROMPT = "int max(int a";
  private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
  private static final TextRequest DRAWN =
      TextRequest.of(PROMPT).withMaxTokens(40).withTemperature(1).withSeed(7);

  private static final Taps NOTHING =
      new Taps() {
        @Override
        public boolean wants(String name) {
          return false;
        }

        @Override
        public void apply(
            String name, float[] values, int at, int width, long sequence, int position) {}
      };

  @TempDir static Path dir;

  private static Jneox model;

  @BeforeAll
  static void openModel() {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("static int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(dir.resolve("tokenizer.json"));
    write(dir.resolve("model"), true);
    write(dir.resolve("mute"), false);
    model = Jneox.open(dir.resolve("model"), Options.defaults().withSessions(4));
  }

  private static void write(Path folder, boolean tokenizer) {
    ModelSpec spec = ModelSpec.neox(320, 64, 2, 4, 512).withVocabulary(new Vocabulary(320, 300, 0));
    HfFolderWriter writer = new HfFolderWriter(folder, spec, Dtype.BF16);
    if (tokenizer) {
      writer.tokenizer(dir.resolve("tokenizer.json"));
    }
    writer.write(new RandomWeights(spec, 1));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @Test
  void completeWritesWhatTheGeneratorDoes() {
    try (LanguageModel loaded = LanguageModel.open(dir.resolve("model"), Precision.STORED)) {
      GenerationRequest request =
          GenerationRequest.builder(loaded.tokenizer().encode(PROMPT))
              .maxTokens(40)
              .sampler(Sampler.GREEDY.withTemperature(1).withSeed(7))
              .build();
      Completion expected = loaded.generator().generate(request, (id, text) -> true);
      Completion found = model.complete(DRAWN);
      assertThat(found.text()).isEqualTo(expected.text()).isNotEmpty();
      assertThat(found.generation().tokens()).isEqualTo(expected.generation().tokens());
      assertThat(found.reason()).isEqualTo(expected.generation().reason());
      assertThat(found.usage()).isEqualTo(expected.generation().usage());
    }
    assertThat(model.complete(PROMPT).generation().ids())
        .isEqualTo(model.complete(TextRequest.of(PROMPT).withMaxTokens(64)).generation().ids())
        .hasSizeGreaterThan(10);
  }

  @Test
  void everySettingOfARequestReachesTheEngine() {
    TextRequest request =
        new TextRequest("a", 3, Sampler.GREEDY, List.of(), DRAWN.logprobs(), Optional.empty())
            .withTemperature(0.5)
            .withTopK(4)
            .withTopP(0.25)
            .withRepetitionPenalty(1.5)
            .withSeed(9)
            .withLogprobs(2)
            .withMaxTokens(5)
            .withStop("x", "y")
            .withTaps(NOTHING)
            .withPrompt("b");
    GenerationRequest found = request.generation(1, 2);
    assertThat(found.promptIds()).containsExactly(1, 2);
    assertThat(found.sampler())
        .isEqualTo(
            Sampler.GREEDY
                .withTemperature(0.5)
                .withTopK(4)
                .withTopP(0.25)
                .withRepetitionPenalty(1.5)
                .withSeed(9));
    assertThat(found.maxTokens()).isEqualTo(5);
    assertThat(found.logprobs()).hasValue(2);
    assertThat(request.stop()).containsExactly("x", "y");
    assertThat(request.prompt()).isEqualTo("b");
    assertThat(found.taps()).hasValue(NOTHING);
  }

  @Test
  void thePiecesOfAStreamAreTheText() {
    Completion expected = model.complete(DRAWN);
    try (TextStream stream = model.stream(DRAWN.withLogprobs(1))) {
      List<TextPiece> pieces = new ArrayList<>();
      stream.forEachRemaining(pieces::add);
      assertThat(pieces.stream().map(TextPiece::text).collect(Collectors.joining()))
          .isEqualTo(expected.text());
      assertThat(pieces.stream().mapToInt(TextPiece::id).toArray())
          .isEqualTo(expected.generation().ids());
      assertThat(pieces).allMatch(piece -> piece.logProb() < 0 && piece.token().top().size() == 1);
      assertThat(stream.result().text()).isEqualTo(expected.text());
      assertThat(stream.result().generation().reason()).isEqualTo(expected.generation().reason());
      assertThatThrownBy(stream::next).isInstanceOf(NoSuchElementException.class);
    }
    assertThat(model.stream(DRAWN).next().logProb()).isNaN();
  }

  @Test
  void aSessionIsTakenUpByAnotherProcess() {
    Path file = dir.resolve("saved");
    String text = PROMPT.repeat(100).substring(0, 240);
    Completion expected = model.complete(DRAWN.withPrompt(text));
    int saved = model.saveSession(file, text);
    assertThat(saved).isPositive();
    try (Jneox later = Jneox.open(dir.resolve("model"))) {
      assertThat(later.openSession(file)).isEqualTo(text);
      Completion found = later.complete(DRAWN.withPrompt(text));
      assertThat(found.generation().tokens()).isEqualTo(expected.generation().tokens());
      assertThat(found.usage().reusedTokens()).isEqualTo(saved);
    }
  }

  @Test
  void aStopStringEndsAStream() {
    String text = model.complete(DRAWN).text();
    String stop = text.substring(10, 13);
    try (TextStream stream = model.stream(DRAWN.withStop(stop))) {
      StringBuilder read = new StringBuilder();
      stream.forEachRemaining(piece -> read.append(piece.text()));
      assertThat(read).hasToString(text.substring(0, text.indexOf(stop)));
      assertThat(stream.result().text()).isEqualTo(read.toString());
      assertThat(stream.result().generation().reason()).isEqualTo(FinishReason.STOP_STRING);
    }
  }

  @Test
  void closingAStreamCancelsIt() throws InterruptedException {
    try (Jneox own = Jneox.open(dir.resolve("model"))) {
      TextStream stream = own.stream(DRAWN.withMaxTokens(400));
      List<Integer> ids = List.of(stream.next().id(), stream.next().id());
      stream.close();
      Completion cut = stream.result();
      assertThat(Arrays.stream(cut.generation().ids()).boxed()).isEqualTo(ids);
      assertThat(cut.generation().reason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(cut.text()).isEqualTo(own.tokenizer().decode(cut.generation().ids()));
      assertThat(stream.hasNext()).isFalse();
      while (own.metrics().active() > 0) {
        Thread.sleep(1);
      }
      assertThat(own.metrics().tokens()).isBetween(2L, 100L);

      TextStream unread = own.stream(DRAWN.withMaxTokens(400));
      unread.close();
      assertThat(unread.result().generation().ids()).isEmpty();
      assertThat(unread.result().text()).isEmpty();
      assertThat(unread.result().generation().reason()).isEqualTo(FinishReason.CANCELLED);
    }
  }

  @Test
  void requestsAtOnceGiveWhatEachGivesAlone() throws Exception {
    TextRequest other = TextRequest.of("return b").withMaxTokens(30);
    Completion first = model.complete(DRAWN);
    Completion second = model.complete(other);
    TextScore score = model.score(PROMPT);
    CountDownLatch start = new CountDownLatch(3);
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Completion> a = threads.submit(() -> together(start, () -> model.complete(DRAWN)));
      Future<Completion> b = threads.submit(() -> together(start, () -> model.complete(other)));
      Future<TextScore> c = threads.submit(() -> together(start, () -> model.score(PROMPT)));
      assertThat(a.get().generation().tokens()).isEqualTo(first.generation().tokens());
      assertThat(b.get().generation().tokens()).isEqualTo(second.generation().tokens());
      assertThat(a.get().text()).isEqualTo(first.text());
      assertThat(b.get().text()).isEqualTo(second.text());
      assertThat(c.get()).isEqualTo(score);
    }
  }

  private static <T> T together(CountDownLatch start, Callable<T> call) throws Exception {
    start.countDown();
    start.await();
    return call.call();
  }

  @Test
  void aScoreIsThatOfTheScorer() {
    String text = "int max é(b)"; // é is two tokens
    TextScore score = model.score(text);
    int[] ids = model.tokenizer().encode(text);
    float[] expected;
    try (LanguageModel loaded = LanguageModel.open(dir.resolve("model"), Precision.STORED)) {
      expected = loaded.scorer().logProbabilities(ids);
    }
    assertThat(score.tokens()).hasSize(ids.length - 1);
    double sum = 0;
    for (int i = 0; i < expected.length; i++) {
      assertThat(score.tokens().get(i).id()).isEqualTo(ids[i + 1]);
      assertThat(score.tokens().get(i).logProb()).isEqualTo(expected[i]);
      sum += expected[i];
    }
    assertThat(score.logProb()).isCloseTo(sum, within(1e-9));
    assertThat(model.tokenizer().decode(new int[] {ids[0]}) + text(score)).isEqualTo(text);
    assertThat(model.score("i").tokens()).isEmpty();
  }

  @Test
  void aContinuationIsScoredAfterItsContext() {
    int[] whole = model.tokenizer().encode("int max(int b");
    int[] context = model.tokenizer().encode("int max(");
    TextScore all = model.score("int max(int b");
    TextScore score = model.score("int max(", "int b");
    assertThat(whole).startsWith(context);
    assertThat(score.tokens())
        .isEqualTo(all.tokens().subList(context.length - 1, whole.length - 1));
    assertThat(text(score)).isEqualTo("int b");

    // After the end-of-text token, id 0, the first token has a score too.
    TextScore begun = model.score("", "int b");
    assertThat(text(begun)).isEqualTo("int b");
    assertThat(begun.tokens()).hasSize(model.score("int b").tokens().size() + 1);
    // A context that the text's tokens do not begin with: its token is scored with the rest.
    assertThat(model.tokenizer().encode("int")).hasSize(1);
    assertThat(text(model.score("in", "t b"))).isEqualTo("int b");
  }

  private static String text(TextScore score) {
    return score.tokens().stream().map(TextPiece::text).collect(Collectors.joining());
  }

  @Test
  void aListenerHearsOfEveryParameterAsAModelIsLoaded() {
    List<Long> values = new ArrayList<>();
    AtomicLong total = new AtomicLong();
    Options.Listener listener =
        new Options.Listener() {
          @Override
          public void loaded(long ready, long all) {
            values.add(ready);
            total.set(all);
          }
        };
    Jneox.open(dir.resolve("model"), Options.defaults().withListener(listener)).close();
    assertThat(total).hasValue(model.spec().parameterCount());
    assertThat(values).isSorted().hasSizeGreaterThan(20);
    assertThat(values.getLast()).isEqualTo(total.get());
  }

  @Test
  void whatCannotBeMetIsNamedInOneLine() {
    refused(() -> Options.defaults().withThreads(0), "threads: expected 1 to 4096, found 0");
    refused(() -> Options.defaults().withSessions(0), "sessions: expected 1 to 65536, found 0");
    refused(
        () -> Options.defaults().withKvBytes(-1),
        "memory for keys and values, in bytes: expected 1 or more, found -1");
    refused(() -> DRAWN.withMaxTokens(0), "max tokens: expected 1 or more, found 0");
    refused(() -> DRAWN.withTopP(2), "top-p: expected a probability from 0 to 1, found 2.0");
    refused(() -> DRAWN.withLogprobs(-1), "logprobs: expected 0 to 1000, found -1");
    refused(() -> DRAWN.withStop(""), "stop string: expected some text, found none");
    refused(() -> model.score(""), "text to score: expected some text, found none");
    refused(() -> model.score("a", ""), "continuation to score: expected some text, found none");
    Path missing = dir.resolve("missing");
    refused(() -> Jneox.open(missing), missing + ": there is no such model folder or file");
    assertThatThrownBy(() -> Jneox.open(dir.resolve("model"), Options.defaults().withKvBytes(100)))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("memory for keys and values: expected ");
  }

  @Test
  void aGgufFileIsOpenedLikeAFolder() {
    Path file = dir.resolve("model.gguf");
    try (StoredModel stored = ModelFiles.open(dir.resolve("model"))) {
      new Conversion(stored, file, Conversion.Format.GGUF, WeightType.F32, 1, 1 << 20)
          .write(bytes -> {});
    }
    Options floats = Options.defaults().withDtype(Precision.F32);
    try (Jneox folder = Jneox.open(dir.resolve("model"), floats);
        Jneox gguf = Jneox.open(file, floats.withThreads(1))) {
      assertThat(gguf.complete(DRAWN).text()).isEqualTo(folder.complete(DRAWN).text());
      assertThat(gguf.score(PROMPT).logProb())
          .isCloseTo(folder.score(PROMPT).logProb(), within(1e-4));
    }
  }

  @Test
  void aModelWithoutATokenizerSaysSoWhenTextIsWanted() {
    try (Jneox mute = Jneox.open(dir.resolve("mute"))) {
      assertThat(mute.spec().width()).isEqualTo(64);
      assertThatThrownBy(() -> mute.complete("a"))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("expected a tokenizer.json");
    }
  }

  @Test
  void aClosedModelTakesNoRequests() {
    Jneox own = Jneox.open(dir.resolve("model"));
    own.close();
    own.close();
    assertThatThrownBy(() -> own.complete("a")).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> own.score("ab")).isInstanceOf(IllegalStateException.class);
  }

  private static void refused(ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(InputException.class).hasMessage(message);
  }

  @Test
  void aModelOfTheHubIsFetchedOnceAndTheListenerHearsOfIt() throws Exception {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    List<String> asked = Collections.synchronizedList(new ArrayList<>());
    String listing = listing();
    server.createContext(
        "/",
        exchange -> {
          asked.add(exchange.getRequestURI().getPath());
          answer(exchange, listing);
        });
    server.start();
    try {
      AtomicLong fetched = new AtomicLong();
      AtomicLong total = new AtomicLong();
      Options options =
          Options.defaults()
              .withHub(
                  HubSettings.of(Map.of(), dir)
                      .withCache(dir.resolve("cache"))
                      .withEndpoint("http://127.0.0.1:" + server.getAddress().getPort()))
              .withListener(
                  new Options.Listener() {
                    @Override
                    public void downloaded(String name, long bytes, long totalBytes) {
                      assertThat(name).isEqualTo("org/model");
                      fetched.accumulateAndGet(bytes, Math::max);
                      total.set(totalBytes);
                    }
                  });
      try (Jneox fetchedModel = Jneox.hub("org/model", options)) {
        assertThat(fetchedModel.complete(DRAWN).text()).isEqualTo(model.complete(DRAWN).text());
      }
      assertThat(fetched).hasValue(total.get()).hasPositiveValue();
      asked.clear();
      Jneox.hub("org/model", options).close();
      assertThat(asked).isEmpty();
      assertThatThrownBy(() -> Jneox.hub("no name", options)).isInstanceOf(InputException.class);
    } finally {
      server.stop(0);
    }
  }

  private static void answer(HttpExchange exchange, String listing) throws IOException {
    String path = exchange.getRequestURI().getPath();
    byte[] body =
        path.equals("/api/models/org/model/revision/main")
            ? listing.getBytes(StandardCharsets.UTF_8)
            : Files.readAllBytes(dir.resolve("model").resolve(path.replaceAll(".*/", "")));
    boolean head = exchange.getRequestMethod().equals("HEAD");
    exchange.getResponseHeaders().set("X-Repo-Commit", COMMIT);
    exchange.sendResponseHeaders(200, head ? -1 : body.length);
    if (!head) {
      exchange.getResponseBody().write(body);
    }
    exchange.close();
  }

  private static String listing() throws Exception {
    StringBuilder files = new StringBuilder();
    try (DirectoryStream<Path> folder = Files.newDirectoryStream(dir.resolve("model"))) {
      for (Path file : folder) {
        byte[] bytes = Files.readAllBytes(file);
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes);
        files.append(
            String.format(
                "%s{\"rfilename\":\"%s\",\"size\":%d,\"lfs\":{\"size\":%3$d,\"sha256\":\"%s\"}}",
                files.isEmpty() ? "" : ",",
                file.getFileName(),
                bytes.length,
                HexFormat.of().formatHex(hash)));
      }
    }
    return String.format("{\"id\":\"org/model\",\"sha\":\"%s\",\"siblings\":[%s]}", COMMIT, files);
  }

  /** Converts, quantises, opens, writes and scores in a JVM of its own, and prints what comes. */
  static final class WithoutVectors {
    public static void main(String[] args) {
      Path source = Path.of(args[0]);
      Path target = Path.of(args[1]);
      System.out.println(Jneox.kernels());
      try (StoredModel stored = ModelFiles.open(source)) {
        for (WeightType type : List.of(WeightType.F32, WeightType.Q8_0, WeightType.Q4_0)) {
          Path folder = target.resolve(type.name());
          new Conversion(stored, folder, Conversion.Format.HF, type, 1, 1 << 20).write(n -> {});
        }
      }
      for (WeightType type : List.of(WeightType.F32, WeightType.Q8_0, WeightType.Q4_0)) {
        try (Jneox model = Jneox.open(target.resolve(type.name()))) {
          System.out.println(Arrays.toString(model.complete(PROMPT).generation().ids()));
          System.out.println(model.score(PROMPT).logProb());
        }
      }
    }
  }

  @Tag("slow")
  @Test
  void aJvmWithoutTheVectorModuleComputesInScalarJavaAndSaysSoOnce() throws Exception {
    Path target = Files.createDirectory(dir.resolve("scalar"));
    Path errors = dir.resolve("errors.txt");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                WithoutVectors.class.getName(),
                dir.resolve("model").toString(),
                target.toString())
            .redirectError(errors.toFile())
            .start();
    List<String> lines = process.inputReader().lines().toList();
    assertThat(process.waitFor()).as(Files.readString(errors)).isZero();
    assertThat(lines).hasSize(7).startsWith("scalar Java");
    assertThat(Files.readString(errors))
        .containsOnlyOnce("scalar Java")
        .contains("start java with --add-modules jdk.incubator.vector");
    int line = 1;
    for (WeightType type : List.of(WeightType.F32, WeightType.Q8_0, WeightType.Q4_0)) {
      try (Jneox ours = Jneox.open(target.resolve(type.name()))) {
        assertThat(lines.get(line++))
            .isEqualTo(Arrays.toString(ours.complete(PROMPT).generation().ids()));
        assertThat(Double.parseDouble(lines.get(line++)))
            .isCloseTo(ours.score(PROMPT).logProb(), within(1e-4));
      }
    }
  }
}
