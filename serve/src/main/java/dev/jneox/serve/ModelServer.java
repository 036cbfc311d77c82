package dev.jneox.serve;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.InputException;
import io.helidon.common.configurable.Resource;
import io.helidon.common.pki.Keys;
import io.helidon.http.DirectHandler;
import io.helidon.http.DirectHandler.EventType;
import io.helidon.http.HeaderNames;
import io.helidon.http.HttpException;
import io.helidon.http.RequestException;
import io.helidon.http.Status;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.WebServerConfig;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.helidon.webserver.http1.Http1Config;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;

/**
 * Serves models over HTTP, in the forms of OpenAI's API: {@code /v1/completions}, {@code
 * /v1/chat/completions}, {@code /v1/models}, and vLLM's {@code /tokenize}, {@code /detokenize} and
 * {@code /tokenizer_info}. Errors have OpenAI's form.
 */
public final class ModelServer implements AutoCloseable {
  private static final Pattern REQUEST_ID = Pattern.compile("[A-Za-z0-9._-]{1,128}");
  private static final long ANSWER_LIMIT = 100;

  private final ServerSettings settings;
  private final Map<String, ServedModel> models;
  private final List<byte[]> keys;
  private final WebServer server;
  private final AtomicInteger running = new AtomicInteger();
  private volatile boolean draining;

  /** What a route does with a request. */
  private interface Handler {
    void handle(ServerRequest request, ServerResponse response, Call call);
  }

  private ModelServer(ServerSettings settings, Map<String, ServedModel> models) {
    this.settings = settings;
    this.models = models;
    this.keys =
        settings.apiKeys().stream().map(key -> key.getBytes(StandardCharsets.UTF_8)).toList();
    WebServerConfig.Builder builder =
        WebServer.builder()
            .host(settings.host())
            .port(settings.port())
            .maxPayloadSize(settings.maxBody())
            .maxTcpConnections(settings.maxConnections())
            .shutdownHook(false)
            .shutdownGracePeriod(settings.grace())
            .addProtocol(Http1Config.builder().maxHeadersSize(1 << 16).build())
            .directHandlers(directHandlers())
            .routing(this::route);
    settings.tls().ifPresent(files -> tls(builder, files));
    this.server = builder.build();
  }

  /**
   * Opens models and begins to listen.
   *
   * @param paths folder or file of each model, by the name that requests give
   * @throws InputException when one is no whole model, or the address cannot be listened on
   */
  public static ModelServer start(Map<String, Path> paths, ServerSettings settings) {
    checkAddress(settings);
    Map<String, ServedModel> models = new LinkedHashMap<>();
    try {
      paths.forEach((id, path) -> models.put(id, ServedModel.open(id, path, settings)));
      ModelServer server = new ModelServer(settings, models);
      server.listen();
      return server;
    } catch (RuntimeException | Error e) {
      models.values().forEach(ServedModel::close);
      throw e;
    }
  }

  /** Finds out, before models are opened, whether the address can be listened on. */
  private static void checkAddress(ServerSettings settings) {
    try (ServerSocket socket = new ServerSocket()) {
      socket.setReuseAddress(true);
      socket.bind(new InetSocketAddress(settings.host(), settings.port()));
    } catch (IOException e) {
      throw unbound(settings, String.valueOf(e.getMessage()));
    }
  }

  private static InputException unbound(ServerSettings settings, String reason) {
    return new InputException(
        "%s:%d: cannot be listened on: %s: name another with --host and --port"
            .formatted(settings.host(), settings.port(), reason));
  }

  private void listen() {
    try {
      server.start();
    } catch (RuntimeException e) {
      throw unbound(settings, reason(e));
    }
    if (server.port() < 0) { // Helidon only logs that another process took the port meanwhile
      server.stop();
      throw unbound(settings, "the address is in use");
    }
  }

  private static String reason(Throwable failure) {
    Throwable cause = failure;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return String.valueOf(cause.getMessage());
  }

  private static void tls(WebServerConfig.Builder builder, ServerSettings.TlsFiles files) {
    try {
      Keys keys =
          Keys.builder()
              .pem(
                  pem ->
                      pem.key(Resource.create(files.key()))
                          .certChain(Resource.create(files.certificates())))
              .build();
      builder.tls(
          tls ->
              tls.privateKey(keys.privateKey().orElseThrow())
                  .privateKeyCertChain(keys.certChain()));
    } catch (RuntimeException e) {
      throw new InputException(
          files.certificates() + ", " + files.key() + ": expected PEM files: " + reason(e), e);
    }
  }

  /** Returns the port that is listened on. */
  public int port() {
    return server.port();
  }

  /** Returns the address of the page, as a browser takes it. */
  public String url() {
    String host =
        settings.host().equals("0.0.0.0") || settings.host().equals("::")
            ? "localhost"
            : settings.host().contains(":") ? "[" + settings.host() + "]" : settings.host();
    return (settings.tls().isPresent() ? "https" : "http") + "://" + host + ":" + port();
  }

  private void route(HttpRouting.Builder routing) {
    routing
        .register(new Page())
        .get("/health/live", (_, response) -> response.send("alive\n"))
        .get("/health/ready", (_, response) -> ready(response))
        .get("/v1/models", guarded(this::models))
        .get("/v1/models/{model}", guarded(this::model))
        .post("/v1/completions", guarded(this::completions))
        .post("/v1/chat/completions", guarded(this::chats))
        .post("/v1/responses", guarded(this::responses))
        .post("/v1/embeddings", guarded(this::embeddings))
        .post("/tokenize", guarded(this::tokenize))
        .post("/detokenize", guarded(this::detokenize))
        .get("/tokenizer_info", guarded(this::tokenizerInfo))
        .any(
            (request, response) ->
                fail(
                    response,
                    ApiException.noSuchPath(
                        request.prologue().method().text(), request.path().path())))
        .error(ApiException.class, (_, response, e) -> fail(response, e))
        .error(
            HttpException.class,
            (_, response, e) ->
                fail(
                    response, ApiException.http(e.status().code(), String.valueOf(e.getMessage()))))
        .error(
            RequestException.class,
            (_, response, e) ->
                fail(
                    response, ApiException.http(e.status().code(), String.valueOf(e.getMessage()))))
        .error(Throwable.class, (_, response, e) -> crash(response, e));
  }

  private void ready(ServerResponse response) {
    response.status(draining ? Status.SERVICE_UNAVAILABLE_503 : Status.OK_200);
    response.send(draining ? "draining\n" : "ready\n");
  }

  /** Checks the key, gives the request its id and counts it. */
  private io.helidon.webserver.http.Handler guarded(Handler handler) {
    return (request, response) -> {
      String id =
          request
              .headers()
              .first(HeaderNames.create("X-Request-Id"))
              .filter(given -> REQUEST_ID.matcher(given).matches())
              .orElse("");
      Call call = new Call(id, client(request), settings.timeout().toNanos());
      response.header("X-Request-Id", call.id());
      running.incrementAndGet();
      try {
        if (draining) {
          throw ApiException.unavailable("the server is shutting down");
        }
        handler.handle(request, response, call);
      } finally {
        running.decrementAndGet();
      }
    };
  }

  /** Returns whose turn a request takes: its key, or its address; checks the key. */
  private String client(ServerRequest request) {
    if (keys.isEmpty()) {
      return request.remotePeer().host();
    }
    byte[] given =
        request
            .headers()
            .first(HeaderNames.AUTHORIZATION)
            .filter(value -> value.regionMatches(true, 0, "Bearer ", 0, 7))
            .map(value -> value.substring(7).strip().getBytes(StandardCharsets.UTF_8))
            .orElse(new byte[0]);
    int found = -1;
    for (int i = 0; i < keys.size(); i++) { // all of them, whichever it is
      if (MessageDigest.isEqual(keys.get(i), given)) {
        found = i;
      }
    }
    if (found < 0) {
      throw ApiException.unauthorized();
    }
    return "key " + found;
  }

  private static Body body(ServerRequest request) {
    return Body.parse(
        request.content().hasEntity() ? request.content().as(byte[].class) : new byte[0]);
  }

  /** Returns the model that a body names; the only one where it names none. */
  private ServedModel model(Body body) {
    Optional<String> name = body.string("model");
    if (name.isEmpty()) {
      if (models.size() == 1) {
        return models.values().iterator().next();
      }
      throw ApiException.invalid("model", "model: expected one of " + names() + ", found nothing");
    }
    ServedModel model = models.get(name.get());
    if (model == null) {
      throw ApiException.noSuchModel(
          dev.jneox.io.VisibleText.of(name.get()), "there are " + names());
    }
    return model;
  }

  private String names() {
    return String.join(", ", models.keySet());
  }

  private void completions(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request);
    Completions completions = new Completions(body, model(body), call);
    if (completions.streamed()) {
      stream(response, call, completions::stream);
    } else {
      send(response, completions.answer());
    }
  }

  private void chats(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request);
    Chats chats = new Chats(body, model(body), call);
    if (chats.streamed()) {
      stream(response, call, chats::stream);
    } else {
      send(response, chats.answer());
    }
  }

  private void responses(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request);
    Responses responses = new Responses(body, model(body), call);
    if (responses.streamed()) {
      stream(response, call, responses::stream);
    } else {
      send(response, responses.answer());
    }
  }

  private void embeddings(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request);
    send(response, new Embeddings(body, model(body), call).answer());
  }

  private interface Streamed {
    void write(EventStream events);
  }

  /** Streams an answer; an error behind the first chunk is an event of its own. */
  private static void stream(ServerResponse response, Call call, Streamed streamed) {
    try (EventStream events = new EventStream(response)) {
      try {
        streamed.write(events);
      } catch (ApiException e) {
        if (!events.started()) {
          throw e;
        }
        events.send(e.json());
      }
    } catch (UncheckedIOException e) {
      call.abandon(); // the client has left
    }
  }

  private void models(ServerRequest request, ServerResponse response, Call call) {
    ObjectNode root = JsonNodeFactory.instance.objectNode().put("object", "list");
    ArrayNode data = root.putArray("data");
    models.values().forEach(model -> data.add(described(model)));
    send(response, root);
  }

  private void model(ServerRequest request, ServerResponse response, Call call) {
    String id = request.path().pathParameters().get("model");
    ServedModel model = models.get(id);
    if (model == null) {
      throw ApiException.noSuchModel(dev.jneox.io.VisibleText.of(id), "there are " + names());
    }
    send(response, described(model));
  }

  private static ObjectNode described(ServedModel model) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("id", model.id())
        .put("object", "model")
        .put("created", model.created())
        .put("owned_by", "jneox")
        .put("max_model_len", model.context());
  }

  private void tokenize(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request);
    ServedModel model = model(body);
    String prompt =
        body.string("prompt")
            .orElseThrow(
                () -> body.wrong("prompt", "a string", JsonNodeFactory.instance.missingNode()));
    body.ignore("add_special_tokens", "return_token_strs");
    body.end();
    int[] ids = model.tokenizer().encode(prompt);
    ObjectNode root =
        JsonNodeFactory.instance
            .objectNode()
            .put("count", ids.length)
            .put("max_model_len", model.context());
    ArrayNode tokens = root.putArray("tokens");
    for (int id : ids) {
      tokens.add(id);
    }
    send(response, root);
  }

  private void detokenize(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request);
    ServedModel model = model(body);
    JsonNode value = body.get("tokens").orElse(JsonNodeFactory.instance.missingNode());
    if (!value.isArray()) {
      throw body.wrong("tokens", "a list of token ids", value);
    }
    body.end();
    int[] ids = new int[value.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = (int) body.whole("tokens[" + i + "]", value.get(i), 0, Integer.MAX_VALUE);
    }
    send(
        response,
        JsonNodeFactory.instance.objectNode().put("prompt", model.tokenizer().decode(ids)));
  }

  private void tokenizerInfo(ServerRequest request, ServerResponse response, Call call) {
    ServedModel model = models.values().iterator().next();
    int end = model.model().spec().vocabulary().endOfText();
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("tokenizer_class", model.tokenizer().getClass().getSimpleName());
    root.put("vocab_size", model.tokenizer().vocabSize());
    root.put("model_max_length", model.context());
    String text = end < 0 ? null : model.tokenizer().decode(new int[] {end});
    root.put("eos_token", text);
    root.put("bos_token", text);
    root.putNull("pad_token");
    root.put("chat_template", model.chatPrompt().source());
    send(response, root);
  }

  private static void send(ServerResponse response, JsonNode json) {
    try {
      response.header(HeaderNames.CONTENT_TYPE, "application/json");
      response.send(Body.MAPPER.writeValueAsBytes(json));
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void fail(ServerResponse response, ApiException e) {
    if (e.status() == 429 || e.status() == 503) {
      response.header(HeaderNames.RETRY_AFTER, "1");
    }
    response.status(Status.create(e.status()));
    send(response, e.json());
  }

  private static void crash(ServerResponse response, Throwable e) {
    if (e instanceof UncheckedIOException) {
      return; // the client has left
    }
    System.getLogger("dev.jneox").log(System.Logger.Level.ERROR, "a request failed", e);
    fail(response, ApiException.http(500, "internal error"));
  }

  /** Has Helidon's own errors, of malformed HTTP, in OpenAI's form. */
  private static DirectHandlers directHandlers() {
    DirectHandlers.Builder builder = DirectHandlers.builder();
    for (EventType type : EventType.values()) {
      builder.addHandler(
          type,
          (_, event, status, headers, message) -> {
            ObjectNode json =
                ApiException.http(
                        status.code(),
                        event == EventType.INTERNAL_ERROR ? "internal error" : message)
                    .json();
            headers.set(HeaderNames.CONTENT_TYPE, "application/json");
            return DirectHandler.TransportResponse.builder()
                .status(status)
                .headers(headers)
                .keepAlive(event.keepAlive())
                .entity(json.toString())
                .build();
          });
    }
    return builder.build();
  }

  /** Waits until what runs has ended, at most the grace of the settings, and ends. */
  @Override
  public void close() {
    draining = true;
    long end = System.nanoTime() + settings.grace().toNanos();
    boolean interrupted = false;
    while (running.get() > 0 && System.nanoTime() < end && !interrupted) {
      try {
        Thread.sleep(ANSWER_LIMIT);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    models.values().forEach(ServedModel::close); // ends the requests that still run
    server.stop();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
