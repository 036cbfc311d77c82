package dev.jneox.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.format.hf.HfFolderWriter;
import dev.jneox.infer.Engine;
import dev.jneox.infer.Precision;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Vocabulary;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.RandomWeights;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;

/** A server of a tiny random model, and a client of it. */
final class TestServer implements AutoCloseable {
  static final ObjectMapper JSON = new ObjectMapper();

  /** A chat template that writes tools, and calls of a tool with an argument {@code a}. */
  static final String TEMPLATE =
      "{% for m in messages %}[{{ m.role }}]{{ m.content }}"
          + "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.arguments.a }}{% endfor %}"
          + "{% endfor %}{% if tools %}<tool_call>{{ tools | length }}{% endif %}"
          + "{% if add_generation_prompt %}[assistant]{% endif %}";

  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  /** Helidon tells of its start. Kept here, because a logger that nobody has is forgotten. */
  private static final Logger HELIDON = Logger.getLogger("io.helidon");

  static {
    HELIDON.setLevel(Level.WARNING);
  }

  private final ModelServer server;

  private TestServer(ModelServer server) {
    this.server = server;
  }

  /** Settings that a test may change. */
  static final class Builder {
    List<ApiKey> keys = List.of();
    Optional<ApiKey> admin = Optional.empty();
    Optional<ServerSettings.TlsFiles> tls = Optional.empty();
    boolean openMetrics;
    TrustedProxies proxies = TrustedProxies.NONE;
    AllowedOrigins origins = AllowedOrigins.NONE;
    Optional<Consumer<String>> log = Optional.empty();
    int sessions = 4;
    int queue = 64;
    long kvBytes = 256 << 20;
    ServerSettings.Loading loading = ServerSettings.Loading.DEFAULT;
    Duration timeout = Duration.ofMinutes(2);
    long body = 1 << 20;
    long bodies = 64 << 20;
    int connections = 256;
    Duration grace = Duration.ofSeconds(20);
    ServerSettings.Patience patience = ServerSettings.Patience.DEFAULT;

    ServerSettings settings() {
      return new ServerSettings(
          "127.0.0.1",
          0,
          new ServerSettings.Access(keys, admin, tls, openMetrics, proxies, origins, log),
          Precision.STORED,
          sessions,
          queue,
          1,
          kvBytes,
          loading,
          Engine.Readers.DEFAULT,
          new ServerSettings.Limits(timeout, body, bodies, connections, grace, patience));
    }

    TestServer start(Path model) {
      return start(Map.of("tiny", model));
    }

    TestServer start(Map<String, Path> models) {
      return new TestServer(ModelServer.start(models, settings()));
    }
  }

  /** Returns settings for a server on a free port, which ends at once, with these keys. */
  static ServerSettings settings(String... keys) {
    Builder builder = new Builder();
    builder.keys = Arrays.stream(keys).map(key -> ApiKey.parse(key, key)).toList();
    builder.grace = Duration.ofSeconds(1);
    return builder.settings();
  }

  /** Writes a model whose tokenizer knows every byte. */
  static Path model(Path dir, int context) {
    return model(dir, context, 1);
  }

  /** The same, with other weights. */
  static Path model(Path dir, int context, long seed) {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of("static int max(int a, int b) { return a > b ? a : b; }").iterator());
    trainer.train(merges -> {}).write(dir.resolve("tokenizer.json"));
    ModelSpec spec =
        ModelSpec.neox(320, 32, 2, 2, context).withVocabulary(new Vocabulary(320, 300, 0));
    Path model = dir.resolve("model-" + context);
    new HfFolderWriter(model, spec, Dtype.F32)
        .tokenizer(dir.resolve("tokenizer.json"))
        .write(new RandomWeights(spec, seed));
    return model;
  }

  /** Writes such a model with {@link #TEMPLATE}. */
  static Path chatModel(Path dir, int context) throws IOException {
    Path model = model(Files.createDirectory(dir.resolve("chat")), context);
    Files.writeString(
        model.resolve("tokenizer_config.json"),
        JSON.createObjectNode().put("chat_template", TEMPLATE).toString());
    return model;
  }

  int port() {
    return server.port();
  }

  ModelServer server() {
    return server;
  }

  RawClient connect() throws IOException {
    return new RawClient(port());
  }

  private HttpRequest.Builder request(String path, String... headers) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + path));
    return headers.length == 0 ? request : request.headers(headers);
  }

  private static HttpResponse<String> send(HttpRequest request) {
    try {
      return CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  HttpResponse<String> get(String path, String... headers) {
    return send(request(path, headers).build());
  }

  HttpResponse<String> post(String path, String body, String... headers) {
    return send(
        request(path, headers)
            .setHeader("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build());
  }

  /** Sends a body that must be answered with 200. */
  JsonNode ok(String path, String body) throws IOException {
    HttpResponse<String> response = post(path, body);
    if (response.statusCode() != 200) {
      throw new AssertionError(response.statusCode() + " " + response.body());
    }
    return JSON.readTree(response.body());
  }

  /** Sends a body that asks for a stream, and returns its events without the last. */
  List<JsonNode> events(String path, String body) throws IOException {
    HttpResponse<String> response = post(path, body);
    if (response.statusCode() != 200) {
      throw new AssertionError(response.statusCode() + " " + response.body());
    }
    List<String> lines =
        Stream.of(response.body().split("\n\n")).map(line -> line.substring(6)).toList();
    if (!lines.getLast().equals("[DONE]")) {
      throw new AssertionError("expected [DONE] at the end, found " + lines.getLast());
    }
    List<JsonNode> events = new ArrayList<>();
    for (String line : lines.subList(0, lines.size() - 1)) {
      events.add(JSON.readTree(line));
    }
    return events;
  }

  /** Returns a value of /metrics; NaN where it is absent. */
  double metric(String name) {
    return get("/metrics")
        .body()
        .lines()
        .filter(line -> line.startsWith(name + " "))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
        .findFirst()
        .orElse(Double.NaN);
  }

  /** Waits for a condition; returns milliseconds. */
  static long await(BooleanSupplier condition) throws InterruptedException {
    long start = System.nanoTime();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - start > 30e9) {
        throw new AssertionError("not within 30 seconds");
      }
      Thread.sleep(2);
    }
    return (System.nanoTime() - start) / 1_000_000;
  }

  /** Waits for a metric: what is counted of a request is counted after its answer. */
  void awaitMetric(String name, double value) throws InterruptedException {
    await(() -> metric(name) == value);
  }

  @Override
  public void close() {
    server.close();
  }
}
