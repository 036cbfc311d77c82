package dev.jneox.serve;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.io.ByteSize;
import dev.jneox.io.InputException;
import dev.jneox.io.VisibleText;
import io.helidon.common.buffers.DataReader;
import io.helidon.http.DirectHandler;
import io.helidon.http.DirectHandler.EventType;
import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Method;
import io.helidon.http.PathMatchers;
import io.helidon.http.RequestException;
import io.helidon.http.ServerRequestHeaders;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ErrorHandling;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.WebServerConfig;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Serves models over HTTP, in the forms of OpenAI's API: {@code /v1/completions}, {@code
 * /v1/chat/completions}, {@code /v1/models}, and vLLM's {@code /tokenize}, {@code /detokenize} and
 * {@code /tokenizer_info}. Errors have OpenAI's form.
 */
public final class ModelServer implements AutoCloseable {
  private static final Pattern REQUEST_ID = Pattern.compile("[A-Za-z0-9._-]{1,128}");
  private static final HeaderName REQUEST_ID_HEADER = HeaderNames.create("X-Request-Id");
  private static final HeaderName FORWARDED_FOR = HeaderNames.create("X-Forwarded-For");
  private static final Pattern JSON =
      Pattern.compile("application/([a-z.-]+\\+)?json\\s*(;.*)?", Pattern.CASE_INSENSITIVE);
  private static final HeaderName FORWARDED_HOST = HeaderNames.create("X-Forwarded-Host");
  private static final HeaderName FETCH_SITE = HeaderNames.create("Sec-Fetch-Site");
  private static final HeaderName FETCH_MODE = HeaderNames.create("Sec-Fetch-Mode");
  private static final HeaderName SHOULD_RETRY = HeaderNames.create("x-should-retry");
  private static final String PREFLIGHT_SECONDS = "600";
  private static final String LIVE = "/health/live";
  private static final String READY = "/health/ready";
  private static final String PING = "/ping";
  private static final String MODEL = "/v1/models/{model}";
  private static final String METRICS = "/metrics";
  private static final String HEALTH = "/health";
  private static final String RELOAD = "/admin/reload";
  private static final int LONGEST_SHOWN = 100;
  private static final long LOOK_MILLIS = 20;
  private static final Duration ANSWER_TIME = Duration.ofSeconds(2);

  private static final String VERSION =
      Objects.requireNonNullElse(
          ModelServer.class.getPackage().getImplementationVersion(), "development");

  private final ServerSettings settings;
  private final ModelPool pool;
  private final Map<ApiKey, RateLimit> keys = new LinkedHashMap<>();
  private final Map<String, Set<String>> methods = new LinkedHashMap<>(); // of each path
  private final Connections connections;
  private final ServerMetrics metrics;
  private final BodyBudget bodies;
  private final boolean hereAlone; // any process and page of this machine, and no other
  private final WebServer server;
  private final AtomicInteger running = new AtomicInteger();
  private volatile boolean draining;

  /** What a route does with a request. */
  private interface Handler {
    void handle(ServerRequest request, ServerResponse response, Call call);
  }

  private ModelServer(ServerSettings settings, Optional<TlsKeys> tls, ModelPool pool) {
    this.settings = settings;
    this.pool = pool;
    settings.access().keys().forEach(key -> keys.put(key, new RateLimit(key)));
    this.bodies = new BodyBudget(settings.limits().bodies());
    this.hereAlone =
        keys.isEmpty()
            && settings.access().tls().isEmpty() // no certificate is of a name that leads here
            && new InetSocketAddress(settings.host(), 0).getAddress() instanceof InetAddress address
            && address.isLoopbackAddress();
    this.connections = new Connections(settings.limits(), this::isAwaited);
    this.metrics = new ServerMetrics(VERSION, pool, running::get, connections::open);
    WebServerConfig.Builder builder =
        WebServer.builder()
            .host(settings.host())
            .port(settings.port())
            .maxPayloadSize(settings.limits().body())
            .maxTcpConnections(settings.limits().connections())
            // Events are small and each is wanted at once: none waits for the ACK of the one
            // before.
            .connectionOptions(options -> options.tcpNoDelay(true))
            .shutdownHook(false)
            .shutdownGracePeriod(ANSWER_TIME) // after the grace, see close
            .protocolsDiscoverServices(false)
            .addConnectionSelector(connections)
            .directHandlers(directHandlers())
            .errorHandling(ErrorHandling.builder().includeEntity(true).build())
            .routing(this::route);
    tls.ifPresent(
        keys -> builder.tls(of -> of.privateKey(keys.key()).privateKeyCertChain(keys.chain())));
    this.server = builder.build();
  }

  /**
   * Opens models and begins to listen. The settings say which of the models wait for their first
   * requests.
   *
   * @param paths folder or file of each model, by the name that requests give
   * @throws InputException when one is no whole model, or the address cannot be listened on
   */
  public static ModelServer start(Map<String, Path> paths, ServerSettings settings) {
    checkAddress(settings);
    Optional<TlsKeys> tls = settings.access().tls().map(TlsKeys::read);
    ModelPool pool = new ModelPool(paths, settings);
    try {
      ModelServer server = new ModelServer(settings, tls, pool);
      server.listen();
      return server;
    } catch (RuntimeException | Error e) {
      pool.close();
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
        "%s:%d: cannot be listened on: %s: name another port with --port, or address with --host"
            .formatted(settings.host(), settings.port(), reason));
  }

  private void listen() {
    try {
      connections.start();
      server.start();
    } catch (RuntimeException e) {
      throw unbound(settings, reason(e));
    }
    if (server.port() < 0) { // Helidon only logs that another process took the port meanwhile
      server.stop();
      throw unbound(settings, "the address is in use");
    }
  }

  static String reason(Throwable failure) {
    Throwable cause = failure;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return String.valueOf(cause.getMessage());
  }

  /** Returns the port that is listened on. */
  public int port() {
    return server.port();
  }

  /** Returns what the server offers, the first model first. */
  public List<ModelSummary> summaries() {
    return pool.statuses().stream().map(ModelSummary::of).toList();
  }

  /** Returns the address of the page, as a browser takes it. */
  public String url() {
    String host =
        settings.host().equals("0.0.0.0") || settings.host().equals("::")
            ? "localhost"
            : settings.host().contains(":") ? "[" + settings.host() + "]" : settings.host();
    return (settings.access().tls().isPresent() ? "https" : "http") + "://" + host + ":" + port();
  }

  private void route(HttpRouting.Builder routing) {
    routing.addFilter(
        (chain, request, _) -> {
          try {
            chain.proceed();
          } finally {
            rest(request);
          }
        });
    route(routing, "GET", LIVE, (request, response, _) -> text(request, response, "alive\n"));
    route(routing, "GET", PING, (request, response, _) -> text(request, response, "alive\n"));
    route(routing, "GET", READY, (request, response, _) -> ready(request, response));
    route(routing, "GET", "/version", this::version);
    route(routing, "GET", HEALTH, this::health);
    route(routing, "GET", METRICS, this::metrics);
    route(routing, "GET", "/v1/models", this::models);
    route(routing, "GET", MODEL, this::model);
    route(routing, "POST", "/v1/completions", this::completions);
    route(routing, "POST", "/v1/chat/completions", this::chats);
    route(routing, "POST", "/v1/responses", this::responses);
    route(routing, "POST", "/v1/embeddings", this::embeddings);
    route(routing, "POST", "/tokenize", this::tokenize);
    route(routing, "POST", "/detokenize", this::detokenize);
    route(routing, "GET", "/tokenizer_info", this::tokenizerInfo);
    route(routing, "POST", RELOAD, this::reload);
    routing.register(new Page());
    methods.forEach(
        (path, allowed) ->
            routing.any(
                pattern(path),
                (request, response) ->
                    answer(
                        path,
                        request,
                        response,
                        (_, _, _) -> {
                          response.header(HeaderNames.ALLOW, String.join(", ", allowed));
                          throw ApiException.wrongMethod(
                              visible(request.prologue().method().text()),
                              path,
                              String.join(" or ", allowed));
                        })));
    routing
        .any(
            (request, response) ->
                answer(
                    "other",
                    request,
                    response,
                    (_, _, _) -> {
                      throw ApiException.noSuchPath(
                          visible(request.prologue().method().text()),
                          visible(request.path().path()));
                    }))
        .error(
            HttpException.class,
            (request, response, e) ->
                fail(request, response, http(e.status().code(), String.valueOf(e.getMessage()))))
        .error(Throwable.class, ModelServer::crash);
  }

  private void route(HttpRouting.Builder routing, String method, String path, Handler handler) {
    Set<String> taken = methods.computeIfAbsent(path, _ -> new TreeSet<>());
    taken.add(method);
    if (method.equals("GET")) {
      taken.add("HEAD");
    }
    routing.route(
        method.equals("GET")
            ? Method.predicate(Method.GET, Method.HEAD)
            : Method.predicate(Method.create(method)),
        PathMatchers.create(pattern(path)),
        (request, response) -> answer(path, request, response, handler));
  }

  /** Has a path end with a slash, or not; a model's name may have one inside, as ORG/NAME. */
  private static String pattern(String path) {
    return path.equals(MODEL) ? "/v1/models/{+model}" : path + "[/]";
  }

  /** Whether a sequence waits for a place. */
  private boolean isAwaited() {
    return pool.statuses().stream()
        .map(ModelPool.Status::served)
        .flatMap(Stream::ofNullable)
        .anyMatch(model -> model.admission().waiting() > 0);
  }

  private static String visible(String text) {
    String shown = VisibleText.of(text);
    return shown.length() <= LONGEST_SHOWN ? shown : shown.substring(0, LONGEST_SHOWN) + "...";
  }

  private void ready(ServerRequest request, ServerResponse response) {
    Optional<String> broken =
        pool.statuses().stream()
            .map(ModelPool.Status::served)
            .flatMap(Stream::ofNullable)
            .filter(ServedModel::broken)
            .map(ServedModel::id)
            .findFirst();
    response.status(
        draining || broken.isPresent() ? Status.SERVICE_UNAVAILABLE_503 : Status.OK_200);
    text(
        request,
        response,
        draining
            ? "draining\n"
            : broken
                .map(id -> "the files of the model " + id + " were changed\n")
                .orElse("ready\n"));
  }

  private void version(ServerRequest request, ServerResponse response, Call call) {
    send(request, response, JsonNodeFactory.instance.objectNode().put("version", VERSION));
  }

  private static void text(ServerRequest request, ServerResponse response, String text) {
    response.header(HeaderNames.CONTENT_TYPE, "text/plain; charset=utf-8");
    send(request, response, text.getBytes(StandardCharsets.UTF_8));
  }

  private void metrics(ServerRequest request, ServerResponse response, Call call) {
    response.header(HeaderNames.CONTENT_TYPE, ServerMetrics.CONTENT_TYPE);
    send(request, response, metrics.text());
  }

  /** Says that a request was answered, so that the connection waits for the next one. */
  private static void rest(ServerRequest request) {
    Peer peer = Peer.current();
    if (peer != null) {
      peer.rest(request.headers().containsToken(HeaderValues.CONNECTION_CLOSE));
    }
  }

  /**
   * Answers a request: gives it its id, checks its key, and counts and logs it when it has ended.
   *
   * @param endpoint the path as it is counted, without what varies
   */
  private void answer(
      String endpoint, ServerRequest request, ServerResponse response, Handler handler) {
    String id =
        request
            .headers()
            .first(REQUEST_ID_HEADER)
            .filter(given -> REQUEST_ID.matcher(given).matches())
            .orElse("");
    Call call = new Call(id, settings.limits().timeout().toNanos());
    response.header(REQUEST_ID_HEADER, call.id());
    Peer peer = Peer.current();
    String address = address(request);
    if (peer != null) {
      peer.work();
    }
    running.incrementAndGet();
    int status = 500;
    try {
      call.client(address);
      checkBrowser(endpoint, request, response);
      if (isPreflight(endpoint, request)) {
        allow(endpoint, request, response);
        status = response.status().code();
        return;
      }
      if (!open(endpoint)) {
        if (endpoint.equals(RELOAD)) {
          authenticateAdmin(request, call);
        } else {
          authenticate(request, call);
        }
        if (draining && !endpoint.equals(METRICS) && !endpoint.equals(HEALTH)) {
          throw ApiException.unavailable("the server is shutting down");
        }
      }
      call.run(() -> handler.handle(request, response, call));
      status = call.leaving().cancelled() ? 499 : response.status().code();
    } catch (ApiException e) {
      status = call.leaving().cancelled() ? 499 : e.status();
      fail(request, response, e);
    } catch (RequestException e) { // of the body: Helidon answers it
      status = e.status().code();
      if (peer != null) {
        peer.refuse();
      }
      throw e; // which ends the connection: see directHandlers
    } catch (CloseConnectionException | UncheckedIOException e) {
      status = 499; // the client has left
      throw new CloseConnectionException("the client has left", e);
    } finally {
      call.release();
      bodies.free(call.bodyBytes());
      running.decrementAndGet();
      metrics.ended(endpoint, status, call);
      log(request, address, status, call);
    }
  }

  /**
   * Refuses what a page of another site has a browser send. A server for this machine alone that
   * asks for no key takes the names of this machine alone, too: else a page could have its own name
   * lead here, and be the same site.
   */
  private void checkBrowser(String endpoint, ServerRequest request, ServerResponse response) {
    ServerSettings.Access access = settings.access();
    ServerRequestHeaders headers = request.headers();
    String host = headers.first(HeaderNames.HOST).orElse("");
    boolean proxied =
        headers.contains(FORWARDED_FOR) && access.proxies().trusts(Peer.address(request));
    if (hereAlone
        && !open(endpoint)
        && !proxied
        && !access.origins().isHere(host, settings.host())) {
      throw ApiException.forbidden(
          "Host: expected a name of this machine, such as localhost, found %s: see --allowed-host"
              .formatted(visible(host)));
    }
    Optional<String> origin = headers.first(HeaderNames.ORIGIN);
    if (!access.origins().origins().isEmpty()) {
      response.headers().add(HeaderValues.create(HeaderNames.VARY, "Origin"));
      origin
          .filter(access.origins()::allows)
          .ifPresent(
              allowed -> {
                response.header(
                    HeaderNames.ACCESS_CONTROL_ALLOW_ORIGIN, access.origins().answerTo(allowed));
                response.header(
                    HeaderNames.ACCESS_CONTROL_EXPOSE_HEADERS, "X-Request-Id, Retry-After");
              });
    }
    String site = headers.first(FETCH_SITE).orElse("");
    boolean own =
        site.isEmpty()
            ? origin.isEmpty()
                || AllowedOrigins.isSame(origin.get(), host)
                || proxied
                    && AllowedOrigins.isSame(origin.get(), headers.first(FORWARDED_HOST).orElse(""))
            : site.equals("same-origin") || site.equals("none");
    boolean link = // which a person has followed
        origin.isEmpty()
            && request.prologue().method().equals(Method.GET)
            && headers.first(FETCH_MODE).orElse("").equals("navigate");
    if (!own && !link && !origin.map(access.origins()::allows).orElse(false)) {
      throw ApiException.forbidden(
          "requests of pages of %s are refused: see --allowed-origin"
              .formatted(visible(origin.orElse("another site"))));
    }
  }

  /** Whether a browser asks if a page may send a request. */
  private boolean isPreflight(String endpoint, ServerRequest request) {
    return request.prologue().method().equals(Method.OPTIONS)
        && request.headers().contains(HeaderNames.ORIGIN)
        && request.headers().contains(HeaderNames.ACCESS_CONTROL_REQUEST_METHOD)
        && methods.containsKey(endpoint);
  }

  /** Tells a browser what the pages of an allowed origin may send. */
  private void allow(String endpoint, ServerRequest request, ServerResponse response) {
    response.header(
        HeaderNames.ACCESS_CONTROL_ALLOW_METHODS,
        String.join(", ", Objects.requireNonNull(methods.get(endpoint))));
    request
        .headers()
        .first(HeaderNames.ACCESS_CONTROL_REQUEST_HEADERS)
        .ifPresent(names -> response.header(HeaderNames.ACCESS_CONTROL_ALLOW_HEADERS, names));
    response.header(HeaderNames.ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    response.status(Status.NO_CONTENT_204).send();
  }

  /** Whether a path asks for no key. */
  private boolean open(String endpoint) {
    return endpoint.equals(LIVE)
        || endpoint.equals(READY)
        || endpoint.equals(PING)
        || settings.access().openMetrics() && (endpoint.equals(METRICS) || endpoint.equals(HEALTH));
  }

  /** Counts and logs a request that reached no route. */
  private void malformed(String address, int status) {
    metrics.malformed(status);
    log(line(address).put("status", status));
  }

  private static ObjectNode line(String address) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("time", Instant.now().truncatedTo(ChronoUnit.MILLIS).toString())
        .put("address", address);
  }

  private void log(ObjectNode line) {
    settings.access().log().ifPresent(log -> log.accept(line.toString()));
  }

  /** Returns the address that a request comes from, behind a trusted proxy that of its client. */
  private String address(ServerRequest request) {
    return settings
        .access()
        .proxies()
        .client(Peer.address(request), request.headers().values(FORWARDED_FOR));
  }

  private void log(ServerRequest request, String address, int status, Call call) {
    if (settings.access().log().isEmpty()) {
      return;
    }
    ObjectNode line =
        line(address)
            .put("request_id", call.id())
            .put("client", call.client())
            .put("method", visible(request.prologue().method().text()))
            .put("path", visible(request.path().path()))
            .put("status", status);
    if (!call.model().isEmpty()) {
      line.put("model", call.model())
          .put("prompt_tokens", call.promptTokens())
          .put("new_tokens", call.newTokens())
          .put("queue_seconds", rounded(call.queuedSeconds()))
          .put("first_token_seconds", rounded(call.firstTokenSeconds()))
          .put("finish_reason", call.reasons());
    }
    log(line.put("seconds", rounded(call.seconds())));
  }

  /** Returns microseconds, which are written without an exponent. */
  private static BigDecimal rounded(double seconds) {
    return BigDecimal.valueOf(Math.round(seconds * 1e6), 6);
  }

  /** Checks the key of a request and its limit; it takes its turn by its key. */
  private void authenticate(ServerRequest request, Call call) {
    if (keys.isEmpty()) {
      return;
    }
    byte[] given = key(request);
    ApiKey found = null;
    for (ApiKey key : keys.keySet()) { // all of them, whichever it is
      if (is(key, given)) {
        found = key;
      }
    }
    if (found == null) {
      throw ApiException.unauthorized();
    }
    call.client(found.name());
    Objects.requireNonNull(keys.get(found)).take();
  }

  /** Checks that a request brings the key of those that load models anew. */
  private void authenticateAdmin(ServerRequest request, Call call) {
    ApiKey admin =
        settings
            .access()
            .admin()
            .orElseThrow(
                () ->
                    ApiException.forbidden(
                        "this server was started without a key for it: see --admin-key-file"));
    if (!is(admin, key(request))) {
      throw ApiException.unauthorized();
    }
    call.client(admin.name());
  }

  private static byte[] key(ServerRequest request) {
    return request
        .headers()
        .first(HeaderNames.AUTHORIZATION)
        .filter(value -> value.regionMatches(true, 0, "Bearer ", 0, 7))
        .map(value -> value.substring(7).strip().getBytes(StandardCharsets.UTF_8))
        .orElse(new byte[0]);
  }

  private static boolean is(ApiKey key, byte[] given) {
    return MessageDigest.isEqual(key.key().getBytes(StandardCharsets.UTF_8), given);
  }

  private Body body(ServerRequest request, Call call) {
    // A page of another site can send a body without a type, or of another one, unasked.
    String type = request.headers().first(HeaderNames.CONTENT_TYPE).orElse("none");
    if (!JSON.matcher(type).matches()) {
      throw ApiException.http(
          415, "Content-Type: expected application/json, found " + visible(type));
    }
    byte[] bytes;
    try {
      bytes = request.content().hasEntity() ? bytes(request, call) : new byte[0];
    } catch (DataReader.IncorrectNewLineException | IllegalArgumentException e) {
      throw RequestException.builder()
          .type(EventType.BAD_REQUEST)
          .message("chunked body: expected lengths in hexadecimal, and CRLF after each")
          .safeMessage(true)
          .setKeepAlive(false)
          .build();
    }
    Peer peer = Peer.current();
    if (peer != null) {
      peer.onLeave(call.leaving()::cancel);
    }
    return Body.parse(bytes);
  }

  /** Reads a body piece by piece, so that it takes memory only as it arrives. */
  private byte[] bytes(ServerRequest request, Call call) {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    try {
      InputStream in = request.content().inputStream(); // closing it would wait for all of it
      byte[] piece = in.readNBytes(BodyBudget.STEP);
      body.write(piece);
      while (piece.length == BodyBudget.STEP) {
        bodies.take(BodyBudget.STEP);
        call.holds(BodyBudget.STEP);
        piece = in.readNBytes(BodyBudget.STEP);
        body.write(piece);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (ApiException e) { // what is left of the body is not read
      Peer peer = Peer.current();
      if (peer != null) {
        peer.last();
      }
      throw e;
    }
    return body.toByteArray();
  }

  /** Returns the model that a body names; the only one where it names none. Waits for its load. */
  private ServedModel model(Body body, Call call) {
    return model(id(body), call);
  }

  private ServedModel model(String id, Call call) {
    ServedModel model = call.use(pool.acquire(id, call));
    call.model(model.id());
    return model;
  }

  private String id(Body body) {
    List<String> ids = pool.ids();
    Optional<String> name = body.string("model");
    if (name.isEmpty() && ids.size() > 1) {
      throw ApiException.invalid("model", "model: expected one of " + names() + ", found nothing");
    }
    String id = name.orElse(ids.getFirst());
    if (!ids.contains(id)) {
      throw ApiException.noSuchModel(visible(id), there());
    }
    return id;
  }

  private String there() {
    return (pool.ids().size() == 1 ? "there is " : "there are ") + names();
  }

  private String names() {
    return String.join(", ", pool.ids());
  }

  private void completions(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request, call);
    Completions completions = new Completions(body, model(body, call), call);
    if (completions.streamed()) {
      stream(response, call, completions::stream);
    } else {
      send(request, response, completions.answer());
    }
  }

  private void chats(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request, call);
    Chats chats = new Chats(body, model(body, call), call);
    if (chats.streamed()) {
      stream(response, call, chats::stream);
    } else {
      send(request, response, chats.answer());
    }
  }

  private void responses(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request, call);
    Responses responses = new Responses(body, model(body, call), call);
    if (responses.streamed()) {
      stream(response, call, responses::stream);
    } else {
      send(request, response, responses.answer());
    }
  }

  private void embeddings(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request, call);
    send(request, response, new Embeddings(body, model(body, call), call).answer());
  }

  private interface Streamed {
    void write(EventStream events);
  }

  /** Streams an answer; an error after the first chunk is an event of its own. */
  private static void stream(ServerResponse response, Call call, Streamed streamed) {
    try (EventStream events = new EventStream(response)) {
      try {
        streamed.write(events);
      } catch (ApiException e) {
        if (!events.started()) {
          throw e;
        }
        events.send(e.json());
      } catch (UncheckedIOException e) {
        throw e;
      } catch (RuntimeException e) {
        if (!events.started()) {
          throw e;
        }
        System.getLogger("dev.jneox").log(System.Logger.Level.ERROR, "a request failed", e);
        events.send(ApiException.http(500, "internal error").json());
      }
    } catch (UncheckedIOException e) {
      call.leaving().cancel(); // the client has left
      throw e;
    }
  }

  private void models(ServerRequest request, ServerResponse response, Call call) {
    ObjectNode root = JsonNodeFactory.instance.objectNode().put("object", "list");
    ArrayNode data = root.putArray("data");
    pool.statuses().forEach(model -> data.add(described(model)));
    send(request, response, root);
  }

  private void model(ServerRequest request, ServerResponse response, Call call) {
    String given = request.path().pathParameters().get("model");
    String id = given.endsWith("/") ? given.substring(0, given.length() - 1) : given;
    send(
        request,
        response,
        described(
            pool.status(id).orElseThrow(() -> ApiException.noSuchModel(visible(id), there()))));
  }

  private static ObjectNode described(ModelPool.Status model) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("id", model.id())
        .put("object", "model")
        .put("created", model.created())
        .put("owned_by", "jneox")
        .put("max_model_len", model.context())
        .put("state", state(model));
  }

  private void reload(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request, call);
    String id = id(body);
    body.end();
    send(request, response, described(pool.reload(id, call)));
  }

  private static String state(ModelPool.Status model) {
    return model.state().name().toLowerCase(Locale.ROOT);
  }

  private void health(ServerRequest request, ServerResponse response, Call call) {
    ObjectNode root =
        JsonNodeFactory.instance.objectNode().put("status", draining ? "draining" : "ok");
    ArrayNode data = root.putArray("models");
    for (ModelPool.Status model : pool.statuses()) {
      data.addObject()
          .put("id", model.id())
          .put("state", state(model))
          .put("requests", model.requests())
          .put("bytes", model.bytes());
    }
    root.put("bytes", pool.used());
    if (pool.limit() < Long.MAX_VALUE) {
      root.put("limit_bytes", pool.limit());
    }
    response.status(draining ? Status.SERVICE_UNAVAILABLE_503 : Status.OK_200);
    send(request, response, root);
  }

  private void tokenize(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request, call);
    ServedModel model = model(body, call);
    send(request, response, Tokenization.tokenize(body, model));
  }

  private void detokenize(ServerRequest request, ServerResponse response, Call call) {
    Body body = body(request, call);
    ServedModel model = model(body, call);
    send(request, response, Tokenization.detokenize(body, model));
  }

  private void tokenizerInfo(ServerRequest request, ServerResponse response, Call call) {
    ServedModel model = model(pool.ids().getFirst(), call);
    int end = model.model().spec().vocabulary().endOfText();
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("tokenizer_class", model.tokenizer().getClass().getSimpleName());
    root.put("vocab_size", model.tokenizer().vocabSize());
    root.put("model_max_length", model.context());
    String text = end < 0 ? null : model.tokenizer().decode(new int[] {end});
    root.put("eos_token", text);
    root.put("bos_token", text);
    root.putNull("pad_token");
    root.put("chat_template", model.chatTemplate());
    send(request, response, root);
  }

  private static void send(ServerRequest request, ServerResponse response, JsonNode json) {
    try {
      response.header(HeaderNames.CONTENT_TYPE, "application/json");
      send(request, response, Body.MAPPER.writeValueAsBytes(json));
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Sends an answer; to HEAD its head alone. */
  private static void send(ServerRequest request, ServerResponse response, byte[] body) {
    if (request.prologue().method().equals(Method.HEAD)) {
      response.contentLength(body.length);
      response.send();
    } else {
      response.send(body);
    }
  }

  private static void fail(ServerRequest request, ServerResponse response, ApiException e) {
    if (e.retryAfter() > 0) {
      response.header(HeaderNames.RETRY_AFTER, Integer.toString(e.retryAfter()));
    }
    if (e.status() == 401) {
      response.header(HeaderNames.WWW_AUTHENTICATE, "Bearer");
    }
    if (e.status() == 408) { // OpenAI's clients would send it again
      response.header(SHOULD_RETRY, "false");
    }
    response.status(Status.create(e.status()));
    send(request, response, e.json());
  }

  private static void crash(ServerRequest request, ServerResponse response, Throwable e) {
    System.getLogger("dev.jneox").log(System.Logger.Level.ERROR, "a request failed", e);
    fail(request, response, ApiException.http(500, "internal error"));
  }

  /** Says what is wrong with a request. What the server never does is the client's mistake, too. */
  private static ApiException http(int status, String message) {
    return ApiException.http(status == 501 || status == 505 ? 400 : status, message);
  }

  /** Helidon keeps some messages back, and points at a log that has them at the level DEBUG. */
  private static String said(Status status, @Nullable String message) {
    return message == null || message.isEmpty() || message.contains("see server log")
        ? "malformed HTTP request: " + status.reasonPhrase()
        : visible(message);
  }

  /** Has Helidon's own errors, of malformed HTTP, in OpenAI's form. */
  private DirectHandlers directHandlers() {
    DirectHandlers.Builder builder = DirectHandlers.builder();
    for (EventType type : EventType.values()) {
      builder.addHandler(
          type,
          (_, event, status, headers, message) -> {
            // Requests that reach a route never fail here: what fails is Helidon's parsing, of a
            // method that is no token, for example.
            ApiException failure =
                event == EventType.INTERNAL_ERROR
                    ? ApiException.malformed("malformed HTTP request")
                    : http(
                        status.code(),
                        status.code() == 413
                            ? "the body is over %s (--max-body)"
                                .formatted(ByteSize.text(settings.limits().body()))
                            : said(status, message));
            headers.set(HeaderNames.CONTENT_TYPE, "application/json");
            headers.set(HeaderValues.CONNECTION_CLOSE);
            if (!headers.contains(REQUEST_ID_HEADER)) {
              headers.set(REQUEST_ID_HEADER, new Call("", 0).id());
            }
            Peer peer = Peer.current();
            if (peer != null && peer.refuse()) {
              malformed(peer.address(), failure.status());
            }
            if (peer != null && !peer.lastAnswer()) {
              // Helidon goes on after a refusal: what follows is no request, and gets no answer.
              throw new CloseConnectionException("the connection ends with its refusal");
            }
            return DirectHandler.TransportResponse.builder()
                .status(Status.create(failure.status()))
                .headers(headers)
                .keepAlive(false)
                .entity(failure.json().toString())
                .build();
          });
    }
    return builder.build();
  }

  /** Waits until what runs has ended, at most the grace of the settings, and ends. */
  @Override
  public void close() {
    draining = true;
    long end = System.nanoTime() + settings.limits().grace().toNanos();
    boolean interrupted = false;
    while (running.get() > 0 && System.nanoTime() < end && !interrupted) {
      try {
        Thread.sleep(LOOK_MILLIS);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    pool.close(); // ends the requests that still run
    server.stop();
    connections.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
