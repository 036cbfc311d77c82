package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import dev.jneox.infer.FinishReason;
import dev.jneox.infer.Sampler;
import dev.jneox.serve.AllowedOrigins;
import dev.jneox.serve.ApiKey;
import dev.jneox.serve.ModelServer;
import dev.jneox.serve.ServerSettings;
import dev.jneox.serve.TrustedProxies;
import dev.jneox.tokenizer.BpeTrainer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code complete} and {@code chat} with a server: our own, and one that misbehaves. */
@Timeout(60)
class ReplServerTest {
  /** Helidon tells of its start. Kept here, because a logger that nobody has is forgotten. */
  private static final Logger HELIDON = Logger.getLogger("io.helidon");

  private static final Path FIXTURE =
      Path.of("..", "core", "src", "test", "resources", "parity", "neox-parallel");
  private static final String EVENT = "data: {\"choices\":[{\"text\":\"%s\"}]}\n\n";
  private static final String MODELS = "{\"data\":[{\"id\":\"only\"}]}";

  @TempDir static Path dir;
  private static Path model;

  @BeforeAll
  static void make() throws IOException {
    HELIDON.setLevel(Level.WARNING);
    model = Files.createDirectory(dir.resolve("model"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(FIXTURE.resolve(file), model.resolve(file));
    }
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(model.resolve("tokenizer.json"));
  }

  private static ModelServer serve(List<String> names, ApiKey... keys) {
    ServerSettings defaults = ServerSettings.DEFAULT;
    Map<String, Path> models = new LinkedHashMap<>();
    names.forEach(name -> models.put(name, model));
    return ModelServer.start(
        models,
        new ServerSettings(
            "127.0.0.1",
            0,
            new ServerSettings.Access(
                List.of(keys),
                Optional.empty(),
                Optional.empty(),
                true,
                TrustedProxies.NONE,
                AllowedOrigins.NONE,
                Optional.empty()),
            defaults.precision(),
            1,
            defaults.queue(),
            1,
            64 << 20,
            defaults.loading(),
            defaults.readers(),
            new ServerSettings.Limits(
                Duration.ofMinutes(1),
                1 << 20,
                1 << 24,
                16,
                Duration.ofSeconds(1),
                ServerSettings.Patience.DEFAULT)));
  }

  /** A server that answers every path but that of the list of models in one way. */
  private interface Answer {
    void to(HttpExchange exchange) throws IOException;
  }

  private static HttpServer fake(HttpServer server, Answer answer) {
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext(
        "/v1",
        exchange -> {
          try (exchange) {
            if (exchange.getRequestURI().getPath().endsWith("/models")) {
              send(exchange, 200, "application/json", MODELS);
            } else {
              exchange.getRequestBody().readAllBytes();
              answer.to(exchange);
            }
          }
        });
    server.start();
    return server;
  }

  private static HttpServer fake(Answer answer) throws IOException {
    return fake(
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0), answer);
  }

  private static void send(HttpExchange exchange, int status, String type, String body)
      throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", type);
    exchange.getResponseHeaders().set("Retry-After", "7");
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  private static String url(HttpServer server) {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  private static Output run(String input, String... args) {
    InputStream before = System.in;
    try {
      System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
      return Output.of(args);
    } finally {
      System.setIn(before);
    }
  }

  private static void fails(Output output, int code, String... parts) {
    assertThat(output.code()).as(output.err()).isEqualTo(code);
    assertThat(output.out()).isEmpty();
    assertThat(output.err()).startsWith("jneox: ").contains(parts).hasLineCount(1);
  }

  @Test
  void theServersModelWritesWhatItWritesHere() {
    String[] here = {"complete", "--model", model.toString(), "--max-tokens", "9"};
    try (ModelServer server = serve(List.of("only"))) {
      for (String seed : List.of("1", "2")) {
        Output local =
            run("int max\n\n/undo\n\n", join(here, "--temperature", "1", "--seed", seed));
        Output remote =
            run(
                "int max\n\n/undo\n\n",
                "complete",
                "--server",
                server.url(),
                "--max-tokens",
                "9",
                "--temperature",
                "1",
                "--seed",
                seed);
        assertThat(remote.code()).as(remote.err()).isZero();
        assertThat(remote.out()).isNotBlank().isEqualTo(local.out());
      }
      Output chat =
          run("hi\nbye\n", "chat", "--server", server.url() + "/v1/", "--max-tokens", "5");
      assertThat(chat.code()).as(chat.err()).isZero();
      assertThat(chat.out()).isNotBlank();
    }
  }

  private static String[] join(String[] args, String... more) {
    List<String> all = new ArrayList<>(List.of(args));
    all.addAll(List.of(more));
    return all.toArray(String[]::new);
  }

  @Test
  void aChatIsSentAsItsMessages() throws IOException {
    List<String> bodies = new ArrayList<>();
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/base",
        exchange -> {
          try (exchange) {
            if (exchange.getRequestURI().getPath().equals("/base/models")) {
              send(exchange, 404, "text/plain", "no list");
              return;
            }
            bodies.add(
                exchange.getRequestURI().getPath()
                    + " "
                    + exchange.getRequestHeaders().getFirst("Authorization")
                    + " "
                    + new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            send(
                exchange,
                200,
                "text/event-stream",
                ": comment\n\n"
                    + "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n"
                    + "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n"
                    + "data:"
                    + " {\"choices\":[{\"delta\":{\"content\":\".\"},\"finish_reason\":\"stop\"}]}\n\n"
                    + "data: [DONE]\n\n");
          }
        });
    server.start();
    try {
      Output chat =
          run(
              "hi\nbye\n",
              "chat",
              "--server",
              url(server) + "/base",
              "--api-key",
              "secret",
              "--model",
              "any",
              "--temperature",
              "0",
              "--top-k",
              "3");
      assertThat(chat.code()).as(chat.err()).isZero();
      assertThat(chat.out()).isEqualTo("Hello.\nHello.\n");
      assertThat(bodies)
          .containsExactly(
              "/base/chat/completions Bearer secret {\"model\":\"any\",\"messages\":["
                  + "{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":200,\"temperature\":0.0,"
                  + "\"seed\":1234,\"stream\":true,\"top_p\":0.95,\"top_k\":3}",
              "/base/chat/completions Bearer secret {\"model\":\"any\",\"messages\":["
                  + "{\"role\":\"user\",\"content\":\"hi\"},"
                  + "{\"role\":\"assistant\",\"content\":\"Hello.\"},"
                  + "{\"role\":\"user\",\"content\":\"bye\"}],\"max_tokens\":200,"
                  + "\"temperature\":0.0,\"seed\":1235,\"stream\":true,\"top_p\":0.95,\"top_k\":3}");
    } finally {
      server.stop(0);
    }
  }

  @Test
  void keysAndNamesAreChecked() throws IOException {
    try (ModelServer server = serve(List.of("small", "large"), new ApiKey("secret", "ann", 0))) {
      String url = server.url();
      fails(
          run("a\n", "complete", "--server", url, "--model", "small"),
          1,
          "401",
          "it asks for a key");
      fails(
          run("a\n", "chat", "--server", url, "--api-key", "wrong", "--model", "small"),
          1,
          "401",
          "it does not take the key that was sent");
      String[] known = {"complete", "--server", url, "--api-key", "secret", "--max-tokens", "3"};
      fails(run("a\n", known), 1, "--model: expected one of small, large, found none");
      fails(
          run("a\n", join(known, "--model", "other")),
          1,
          "--model: expected one of small, large, found other");
      assertThat(run("a\n", join(known, "--model", "large")).out()).isNotEmpty();
    }
    int port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
    fails(
        run("a\n", "chat", "--server", "http://127.0.0.1:" + port),
        1,
        "127.0.0.1:" + port + "/v1: cannot be reached: no connection",
        "does a server run there?");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "429|application/json|{\"error\":{\"message\":\"too busy\"}}"
            + "|refused with status 429: too busy; try again in 7 s",
        "500|text/plain|oops|refused with status 500: oops",
        "200|application/json|{}|expected a stream of events (text/event-stream)",
        "200|text/event-stream|'data: {'|expected an event in JSON, found: {",
        "200|text/event-stream|'data: {\"error\":{\"message\":\"lost\"}}'"
            + "|ended the text with an error: lost",
        "200|text/event-stream|': nothing'|ended in the middle of the text: the connection ended",
      })
  void aServerThatFailsIsTold(int status, String type, String body, String expected)
      throws IOException {
    HttpServer server = fake(exchange -> send(exchange, status, type, body + "\n\n"));
    try {
      fails(run("a\n", "complete", "--server", url(server)), 1, expected);
    } finally {
      server.stop(0);
    }
  }

  @Test
  void optionsThatHaveNoMeaningAreRefusedByName() {
    String[] server = {"chat", "--server", "http://127.0.0.1:1"};
    fails(run("", join(server, "--dtype", "f32")), 2, "--dtype: is the server's to choose");
    fails(run("", join(server, "--session", "f")), 2, "--session: keeps keys and values");
    fails(run("", join(server, "--cache")), 2, "--cache: is the server's to choose");
    fails(run("", "chat", "--model", "m", "--api-key", "k"), 2, "--api-key: is for --server alone");
    fails(run("", "chat"), 2, "expected --model MODEL, or --server URL");
    for (String wrong : List.of("localhost:8080", "ftp://host", "http://", "http://h/v1?a=b")) {
      fails(run("", "chat", "--server", wrong), 2, "--server: expected an address", wrong);
    }
    fails(run("", join(server, "--api-key", "a b")), 2, "--api-key: expected letters");
    assertThat(run("", "generate", "--prompt", "a").err()).contains("--model");
    String help = run("", "chat", "--help").out();
    assertThat(help.indexOf("--model=MODEL  ")).isBetween(0, help.indexOf("--server=URL  "));
  }

  /** Streams until its client leaves. */
  private static HttpServer endless(CountDownLatch left) throws IOException {
    return fake(
        exchange -> {
          exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
          exchange.sendResponseHeaders(200, 0);
          try (OutputStream out = exchange.getResponseBody()) {
            while (true) {
              out.write(EVENT.formatted("word ").getBytes(StandardCharsets.UTF_8));
              out.flush();
              Thread.sleep(5);
            }
          } catch (IOException e) {
            left.countDown();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
  }

  @Test
  void stoppingEndsTheConnectionAndKeepsTheText() throws IOException, InterruptedException {
    CountDownLatch left = new CountDownLatch(1);
    HttpServer server = endless(left);
    try (ServerModel remote =
        new ServerModel(ServerModel.base(url(server)), "", "", Sampler.GREEDY, 9)) {
      Conversation conversation = Conversation.continued();
      conversation.add("a ");
      ReplModel.TurnStream stream = remote.start(conversation, 0, note -> {});
      assertThat(stream.next()).isEqualTo("word ");
      Thread stopping =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      Thread.sleep(50);
                    } catch (InterruptedException e) {
                      Thread.currentThread().interrupt();
                    }
                    stream.cancel();
                  });
      while (stream.hasNext()) {
        stream.next();
      }
      stopping.join();
      assertThat(stream.reason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(left.await(20, TimeUnit.SECONDS)).isTrue();
    } finally {
      server.stop(0);
    }
  }

  /** Where the server still reads the prompt. */
  @Test
  void stoppingBeforeTheFirstByteEnds() throws IOException {
    CountDownLatch hold = new CountDownLatch(1);
    HttpServer server =
        fake(
            exchange -> {
              try {
                hold.await();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    try (ServerModel remote =
        new ServerModel(ServerModel.base(url(server)), "", "", Sampler.GREEDY, 9)) {
      Conversation conversation = Conversation.continued();
      conversation.add("a");
      ReplModel.TurnStream stream = remote.start(conversation, 0, note -> {});
      Thread.ofVirtual()
          .start(
              () -> {
                try {
                  Thread.sleep(100);
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
                stream.cancel();
              });
      assertThat(stream.hasNext()).isFalse();
    } finally {
      hold.countDown();
      server.stop(0);
    }
  }

  @Test
  void stoppingFreesThePlaceOfOurServer() throws IOException, InterruptedException {
    try (ModelServer server = serve(List.of("only"));
        ServerModel remote =
            new ServerModel(ServerModel.base(server.url()), "", "", Sampler.GREEDY, 32);
        HttpClient client = HttpClient.newHttpClient()) {
      Conversation conversation = Conversation.continued();
      Repl repl = new Repl(remote, conversation);
      for (int i = 0; i < 3; i++) { // of one place
        ReplModel.TurnStream stream = remote.start(conversation, i, note -> {});
        stream.cancel();
      }
      StringWriter out = new StringWriter();
      repl.turn("int max", new PrintWriter(out), true);
      assertThat(out.toString()).contains("[32 tokens; Enter goes on]");
      HttpRequest metrics = HttpRequest.newBuilder(URI.create(server.url() + "/metrics")).build();
      while (!client
          .send(metrics, HttpResponse.BodyHandlers.ofString())
          .body()
          .contains("jneox_sequences_running{model=\"only\"} 0.0")) {
        Thread.sleep(5);
      }
    }
  }

  @Test
  void aCertificateIsCheckedAndMayBeTrusted() throws Exception {
    Path store = dir.resolve("store.p12");
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
                "-ext",
                "SAN=IP:127.0.0.1",
                "-storetype",
                "PKCS12",
                "-storepass",
                "changeit",
                "-keystore",
                store.toString())
            .redirectErrorStream(true)
            .start();
    keytool.getInputStream().readAllBytes();
    assertThat(keytool.waitFor()).isZero();
    KeyStore keys = KeyStore.getInstance(store.toFile(), "changeit".toCharArray());
    KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    own.init(keys, "changeit".toCharArray());
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    trusted.setCertificateEntry("a", keys.getCertificate("a"));
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(own.getKeyManagers(), trust.getTrustManagers(), null);
    HttpsServer https =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    https.setHttpsConfigurator(new HttpsConfigurator(context));
    fake(
        https,
        exchange ->
            send(exchange, 200, "text/event-stream", EVENT.formatted("word") + "data: [DONE]\n\n"));
    String url = "https://127.0.0.1:" + https.getAddress().getPort();
    SSLContext before = SSLContext.getDefault();
    try {
      fails(
          run("a\n", "complete", "--server", url),
          1,
          "cannot be reached",
          "JNEOX_JAVA_OPTS=-Djavax.net.ssl.trustStore=FILE");
      SSLContext.setDefault(context);
      assertThat(run("a\n", "complete", "--server", url).out()).isEqualTo("word\n");
    } finally {
      SSLContext.setDefault(before);
      https.stop(0);
    }
  }
}
