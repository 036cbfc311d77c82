package dev.jneox.hub;

import static dev.jneox.hub.FakeHub.COMMIT;
import static dev.jneox.hub.FakeHub.LISTING;
import static dev.jneox.hub.FakeHub.NAME;
import static dev.jneox.hub.FakeHub.answer;
import static dev.jneox.hub.FakeHub.path;
import static dev.jneox.hub.FakeHub.redirect;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.NullUnmarked;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The hub's client against a server that does what servers do. */
@NullUnmarked // a test fails by itself where a value is absent
@Timeout(20)
@Tag("slow")
class HubTest {
  private static final RetryPolicy QUICK =
      new RetryPolicy(
          4,
          Duration.ofMillis(1),
          Duration.ofMillis(4),
          Duration.ofSeconds(3),
          Duration.ofSeconds(10),
          Duration.ofSeconds(10),
          1,
          1000);

  /** For the tests of waiting itself. */
  private static final RetryPolicy SHORT =
      new RetryPolicy(
          9,
          Duration.ofMillis(1),
          Duration.ofMillis(4),
          Duration.ofSeconds(3),
          Duration.ofMillis(700),
          Duration.ofMillis(300),
          50,
          1000);

  private static final String WEIGHTS = "model.safetensors";
  private static final String WEIGHTS_PATH = path(WEIGHTS);
  private static final int SIZE = 100_000;

  @TempDir private Path cache;

  private final FakeHub server = FakeHub.withModel(SIZE);

  @AfterEach
  void stop() {
    server.close();
  }

  private HubSettings settings() {
    return new HubSettings(URI.create(server.address()), cache, Optional.empty(), false, 4, QUICK);
  }

  private Hub.Download download() {
    return download(settings(), Selection.MODEL);
  }

  private static Hub.Download download(HubSettings settings, Selection selection) {
    try (Hub hub = new Hub(settings)) {
      return hub.download(NAME, selection, bytes -> Progress.silent());
    }
  }

  private Path blob(String file) {
    return cache.resolve("models--org--model/blobs").resolve(server.hash(file));
  }

  private void assertWhole(Hub.Download done) {
    for (String file : List.of("config.json", "tokenizer.json", WEIGHTS)) {
      assertThat(done.folder().resolve(file)).as(file).hasBinaryContent(server.files.get(file));
    }
    assertNothingPartial();
    assertThat(new Hub(settings().asOffline()).cached(NAME)).contains(done.folder());
  }

  private void assertNothingPartial() {
    try (Stream<Path> all = Files.walk(cache)) {
      assertThat(all.map(Path::toString))
          .noneMatch(name -> name.endsWith("partial") || name.endsWith("incomplete"));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** Nothing under a final name, and nothing that {@code cached} would take for a model. */
  private void assertNoModel() {
    assertThat(blob(WEIGHTS)).doesNotExist();
    assertThat(new Hub(settings().asOffline()).cached(NAME)).isEmpty();
    assertThatThrownBy(() -> download(settings().asOffline(), Selection.MODEL))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("offline");
  }

  @Test
  void theCommandAdvisedOfflineHasTheRevision() {
    HubName other = NAME.at("step3000");
    try (Hub hub = new Hub(settings().asOffline())) {
      assertThatThrownBy(() -> hub.download(other, Selection.MODEL, bytes -> Progress.silent()))
          .hasMessageEndingWith("run \"jneox download org/model@step3000\" online");
      assertThatThrownBy(() -> hub.download(NAME, Selection.MODEL, bytes -> Progress.silent()))
          .hasMessageEndingWith("run \"jneox download org/model\" online");
    }
  }

  private void assertRefused(String... words) {
    assertThatThrownBy(this::download)
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(words)
        .message()
        .doesNotContain("\n");
    assertNoModel();
  }

  // What it is for.

  @Test
  void filesLieWhereHuggingfaceHubPutsThem() throws IOException {
    Hub.Download done = download();
    assertWhole(done);
    Path repository = cache.resolve("models--org--model");
    assertThat(done.folder()).isEqualTo(repository.resolve("snapshots").resolve(COMMIT));
    assertThat(Files.readSymbolicLink(done.folder().resolve(WEIGHTS)))
        .hasToString("../../blobs/" + server.hash(WEIGHTS));
    assertThat(repository.resolve("refs/main")).hasContent(COMMIT);
    assertThat(repository.resolve("trees").resolve(COMMIT + ".json"))
        .content()
        .contains("\"format_version\" : 1");
    assertThat(cache.resolve("CACHEDIR.TAG"))
        .content()
        .startsWith("Signature: 8a477f597d28d172789f06886806bc55");
    assertThat(done.fetchedBytes())
        .isEqualTo(server.files.values().stream().mapToInt(bytes -> bytes.length).sum());
  }

  @Test
  void whatIsThereIsNotFetchedAgainAndNeedsNoServerOffline() {
    download();
    server.requests.clear();
    Hub.Download again = download();
    assertThat(again.fetchedBytes()).isZero();
    assertThat(server.requests).extracting(FakeHub.Request::path).containsExactly(LISTING);
    server.close();
    assertThat(download(settings().asOffline(), Selection.MODEL).folder())
        .isEqualTo(again.folder());
    try (Hub hub = new Hub(settings())) {
      assertThat(hub.model(NAME, bytes -> Progress.silent())).isEqualTo(again.folder());
      assertThat(hub.model(NAME.at(COMMIT), bytes -> Progress.silent())).isEqualTo(again.folder());
    }
  }

  @Test
  void ofWeightsInSeveralFormsTheSafetensorsAreFetched() {
    for (String file :
        List.of(
            "pytorch_model.bin",
            "tf_model.h5",
            "onnx/model.onnx",
            "README.md",
            "model.fp16.safetensors")) {
      server.files.put(file, FakeHub.bytes(10));
    }
    Hub.Download done = download();
    assertWhole(done);
    assertThat(done.files())
        .extracting(HubFile::name)
        .containsExactly("config.json", WEIGHTS, "tokenizer.json");
    assertThat(done.left())
        .extracting(HubFile::name)
        .containsExactly(
            "README.md",
            "model.fp16.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "tf_model.h5");
  }

  @Test
  void includeAndExcludeChooseByPattern() {
    server.files.put("onnx/sub/model.onnx", FakeHub.bytes(10));
    server.files.put("a b/ü%.txt", FakeHub.bytes(11));
    Hub.Download done =
        download(settings(), new Selection(List.of("onnx/*", "*.txt", "*.json"), List.of("tok*")));
    assertThat(done.files())
        .extracting(HubFile::name)
        .containsExactly("a b/ü%.txt", "config.json", "onnx/sub/model.onnx");
    assertThat(done.folder().resolve("a b/ü%.txt")).hasBinaryContent(FakeHub.bytes(11));
    assertThat(done.folder().resolve("onnx/sub/model.onnx")).hasBinaryContent(FakeHub.bytes(10));
    assertNoModel();
    assertThatThrownBy(() -> download(settings(), new Selection(List.of("nothing*"), List.of())))
        .hasMessageContaining("expected files matching [nothing*], found a b/ü%.txt, config.json");
  }

  @Test
  void filesOfTheSameBytesAreFetchedOnce() {
    server.files.put("generation_config.json", server.files.get("tokenizer.json"));
    Hub.Download done = download();
    assertWhole(done);
    assertThat(done.folder().resolve("generation_config.json")).hasContent("{}");
    assertThat(server.count(path("tokenizer.json")) + server.count(path("generation_config.json")))
        .isEqualTo(1);
  }

  @Test
  void anEmptyFileIsAFile() {
    server.files.put("merges.txt", new byte[0]);
    assertThat(download().folder().resolve("merges.txt")).isEmptyFile();
  }

  @Test
  void aGgufFileAloneIsTheModel() {
    server.files.keySet().removeIf(name -> true);
    server.files.put("tiny.Q8_0.gguf", FakeHub.bytes(50));
    assertThat(download().model()).isEqualTo(download().folder().resolve("tiny.Q8_0.gguf"));
    server.files.put("tiny.Q4_0.gguf", FakeHub.bytes(40));
    assertThatThrownBy(this::download)
        .hasMessageContaining("found tiny.Q4_0.gguf, tiny.Q8_0.gguf; choose files with --include");
  }

  @Test
  void thePartsOfASplitGgufFileAreOneModel() {
    server.files.keySet().removeIf(name -> true);
    server.files.put("tiny-00001-of-00002.gguf", FakeHub.bytes(50));
    server.files.put("tiny-00002-of-00002.gguf", FakeHub.bytes(40));
    assertThat(download().model())
        .isEqualTo(download().folder().resolve("tiny-00001-of-00002.gguf"))
        .hasSize(50);
    assertThat(download().folder().resolve("tiny-00002-of-00002.gguf")).hasSize(40);
  }

  @Test
  void shardsThatTheIndexNamesMustAllBeThere() {
    server.files.remove(WEIGHTS);
    server.files.put("model-00001-of-00002.safetensors", FakeHub.bytes(70));
    server.files.put(
        "model.safetensors.index.json",
        "{\"weight_map\": {\"a\": \"model-00001-of-00002.safetensors\", \"b\": \"model-00002-of-00002.safetensors\"}}"
            .getBytes(StandardCharsets.UTF_8));
    assertThatThrownBy(this::download)
        .isInstanceOf(InputException.class)
        .hasMessageContaining("no whole model: it lacks model-00002-of-00002.safetensors");
    assertThat(new Hub(settings()).cached(NAME.at(COMMIT))).isEmpty();
    server.files.put("model-00002-of-00002.safetensors", FakeHub.bytes(60));
    Hub.Download done = download();
    assertThat(done.folder().resolve("model-00002-of-00002.safetensors"))
        .hasBinaryContent(FakeHub.bytes(60));
    assertThat(new Hub(settings()).cached(NAME)).contains(done.folder());
  }

  @Test
  void aServerWithoutSizesAndHashesIsAskedForEachFile() {
    String bare =
        server
            .listing()
            .replaceAll("\"size\": \\d+, ", "")
            .replaceAll(", \"?lfs\"?: \\{[^}]*}", "")
            .replaceAll(", \"blobId\": \"\\w+\"", "");
    server.always.put(
        LISTING,
        answer(
            200,
            "",
            bare.replaceAll("\"blobId\": \"\\w+\"", "\"x\": 1").getBytes(StandardCharsets.UTF_8)));
    server.always.put(
        WEIGHTS_PATH,
        (request, out) -> {
          if (request.method().equals("HEAD")) {
            String linked =
                "X-Linked-Size: "
                    + SIZE
                    + "\r\nX-Linked-Etag: \""
                    + server.hash(WEIGHTS)
                    + "\"\r\nLocation: /elsewhere\r\n";
            answer(302, linked, new byte[0]).write(request, out);
          } else {
            server.good(request, out);
          }
        });
    assertWhole(download());
    server.next(path("config.json"), answer(200, "ETag: W/\"odd\"\r\n", new byte[5]));
    Path other = cache.resolve("other");
    assertThatThrownBy(() -> download(settings().withCache(other), Selection.MODEL))
        .hasMessageContaining("expected a server that tells size and hash, found \"odd\"");
  }

  // Connections that break.

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 999, SIZE - 1})
  void aDroppedConnectionIsTakenUpWhereItBroke(int at) {
    server.next(WEIGHTS_PATH, server.dropAfter(at));
    assertWhole(download());
    FakeHub.Request second =
        server.requests.stream()
            .filter(r -> r.path().equals(WEIGHTS_PATH))
            .skip(1)
            .findFirst()
            .orElseThrow();
    assertThat(second.header("Range")).isEqualTo(at == 0 ? "" : "bytes=" + at + "-");
  }

  @Test
  void aServerThatDropsOftenButGetsFurtherIsBornWith() {
    for (int i = 0; i < 40; i++) {
      server.next(WEIGHTS_PATH, server.dropAfter(2000));
    }
    Hub.Download done = download();
    assertWhole(done);
    assertThat(server.count(WEIGHTS_PATH)).isEqualTo(41);
    assertThat(done.fetchedBytes()).isEqualTo(SIZE + server.files.get("config.json").length + 2);
  }

  @Test
  void aServerThatDropsWithoutGettingFurtherIsGivenUp() {
    server.always.put(WEIGHTS_PATH, server.dropAfter(10));
    assertRefused("org/model, file \"model.safetensors\": gave up after 4 tries");
    assertThat(server.count(WEIGHTS_PATH)).isEqualTo(4);
    server.always.clear();
    Hub.Download done = download();
    assertWhole(done);
    assertThat(done.fetchedBytes()).as("the 40 bytes are kept").isEqualTo(SIZE - 40);
  }

  @Test
  void aShortBodyWithoutLengthIsTakenUp() {
    server.next(
        WEIGHTS_PATH,
        (request, out) -> {
          out.write(
              "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
          out.write(server.files.get(WEIGHTS), 0, 5000);
        });
    assertWhole(download());
    assertThat(server.last(WEIGHTS_PATH).header("Range")).isEqualTo("bytes=5000-");
  }

  @ParameterizedTest
  @ValueSource(ints = {SIZE - 1, SIZE + 1, 0, Integer.MAX_VALUE})
  void aWrongContentLengthIsNotBelieved(int length) {
    FakeHub.Reply wrong =
        (request, out) -> {
          FakeHub.head(out, 200, "", length);
          out.write(server.files.get(WEIGHTS), 0, Math.min(SIZE, length));
        };
    server.next(WEIGHTS_PATH, wrong);
    assertWhole(download());
    server.always.put(WEIGHTS_PATH, wrong);
    assertThatThrownBy(
            () -> download(settings().withCache(cache.resolve("other")), Selection.MODEL))
        .hasMessageContaining("expected " + SIZE + " bytes, the server announces " + length);
  }

  @Test
  void moreBytesThanThereShouldBeAreNotWritten() {
    FakeHub.Reply endless =
        (request, out) -> {
          out.write(
              "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
          for (int i = 0; i < 1000; i++) {
            out.write(new byte[SIZE]);
          }
        };
    server.next(WEIGHTS_PATH, endless);
    assertWhole(download());
    server.always.put(WEIGHTS_PATH, endless);
    assertThatThrownBy(
            () -> download(settings().withCache(cache.resolve("other")), Selection.MODEL))
        .hasMessageContaining("expected " + SIZE + " bytes, the server sends more");
  }

  @Test
  void aServerThatTricklesOrFallsSilentIsLeft() {
    FakeHub.Reply silent =
        (request, out) -> {
          FakeHub.head(out, 200, "", SIZE);
          out.write(server.files.get(WEIGHTS), 0, 3000);
          out.flush();
          Thread.sleep(5000);
        };
    FakeHub.Reply trickle =
        (request, out) -> {
          FakeHub.head(
              out,
              206,
              "Content-Range: bytes 3000-" + (SIZE - 1) + "/" + SIZE + "\r\n",
              SIZE - 3000);
          for (int i = 3000; i < SIZE; i++) {
            out.write(server.files.get(WEIGHTS)[i]);
            out.flush();
            Thread.sleep(40);
          }
        };
    server.next(WEIGHTS_PATH, silent, trickle);
    assertWhole(download(settings().withRetries(SHORT), Selection.MODEL));
    assertThat(server.count(WEIGHTS_PATH)).isGreaterThanOrEqualTo(3);
  }

  @Test
  void anAnswerThatNeverBeginsIsTriedAgain() {
    server.next(LISTING, (request, out) -> Thread.sleep(5000));
    server.next(WEIGHTS_PATH, (request, out) -> Thread.sleep(5000), (request, out) -> {});
    assertWhole(download(settings().withRetries(SHORT), Selection.MODEL));
    assertThat(server.count(LISTING)).isGreaterThanOrEqualTo(2);
    assertThat(server.count(WEIGHTS_PATH)).isGreaterThanOrEqualTo(3);
  }

  @Test
  void whatIsNoHttpIsTriedAgain() {
    server.next(
        WEIGHTS_PATH,
        (request, out) ->
            out.write("SSH-2.0-OpenSSH_9\r\n\r\n".getBytes(StandardCharsets.US_ASCII)));
    assertWhole(download());
  }

  @Test
  void aServerThatIsNotThereIsNamed() {
    server.close();
    assertUnreachable(settings(), "no connection to " + server.address() + ": connection refused");
  }

  @Test
  void aHostThatIsUnknownIsNotTriedAgain() {
    assertUnreachable(
        settings().withEndpoint("http://hub.invalid"),
        "no connection to http://hub.invalid: unknown host");
    server.always.put(WEIGHTS_PATH, redirect("http://cdn.invalid/x?s3cr3t"));
    assertUnreachable(settings(), "no connection to http://cdn.invalid: unknown host");
  }

  /** The other downloads are stopped then; that is no failure of theirs that is tried again. */
  @Test
  void whatIsStoppedWhileItReadsIsNotTriedAgain() {
    CountDownLatch reading = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    byte[] tokenizer = server.files.get("tokenizer.json");
    server.next(
        path("tokenizer.json"),
        (request, out) -> {
          FakeHub.head(out, 200, "", tokenizer.length);
          out.write(tokenizer, 0, 1);
          out.flush();
          reading.countDown();
          stopped.await(10, TimeUnit.SECONDS);
        });
    server.always.put(
        WEIGHTS_PATH,
        (request, out) -> {
          reading.await();
          Thread.sleep(100);
          redirect("http://cdn.invalid/x?s3cr3t").write(request, out);
        });
    try {
      assertUnreachable(settings(), "no connection to http://cdn.invalid: unknown host");
    } finally {
      stopped.countDown();
    }
  }

  @Test
  void aCertificateThatIsNotTrustedIsNotTriedAgain() throws Exception {
    Path store = cache.resolve("store.p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "a",
                "-keyalg",
                "EC",
                "-dname",
                "CN=localhost",
                "-storetype",
                "PKCS12",
                "-storepass",
                "changeit",
                "-keystore",
                store.toString())
            .redirectErrorStream(true)
            .start();
    assertThat(keytool.waitFor()).isZero();
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(
        KeyStore.getInstance(store.toFile(), "changeit".toCharArray()), "changeit".toCharArray());
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), null, null);
    AtomicInteger connections = new AtomicInteger();
    try (SSLServerSocket socket =
        (SSLServerSocket)
            context
                .getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      Thread.ofVirtual()
          .start(
              () -> {
                while (!socket.isClosed()) {
                  try (SSLSocket client = (SSLSocket) socket.accept()) {
                    connections.incrementAndGet();
                    client.startHandshake();
                  } catch (IOException e) {
                    // The client leaves, or the test is over.
                  }
                }
              });
      String address = "https://localhost:" + socket.getLocalPort();
      List<String> retries = new CopyOnWriteArrayList<>();
      try (Hub hub = new Hub(settings().withEndpoint(address), retries::add)) {
        assertThatThrownBy(() -> hub.download(NAME, Selection.MODEL, bytes -> Progress.silent()))
            .isInstanceOf(InputException.class)
            .hasMessageStartingWith(
                "org/model: the certificate of "
                    + address
                    + " is not trusted: unable to find valid certification path")
            .hasMessageContaining("JNEOX_JAVA_OPTS=-Djavax.net.ssl.trustStore=trust.p12");
      }
      assertThat(retries).isEmpty();
      assertThat(connections).hasValue(1);
    }
  }

  @Test
  void aCertificateOfAnotherHostIsFinal() {
    SSLHandshakeException failure = new SSLHandshakeException("(certificate_unknown)");
    failure.initCause(new CertificateException("No name matching hub.test found"));
    assertThat(
            new ServerErrors(settings())
                .unreachable(NAME, URI.create("https://hub.test/x"), new IOException(failure)))
        .get()
        .extracting(Throwable::getMessage)
        .isEqualTo(
            "org/model: the certificate of https://hub.test is not accepted: No name matching"
                + " hub.test found; check the address in HF_ENDPOINT and the clock of this"
                + " machine");
    assertThat(
            new ServerErrors(settings())
                .unreachable(
                    NAME,
                    URI.create("https://hub.test/x"),
                    new SSLException("Remote host terminated the handshake")))
        .as("a broken connection is tried again")
        .isEmpty();
  }

  private void assertUnreachable(HubSettings settings, String message) {
    List<String> retries = new CopyOnWriteArrayList<>();
    try (Hub hub = new Hub(settings, retries::add)) {
      assertThatThrownBy(() -> hub.download(NAME, Selection.MODEL, bytes -> Progress.silent()))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith("org/model: " + message + "; ")
          .hasMessageContainingAll("HF_ENDPOINT", "HF_HUB_OFFLINE=1", cache.toString());
    }
    assertThat(retries).isEmpty();
    assertNoModel();
  }

  @Test
  void everyRetryIsTold() {
    server.next(LISTING, answer(503), answer(503));
    server.next(WEIGHTS_PATH, server.dropAfter(10));
    List<String> retries = new CopyOnWriteArrayList<>();
    try (Hub hub = new Hub(settings(), retries::add)) {
      assertWhole(hub.download(NAME, Selection.MODEL, bytes -> Progress.silent()));
    }
    String listing =
        "org/model: the listing of "
            + server.address()
            + ": "
            + server.address()
            + LISTING
            + " answered 503; try ";
    assertThat(retries).hasSize(3);
    assertThat(retries.get(0)).startsWith(listing + "2 of 4 in 0.").endsWith(" s");
    assertThat(retries.get(1)).startsWith(listing + "3 of 4 in 0.");
    assertThat(retries.get(2))
        .startsWith("org/model, file \"model.safetensors\": ")
        .contains("; try 2 of 4 in 0.");
  }

  // Servers that are busy.

  @ParameterizedTest
  @ValueSource(ints = {408, 429, 500, 502, 503, 504})
  void aBusyServerIsAskedAgain(int status) {
    server.next(LISTING, answer(status), answer(status));
    server.next(WEIGHTS_PATH, answer(status), answer(status), answer(status));
    assertWhole(download());
    assertThat(server.count(WEIGHTS_PATH)).isEqualTo(4);
    server.always.put(LISTING, answer(status));
    assertThatThrownBy(this::download)
        .hasMessageContainingAll("gave up after 4 tries", "answered " + status);
  }

  @Test
  void retryAfterIsObeyedInSecondsAndAsADate() {
    server.next(LISTING, answer(429, "Retry-After: 1\r\n", new byte[0]));
    long start = System.nanoTime();
    download();
    assertThat(System.nanoTime() - start).isGreaterThan(1_000_000_000L);
    String date =
        DateTimeFormatter.RFC_1123_DATE_TIME.format(
            ZonedDateTime.now(ZoneOffset.UTC).plusSeconds(2));
    server.next(LISTING, answer(503, "Retry-After: " + date + "\r\n", new byte[0]));
    start = System.nanoTime();
    download();
    assertThat(System.nanoTime() - start).isGreaterThan(900_000_000L);
  }

  @Test
  void aServerThatAsksToWaitForHoursIsNotWaitedFor() {
    server.always.put(LISTING, answer(429, "Retry-After: 7200\r\n", new byte[0]));
    assertRefused("asks to wait 7200 s");
    assertThat(server.count(LISTING)).isEqualTo(1);
  }

  // Bytes that are wrong.

  @Test
  void bytesOfAnotherHashAreFetchedAgainOnceAndThenRefused() {
    byte[] wrong = FakeHub.bytes(SIZE);
    wrong[SIZE / 2] ^= 1;
    server.next(WEIGHTS_PATH, answer(200, "", wrong));
    assertWhole(download());
    server.always.put(
        path("config.json"), answer(200, "", new byte[server.files.get("config.json").length]));
    Path other = cache.resolve("other");
    long before = server.count(path("config.json"));
    assertThatThrownBy(() -> download(settings().withCache(other), Selection.MODEL))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(
            "file \"config.json\": expected git blob id " + server.hash("config.json"),
            "found",
            "nothing of it was kept");
    assertThat(server.count(path("config.json")) - before).isEqualTo(2);
    assertThat(other.resolve("models--org--model/blobs").resolve(server.hash("config.json")))
        .doesNotExist();
    assertThat(
            BlobDownload.partial(
                other.resolve("models--org--model/blobs").resolve(server.hash("config.json"))))
        .doesNotExist();
    assertThat(new Hub(settings().withCache(other)).cached(NAME)).isEmpty();
  }

  @Test
  void aWrongBeginningOfAnEarlierRunIsThrownAway() throws IOException {
    Files.createDirectories(blob(WEIGHTS).getParent());
    Files.write(BlobDownload.partial(blob(WEIGHTS)), new byte[4000]);
    server.next(WEIGHTS_PATH, server::good, answer(200, "", new byte[SIZE]));
    assertWhole(download());
    assertThat(server.count(WEIGHTS_PATH))
        .as("the rest, the whole with a wrong hash, the whole")
        .isEqualTo(3);
  }

  @ParameterizedTest
  @ValueSource(ints = {4000, SIZE, SIZE + 7})
  void aBeginningOfAnEarlierRunIsTakenUp(int there) throws IOException {
    Files.createDirectories(blob(WEIGHTS).getParent());
    Files.write(
        BlobDownload.partial(blob(WEIGHTS)), Arrays.copyOf(server.files.get(WEIGHTS), there));
    Hub.Download done = download();
    assertWhole(done);
    int small = server.files.get("config.json").length + 2;
    assertThat(done.fetchedBytes())
        .isEqualTo(there == 4000 ? SIZE - 4000 + small : there == SIZE ? small : SIZE + small);
  }

  @Test
  void aServerThatIgnoresRangesSendsTheWholeFile() {
    server.next(WEIGHTS_PATH, server.dropAfter(5000), answer(200, "", server.files.get(WEIGHTS)));
    assertWhole(download());
    assertThat(server.count(WEIGHTS_PATH)).isEqualTo(2);
  }

  @Test
  void aRangeThatIsRefusedOrWrongStartsOver() {
    byte[] file = server.files.get(WEIGHTS);
    server.next(WEIGHTS_PATH, server.dropAfter(5000), answer(416));
    assertWhole(download());
    assertThat(server.last(WEIGHTS_PATH).header("Range")).isEmpty();

    String otherRange = "Content-Range: bytes 4000-" + (SIZE - 1) + "/" + SIZE + "\r\n";
    server.next(
        WEIGHTS_PATH,
        server.dropAfter(5000),
        answer(206, otherRange, Arrays.copyOfRange(file, 4000, SIZE)));
    download(settings().withCache(cache.resolve("2")), Selection.MODEL);
    server.next(
        WEIGHTS_PATH,
        server.dropAfter(5000),
        answer(206, "", Arrays.copyOfRange(file, 5000, SIZE)));
    download(settings().withCache(cache.resolve("3")), Selection.MODEL);
    String otherSize = "Content-Range: bytes 5000-" + (SIZE - 1) + "/" + (SIZE + 5) + "\r\n";
    server.next(
        WEIGHTS_PATH,
        server.dropAfter(5000),
        answer(206, otherSize, Arrays.copyOfRange(file, 5000, SIZE)));
    download(settings().withCache(cache.resolve("4")), Selection.MODEL);
    server.next(
        WEIGHTS_PATH,
        answer(206, "Content-Range: bytes 0-9/" + SIZE + "\r\n", Arrays.copyOf(file, 10)));
    download(settings().withCache(cache.resolve("5")), Selection.MODEL);
    for (String run : List.of("2", "3", "4", "5")) {
      assertThat(cache.resolve(run + "/models--org--model/blobs/" + server.hash(WEIGHTS)))
          .hasBinaryContent(file);
    }
    server.always.put(WEIGHTS_PATH, answer(416));
    assertThatThrownBy(() -> download(settings().withCache(cache.resolve("6")), Selection.MODEL))
        .hasMessageContaining("answered 416 to a request for the whole file");
  }

  @Test
  void anotherVersionBehindTheSameAddressStartsOver() {
    FakeHub.Reply otherVersion =
        (request, out) -> {
          String headers =
              "ETag: \"other\"\r\nContent-Range: bytes "
                  + request.from()
                  + "-"
                  + (SIZE - 1)
                  + "/"
                  + SIZE
                  + "\r\n";
          answer(206, headers, new byte[SIZE - request.from()]).write(request, out);
        };
    server.next(WEIGHTS_PATH, server.dropAfter(5000), otherVersion);
    assertWhole(download());
    assertThat(server.last(WEIGHTS_PATH).header("Range")).as("all of it").isEmpty();
    assertThat(server.count(WEIGHTS_PATH)).isEqualTo(3);
  }

  @Test
  void anAnswerOfAnotherCommitIsRefused() {
    server.always.put(
        WEIGHTS_PATH,
        answer(200, "X-Repo-Commit: " + "f".repeat(40) + "\r\n", server.files.get(WEIGHTS)));
    assertRefused("expected commit " + COMMIT + ", found ffff");
  }

  @Test
  void packedAnswersAreUnpacked() throws IOException {
    server.next(
        LISTING,
        answer(
            200,
            "Content-Encoding: gzip\r\n",
            gzip(server.listing().getBytes(StandardCharsets.UTF_8))));
    server.next(
        WEIGHTS_PATH, answer(200, "Content-Encoding: gzip\r\n", gzip(server.files.get(WEIGHTS))));
    assertWhole(download());
    byte[] half = Arrays.copyOf(gzip(server.files.get(WEIGHTS)), SIZE / 2);
    server.next(
        WEIGHTS_PATH,
        answer(200, "Content-Encoding: gzip\r\n", half),
        answer(206, "Content-Encoding: gzip\r\n", half));
    download(settings().withCache(cache.resolve("2")), Selection.MODEL);
    server.always.put(
        WEIGHTS_PATH, answer(200, "Content-Encoding: gzip\r\n", gzip(new byte[SIZE * 100])));
    assertThatThrownBy(() -> download(settings().withCache(cache.resolve("3")), Selection.MODEL))
        .hasMessageContaining("expected " + SIZE + " bytes, the server sends more");
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
      out.write(bytes);
    }
    return packed.toByteArray();
  }

  @Test
  void aTruncatedBlobOfAnotherProgramIsReplaced() throws IOException {
    download();
    Files.write(blob(WEIGHTS), new byte[100]);
    assertThat(new Hub(settings()).cached(NAME)).isEmpty();
    assertThatThrownBy(() -> download(settings().asOffline(), Selection.MODEL))
        .hasMessageContaining("it lacks model.safetensors");
    assertWhole(download());
  }

  // Redirects.

  @Test
  void theTokenGoesToTheEndpointAndToNobodyElse() {
    try (FakeHub cdn = FakeHub.withModel(SIZE)) {
      server.always.put(WEIGHTS_PATH, redirect("/moved/1"));
      server.always.put(
          "/moved/1", redirect(cdn.address() + WEIGHTS_PATH + "?X-Amz-Signature=s3cr3t"));
      HubSettings settings = settings().withToken("hf_secret");
      assertThat(settings.toString()).doesNotContain("hf_secret");
      assertWhole(download(settings, Selection.MODEL));
      assertThat(server.requests)
          .isNotEmpty()
          .allMatch(request -> request.header("Authorization").equals("Bearer hf_secret"));
      assertThat(cdn.requests)
          .hasSize(1)
          .allMatch(request -> request.header("Authorization").isEmpty());
    }
  }

  @Test
  void theOtherHostsRefusalMeansANewAddressAndItsSignatureIsNotShown() {
    try (FakeHub cdn = FakeHub.withModel(SIZE)) {
      server.always.put(WEIGHTS_PATH, redirect(cdn.address() + WEIGHTS_PATH + "?Signature=s3cr3t"));
      cdn.next(WEIGHTS_PATH, cdn.dropAfter(1000), answer(403));
      assertWhole(download());
      assertThat(cdn.requests).hasSize(3);
      assertThat(cdn.requests.getLast().header("Range")).isEqualTo("bytes=1000-");
      cdn.always.put(WEIGHTS_PATH, answer(403));
      assertThatThrownBy(() -> download(settings().withCache(cache.resolve("2")), Selection.MODEL))
          .hasMessageContaining("answered 403")
          .message()
          .doesNotContain("s3cr3t");
    }
  }

  @Test
  void redirectsEnd() {
    server.always.put(WEIGHTS_PATH, redirect("/loop"));
    server.always.put("/loop", redirect(WEIGHTS_PATH));
    assertRefused("more than 10 redirects");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "",
        "http://",
        "http://[",
        "javascript:1",
        "//"
      })
  void aRedirectToWhatIsNoAddressIsRefused(String location) {
    server.always.put(WEIGHTS_PATH, redirect(location));
    assertThatThrownBy(this::download).isInstanceOf(InputException.class);
    assertNoModel();
  }

  @Test
  void aRedirectFromHttpsToHttpIsRefused() {
    URI file = URI.create("https://hub.example/org/model/resolve/main/x");
    try (HubHttp secure =
        new HubHttp(settings().withEndpoint("https://hub.example"), retry -> {})) {
      assertThat(secure.next(file, "https://cdn.example/x?a=b c"))
          .hasToString("https://cdn.example/x?a=b%20c");
      assertThat(secure.next(file, "../y")).hasToString("https://hub.example/org/model/resolve/y");
      for (String plain : List.of("http://hub.example/x", "HTTP://cdn.example/x?s3cr3t")) {
        assertThatThrownBy(() -> secure.next(file, plain))
            .isInstanceOf(InputException.class)
            .hasMessageContaining("redirects from https to")
            .message()
            .doesNotContain("s3cr3t");
      }
    }
    try (HubHttp plain = new HubHttp(settings(), retry -> {})) {
      assertThat(plain.next(URI.create(server.address()), "http://cdn.example/x"))
          .hasToString("http://cdn.example/x");
    }
  }

  // ServerErrors.

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "401 | RepoNotFound     | no such repository or revision | set HF_TOKEN",
        "404 | RepoNotFound     | no such repository or revision | check the name",
        "404 | RevisionNotFound | has no revision \"main\"       | /tree/main",
        "403 | GatedRepo        | gated: its owner decides       | set HF_TOKEN",
        "401 | GatedRepo        | gated: its owner decides       | ask for access on",
        "403 |                  | refused (403)                  | ask for access on",
        "404 |                  | no such repository or revision | check the name",
        "418 |                  | answered 418                   | 418"
      })
  void aRefusalSaysWhatToDo(int status, String code, String meaning, String remedy) {
    server.always.put(
        LISTING, answer(status, code == null ? "" : "X-Error-Code: " + code + "\r\n", new byte[0]));
    assertRefused(meaning, remedy);
    assertThat(server.count(LISTING)).as("not tried again").isEqualTo(1);
  }

  @Test
  void aRefusalDoesNotRepeatTheToken() {
    server.always.put(
        LISTING, answer(403, "X-Error-Message: token hf_secret may not\r\n", new byte[0]));
    assertThatThrownBy(() -> download(settings().withToken("hf_secret"), Selection.MODEL))
        .hasMessageContainingAll("token *** may not", "the account of your token")
        .message()
        .doesNotContain("hf_secret");
  }

  @Test
  void aFileThatIsListedButNotThereIsNamed() {
    server.always.put(WEIGHTS_PATH, answer(404, "X-Error-Code: EntryNotFound\r\n", new byte[0]));
    assertRefused("org/model, file \"model.safetensors\": no such file at this revision");
  }

  // Listings that are wrong.

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a\\\\..\\\\x",
        "a//b",
        "./a",
        "a/.",
        "",
        "x\\u0000y",
        "x\\ny",
        "x\\u001b[2J",
        "x\\u202egnp",
        "\\ud800",
        "a/b/",
        "..",
        "."
      })
  void aHostileFileNameRefusesTheRepository(String name) {
    String listing = server.listing().replace("tokenizer.json", name);
    server.always.put(LISTING, answer(200, "", listing.getBytes(StandardCharsets.UTF_8)));
    assertThatThrownBy(this::download)
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("file name", "nothing was downloaded")
        .message()
        .doesNotContainPattern("\\p{Cc}");
    assertThat(server.requests).hasSize(1);
    assertThat(cache).isEmptyDirectory();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{                                        | not valid JSON",
        "[]                                       | expected a JSON object",
        "``                                       | expected a JSON object",
        "{\"sha\": 5}                             | sha: expected a commit of 40 hexadecimal"
            + " digits, found 5",
        "{\"sha\": \"../../x\"}                   | sha: expected a commit",
        "{\"sha\": \"COMMIT\"}                    | siblings: expected a list of files, found"
            + " nothing",
        "{\"sha\": \"COMMIT\", \"siblings\": 1}   | siblings: expected a list of files, found 1",
        "{\"sha\": \"COMMIT\", \"siblings\": [1]} | file name: expected a plain relative path",
        "{\"sha\": \"COMMIT\", \"siblings\": [{FILE, \"size\": -1}]} | size: expected a number of"
            + " bytes, found -1",
        "{\"sha\": \"COMMIT\", \"siblings\": [{FILE, \"size\": 9223372036854775807}]} | size:"
            + " expected a number of bytes",
        "{\"sha\": \"COMMIT\", \"siblings\": [{FILE, \"size\": 1e3}]} | size: expected a number of"
            + " bytes",
        "{\"sha\": \"COMMIT\", \"siblings\": [{FILE, \"blobId\": \"../x\"}]} | blob id: expected 40"
            + " hexadecimal digits",
        "{\"sha\": \"COMMIT\", \"siblings\": [{FILE, \"lfs\": {\"sha256\": \"../x\"}}]} | SHA-256:"
            + " expected 64 hexadecimal digits",
        "{\"sha\": \"COMMIT\", \"siblings\": [{\"rfilename\": \"a\"}, {\"rfilename\": \"a\"}]} |"
            + " each file once",
        "{\"sha\": \"COMMIT\", \"siblings\": [{\"rfilename\": \"a\"}, {\"rfilename\": \"a/b\"}]} |"
            + " found \"a\" as both",
        "{\"sha\": \"COMMIT\", \"siblings\": []}  | found nothing; choose",
        "{\"sha\": \"COMMIT\", \"siblings\": [{\"rfilename\": \"config.json\"}]} | found"
            + " config.json; choose",
        "{\"sha\": \"COMMIT\", \"sha\": \"COMMIT\"} | Duplicate",
        "NEST | not valid JSON",
      })
  void aListingThatIsWrongIsRefused(String json, String message) {
    String body =
        json.replace("COMMIT", COMMIT)
            .replace("FILE", "\"rfilename\": \"a\"")
            .replace("NEST", "[".repeat(100_000));
    server.always.put(LISTING, answer(200, "", body.getBytes(StandardCharsets.UTF_8)));
    assertRefused(message);
    assertThat(cache).isEmptyDirectory();
  }

  @Test
  void anEndlessListingIsCutOff() {
    server.always.put(
        LISTING,
        (request, out) -> {
          out.write(
              "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[".getBytes(StandardCharsets.US_ASCII));
          byte[] blanks = new byte[1 << 20];
          Arrays.fill(blanks, (byte) ' ');
          for (int i = 0; i < 1000; i++) {
            out.write(blanks);
          }
        });
    assertRefused(
        "the listing of " + server.address() + ": expected at most 67108864 bytes, found more");
  }

  @Test
  void aListingOfAnotherCommitThanAskedForIsRefused() {
    HubName other = NAME.at("f".repeat(40));
    try (Hub hub = new Hub(settings())) {
      assertThatThrownBy(() -> hub.download(other, Selection.MODEL, bytes -> Progress.silent()))
          .hasMessageContaining("expected commit ffff")
          .hasMessageContaining("found " + COMMIT);
    }
  }

  @Test
  void aModelThatTheDiskHasNoRoomForIsRefusedBeforehand() {
    String listing = server.listing().replace("\"size\": " + SIZE, "\"size\": " + (1L << 50));
    server.always.put(LISTING, answer(200, "", listing.getBytes(StandardCharsets.UTF_8)));
    assertThatThrownBy(this::download)
        .isInstanceOfSatisfying(
            StorageException.class,
            e -> {
              assertThat(e.path()).contains(cache);
              assertThat(e)
                  .hasMessage(
                      "org/model: " + e.what() + "; choose another with --cache or HF_HOME");
            })
        .hasMessageContainingAll(
            "org/model: needs 1,125.9 TB, ", " are free on the disk of " + cache);
    assertNoModel();
    assertThat(server.count(WEIGHTS_PATH)).isZero();
  }

  @Test
  void aFolderOfTheSnapshotThatIsALinkIsNotFollowed() throws IOException {
    server.files.put("sub/x.txt", FakeHub.bytes(5));
    Path snapshot =
        Files.createDirectories(cache.resolve("models--org--model/snapshots").resolve(COMMIT));
    Path outside = Files.createDirectories(cache.resolve("outside"));
    Files.createSymbolicLink(snapshot.resolve("sub"), outside);
    assertThatThrownBy(() -> download(settings(), new Selection(List.of("*"), List.of())))
        .hasMessageContaining("sub: expected a folder, found something else");
    assertThat(outside).isEmptyDirectory();
  }

  @Test
  void aCacheThatCannotBeWrittenIsNamed() throws IOException {
    Path file = Files.createFile(cache.resolve("file"));
    assertThatThrownBy(() -> download(settings().withCache(file), Selection.MODEL))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining(file.toString());
  }

  // Several at once, and interruptions.

  @Test
  void severalFilesAreFetchedAtOnce() {
    CountDownLatch both = new CountDownLatch(2);
    for (String file : List.of(WEIGHTS, "config.json")) {
      server.next(
          path(file),
          (request, out) -> {
            both.countDown();
            if (both.await(10, TimeUnit.SECONDS)) {
              server.good(request, out);
            }
          });
    }
    assertWhole(download(settings().withRetries(RetryPolicy.DEFAULT), Selection.MODEL));
  }

  @Test
  void twoDownloadsAtOnceFetchEachFileOnce() throws InterruptedException {
    CountDownLatch began = new CountDownLatch(1);
    server.next(
        WEIGHTS_PATH,
        (request, out) -> {
          began.countDown();
          Thread.sleep(100);
          server.good(request, out);
        });
    Thread first = Thread.startVirtualThread(this::download);
    began.await();
    assertWhole(download());
    first.join();
    assertThat(server.count(WEIGHTS_PATH)).isEqualTo(1);
  }

  @Test
  void anotherProcessIsWaitedFor() throws Exception {
    download();
    Files.delete(blob(WEIGHTS));
    Path lock = cache.resolve(".locks/models--org--model").resolve(server.hash(WEIGHTS) + ".lock");
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    Process other =
        new ProcessBuilder(
                java,
                "-Xshare:auto",
                "-cp",
                System.getProperty("java.class.path"),
                Holder.class.getName(),
                lock.toString())
            .redirectErrorStream(true)
            .start();
    assertThat((char) other.getInputStream().read()).as("it has the lock").isEqualTo('l');
    AtomicReference<Hub.Download> done = new AtomicReference<>();
    Thread waiting = Thread.startVirtualThread(() -> done.set(download()));
    waiting.join(Duration.ofMillis(200));
    assertThat(done).hasNullValue();
    other.getOutputStream().close();
    waiting.join();
    assertThat(other.waitFor()).isZero();
    assertWhole(done.get());
  }

  /** Another process that has a blob's lock until its input ends. */
  static final class Holder {
    private Holder() {}

    public static void main(String[] args) throws Exception {
      try (BlobLock _ = BlobLock.take(Path.of(args[0]), () -> {})) {
        System.out.print("l");
        System.out.flush();
        System.in.read();
      }
    }
  }

  @Test
  void anInterruptedDownloadStopsAndIsTakenUp() throws InterruptedException {
    CountDownLatch half = new CountDownLatch(1);
    server.next(
        WEIGHTS_PATH,
        (request, out) -> {
          FakeHub.head(out, 200, "", SIZE);
          out.write(server.files.get(WEIGHTS), 0, SIZE / 2);
          out.flush();
          half.countDown();
          Thread.sleep(5000);
        });
    List<Throwable> thrown = new ArrayList<>();
    Thread thread =
        Thread.ofVirtual()
            .start(
                () -> {
                  try {
                    download(settings().withRetries(RetryPolicy.DEFAULT), Selection.MODEL);
                  } catch (CancelledException e) {
                    thrown.add(e);
                  }
                });
    half.await();
    Path partial = BlobDownload.partial(blob(WEIGHTS));
    while (!Files.exists(partial) || partial.toFile().length() < SIZE / 2) {
      Thread.sleep(5);
    }
    thread.interrupt();
    thread.join();
    assertThat(thrown)
        .singleElement()
        .extracting(Throwable::getMessage)
        .asString()
        .contains("interrupted; run it again");
    assertNoModel();
    Hub.Download done = download();
    assertWhole(done);
    assertThat(server.last(WEIGHTS_PATH).header("Range")).isEqualTo("bytes=" + SIZE / 2 + "-");
  }

  @Test
  void oneFilesFailureStopsTheOthers() {
    server.always.put(path("config.json"), answer(404));
    server.always.put(
        WEIGHTS_PATH,
        (request, out) -> {
          FakeHub.head(out, 200, "", SIZE);
          out.flush();
          Thread.sleep(5000);
        });
    long start = System.nanoTime();
    assertThatThrownBy(() -> download(settings().withRetries(RetryPolicy.DEFAULT), Selection.MODEL))
        .hasMessageContaining("config.json");
    assertThat(System.nanoTime() - start).isLessThan(4_000_000_000L);
    assertNoModel();
  }
}
