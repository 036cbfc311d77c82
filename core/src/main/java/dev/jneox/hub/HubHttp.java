package dev.jneox.hub;

import dev.jneox.hub.Attempts.TransientFailure;
import dev.jneox.io.InputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Sends requests to a hub. It follows redirects itself instead of the JDK, because the token must
 * go to the host of the endpoint only, and a server must not redirect from https to http.
 */
final class HubHttp implements AutoCloseable {
  private static final int MAX_REDIRECTS = 10;
  private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
  private static final Set<Integer> PASSING = Set.of(408, 425, 429, 500, 502, 503, 504);

  /**
   * Holds a response, after redirects.
   *
   * @param first headers of the endpoint's own response, where the last one comes from another host
   * @param uri the address that answered
   */
  record Answer(int status, HttpHeaders first, HttpHeaders headers, URI uri, InputStream body)
      implements AutoCloseable {
    String header(String name) {
      return headers.firstValue(name).orElse("");
    }

    boolean isGzip() {
      return header("Content-Encoding").toLowerCase(Locale.ROOT).contains("gzip");
    }

    @Override
    public void close() {
      try {
        body.close();
      } catch (IOException e) {
        // The body is not read to its end.
      }
    }
  }

  private final HubSettings settings;
  private final ServerErrors errors;
  private final Consumer<String> onRetry;

  /** Created on first use, because creating it takes as long as finding a model in the cache. */
  private @Nullable HttpClient client;

  HubHttp(HubSettings settings, Consumer<String> onRetry) {
    this.settings = settings;
    this.errors = new ServerErrors(settings);
    this.onRetry = onRetry;
  }

  /** Creates the attempts at {@code what}, as the settings allow. */
  Attempts attempts(String what) {
    return new Attempts(settings.retries(), what, onRetry);
  }

  private synchronized HttpClient client() {
    if (client == null) {
      client =
          HttpClient.newBuilder()
              // Each file has its own connection, and no two share a window of flow control.
              .version(HttpClient.Version.HTTP_1_1)
              .followRedirects(HttpClient.Redirect.NEVER)
              .connectTimeout(settings.retries().answer())
              .build();
    }
    return client;
  }

  /** Reads a small response whole, with retries as {@link RetryPolicy} allows. */
  byte[] read(HubName name, URI uri, String what, long maxBytes) throws InterruptedException {
    return attempts(what)
        .run(
            () -> {
              try (Answer answer = send(name, null, "GET", uri, -1);
                  InputStream body =
                      answer.isGzip() ? new GZIPInputStream(answer.body()) : answer.body()) {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                byte[] buffer = new byte[1 << 16];
                for (int n; (n = body.read(buffer)) >= 0; ) {
                  if (bytes.size() + n > maxBytes) {
                    throw new InputException(
                        what + ": expected at most " + maxBytes + " bytes, found more");
                  }
                  bytes.write(buffer, 0, n);
                }
                return bytes.toByteArray();
              }
            });
  }

  /**
   * Sends one request and follows redirects. The caller closes the response, whose body throws when
   * it stalls.
   *
   * @param file the requested file, null for the listing
   * @param from the first byte requested, or -1 for all
   * @return a response of 200, 206, 416, or of another success
   * @throws TransientFailure for a status that may change
   * @throws InputException for any other status, and for a host that is unknown or refuses
   *     connections
   */
  Answer send(HubName name, @Nullable String file, String method, URI start, long from)
      throws IOException, InterruptedException {
    URI uri = start;
    HttpHeaders first = null;
    for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
      HttpResponse<InputStream> response;
      try {
        response = begin(request(method, uri, from));
      } catch (IOException e) {
        throw errors.unreachable(name, uri, e).orElseThrow(() -> e);
      }
      first = first == null ? response.headers() : first;
      int status = response.statusCode();
      if (REDIRECTS.contains(status)) {
        response.body().close();
        if (method.equals("HEAD") && first.firstValue("X-Linked-Etag").isPresent()) {
          return new Answer(200, first, response.headers(), uri, InputStream.nullInputStream());
        }
        uri = next(uri, response.headers().firstValue("Location").orElse(""));
        continue;
      }
      Answer answer =
          new Answer(
              status,
              first,
              response.headers(),
              uri,
              new StallGuardedStream(response.body(), settings.retries()));
      if (status >= 200 && status < 300 || status == 416) {
        return answer;
      }
      try (answer) {
        boolean elsewhere = !isEndpoint(uri);
        // The signed address that a hub redirects to expires; the next attempt gets a new one.
        if (PASSING.contains(status) || elsewhere && (status == 401 || status == 403)) {
          throw new TransientFailure(shown(uri) + " answered " + status, retryAfter(answer));
        }
        throw errors.of(name, file, answer);
      }
    }
    throw new InputException(
        shown(start) + ": more than " + MAX_REDIRECTS + " redirects, last to " + shown(uri));
  }

  /**
   * Waits for the response to begin. The request's own timeout is not used, because from Java 26 on
   * it covers the body too.
   */
  private HttpResponse<InputStream> begin(HttpRequest request)
      throws IOException, InterruptedException {
    CompletableFuture<HttpResponse<InputStream>> answer =
        client().sendAsync(request, HttpResponse.BodyHandlers.ofInputStream());
    try {
      return answer.get(settings.retries().answer().toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      throw new HttpTimeoutException("no answer in time");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IOException failure ? failure : new IOException(e.getCause());
    } finally {
      answer.cancel(true);
    }
  }

  private HttpRequest request(String method, URI uri, long from) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(uri)
            .method(method, HttpRequest.BodyPublishers.noBody())
            .header("User-Agent", "jneox")
            // Hashes and ranges are of the file's own bytes.
            .header("Accept-Encoding", "identity");
    if (isEndpoint(uri)) {
      settings.token().ifPresent(token -> request.header("Authorization", "Bearer " + token));
    }
    if (from > 0) {
      request.header("Range", "bytes=" + from + "-");
    }
    return request.build();
  }

  /** Resolves and checks the target of a redirect. */
  URI next(URI uri, String location) {
    URI next;
    try {
      // Some servers leave characters as they are that an address must spell as %XX.
      next =
          uri.resolve(
              new URI(location.replace(" ", "%20").replace("\"", "%22").replace("|", "%7C")));
    } catch (URISyntaxException e) {
      throw new InputException(shown(uri) + ": redirects to what is no address", e);
    }
    boolean web =
        "https".equalsIgnoreCase(next.getScheme()) || "http".equalsIgnoreCase(next.getScheme());
    if (location.isEmpty() || !web || next.getHost() == null) {
      throw new InputException(
          shown(uri) + ": expected a redirect to an http address, found " + shown(next));
    }
    if ("http".equalsIgnoreCase(next.getScheme())
        && !"http".equalsIgnoreCase(settings.endpoint().getScheme())) {
      throw new InputException(
          shown(uri)
              + ": redirects from https to "
              + shown(next)
              + ", which anyone on the way could change: refused");
    }
    return next;
  }

  private boolean isEndpoint(URI uri) {
    URI endpoint = settings.endpoint();
    return uri.getScheme().equalsIgnoreCase(endpoint.getScheme())
        && uri.getHost().equalsIgnoreCase(endpoint.getHost())
        && port(uri) == port(endpoint);
  }

  private static int port(URI uri) {
    return uri.getPort() >= 0
        ? uri.getPort()
        : "https".equalsIgnoreCase(uri.getScheme()) ? 443 : 80;
  }

  /** Formats an address without its query, which may hold signatures. */
  static String shown(URI uri) {
    String port = uri.getPort() < 0 ? "" : ":" + uri.getPort();
    return uri.getScheme()
        + "://"
        + uri.getHost()
        + port
        + (uri.getRawPath() == null ? "" : uri.getRawPath());
  }

  private static @Nullable Duration retryAfter(Answer answer) {
    String value = answer.header("Retry-After").strip();
    if (value.matches("\\d{1,9}")) {
      return Duration.ofSeconds(Long.parseLong(value));
    }
    try {
      ZonedDateTime date = ZonedDateTime.parse(value, DateTimeFormatter.RFC_1123_DATE_TIME);
      Duration wait = Duration.between(ZonedDateTime.now(date.getZone()), date);
      return wait.isNegative() ? Duration.ZERO : wait;
    } catch (DateTimeException e) {
      return null;
    }
  }

  @Override
  public synchronized void close() {
    if (client != null) {
      client.shutdownNow();
    }
  }
}
