package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a browser sends on behalf of pages, its own and others'. */
class AllowedOriginsTest {
  private static final String BODY = "{\"prompt\": \"a\", \"max_tokens\": 1}";
  private static final String APP = "https://app.example.com";

  @TempDir static Path dir;

  private static Path model;

  @BeforeAll
  static void makeModel() {
    model = TestServer.model(dir, 64);
  }

  private static RawClient.Reply send(TestServer server, String request, String... headers)
      throws IOException {
    try (RawClient client = server.connect()) {
      boolean post = request.startsWith("POST");
      client.write(
          request
              + " HTTP/1.1\r\n"
              + String.join("\r\n", headers)
              + (post ? "\r\nContent-Length: " + BODY.length() : "")
              + "\r\n\r\n"
              + (post ? BODY : ""));
      return client.read();
    }
  }

  private static int status(TestServer server, String request, String... headers)
      throws IOException {
    return send(server, request, headers).status();
  }

  private static final String POST = "POST /v1/completions";
  private static final String JSON = "Content-Type: application/json";

  @Test
  void aServerOfThisMachineAloneTakesItsNamesAlone() throws IOException {
    try (TestServer server = new TestServer.Builder().start(model)) {
      for (String host :
          List.of(
              "localhost",
              "LOCALHOST:9",
              "localhost.",
              "a.localhost",
              "127.0.0.1:8080",
              "127.1.2.3",
              "[::1]:80",
              "[0:0:0:0:0:0:0:1]")) {
        assertThat(status(server, POST, "Host: " + host, JSON)).as(host).isEqualTo(200);
      }
      for (String host :
          List.of(
              "evil.example",
              "evil.example:8080",
              "localhost.evil.example",
              "127.0.0.1.nip.io",
              "10.0.0.1",
              "[::2]")) {
        RawClient.Reply refused =
            send(server, POST, "Host: " + host, JSON, "Origin: http://" + host);
        assertThat(refused.status()).as(host).isEqualTo(403);
        assertThat(refused.body()).contains("--allowed-host");
        assertThat(status(server, "GET /v1/models", "Host: " + host)).isEqualTo(403);
      }
      assertThat(status(server, "GET /health/live", "Host: evil.example")).isEqualTo(200);
    }
  }

  @Test
  void anAllowedNameOrATrustedProxyOrAKeyTakesAnyName() throws IOException {
    TestServer.Builder builder = new TestServer.Builder();
    builder.origins = new AllowedOrigins(List.of(), List.of("Models.example.com"));
    try (TestServer server = builder.start(model)) {
      assertThat(status(server, POST, "Host: models.example.com:80", JSON)).isEqualTo(200);
      assertThat(status(server, POST, "Host: example.com", JSON)).isEqualTo(403);
    }
    builder = new TestServer.Builder();
    builder.proxies = new TrustedProxies(List.of(TrustedProxies.Range.parse("127.0.0.1")));
    try (TestServer server = builder.start(model)) {
      String host = "Host: models.example.com";
      String forwarded = "X-Forwarded-For: 203.0.113.7";
      assertThat(status(server, POST, host, JSON, forwarded)).isEqualTo(200);
      assertThat(status(server, POST, host, JSON)).isEqualTo(403);
      assertThat(status(server, POST, host, JSON, forwarded, "Origin: https://models.example.com"))
          .isEqualTo(200);
      assertThat(
              status(
                  server,
                  POST,
                  "Host: upstream",
                  JSON,
                  forwarded,
                  "Origin: " + APP,
                  "X-Forwarded-Host: app.example.com"))
          .isEqualTo(200);
      assertThat(status(server, POST, "Host: upstream", JSON, forwarded, "Origin: " + APP))
          .isEqualTo(403);
    }
    builder = new TestServer.Builder();
    builder.keys = List.of(new ApiKey("k", "k", 0));
    try (TestServer server = builder.start(model)) {
      assertThat(status(server, POST, "Host: any", JSON, "Authorization: Bearer k")).isEqualTo(200);
    }
  }

  @Test
  void pagesOfOtherSitesAreRefused() throws IOException {
    try (TestServer server = new TestServer.Builder().start(model)) {
      String host = "Host: localhost:8080";
      for (String header :
          List.of(
              "Origin: https://evil.example",
              "Origin: null",
              "Origin: http://localhost:3000",
              "Sec-Fetch-Site: cross-site",
              "Sec-Fetch-Site: same-site")) {
        RawClient.Reply refused = send(server, POST, host, JSON, header);
        assertThat(refused.status()).as(header).isEqualTo(403);
        assertThat(refused.body()).contains("--allowed-origin");
        assertThat(refused.header("Access-Control-Allow-Origin")).isEmpty();
        assertThat(status(server, "GET /v1/models", host, header)).isEqualTo(403);
      }
      for (String header :
          List.of(
              "Origin: http://localhost:8080",
              "Sec-Fetch-Site: same-origin",
              "Sec-Fetch-Site: none")) {
        assertThat(status(server, POST, host, JSON, header)).as(header).isEqualTo(200);
      }
      String link = "Sec-Fetch-Mode: navigate";
      assertThat(status(server, "GET /v1/models", host, "Sec-Fetch-Site: cross-site", link))
          .isEqualTo(200);
      assertThat(status(server, POST, host, JSON, "Sec-Fetch-Site: cross-site", link))
          .isEqualTo(403);
      // What a browser sends to other sites without asking.
      assertThat(status(server, POST, host)).isEqualTo(415);
      assertThat(status(server, POST, host, "Content-Type: text/plain")).isEqualTo(415);
      assertThat(
              status(
                  server,
                  "OPTIONS /v1/completions",
                  host,
                  "Origin: " + APP,
                  "Access-Control-Request-Method: POST"))
          .isEqualTo(403);
    }
  }

  @Test
  void pagesOfAnAllowedOriginAreTold() throws IOException {
    TestServer.Builder builder = new TestServer.Builder();
    builder.keys = List.of(new ApiKey("k", "k", 0));
    builder.origins = new AllowedOrigins(List.of(APP), List.of());
    try (TestServer server = builder.start(model)) {
      String[] asks = {
        "Host: localhost",
        "Origin: " + APP,
        "Sec-Fetch-Site: cross-site",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization,content-type"
      };
      RawClient.Reply told = send(server, "OPTIONS /v1/completions", asks);
      assertThat(told.status()).isEqualTo(204);
      assertThat(told.header("Access-Control-Allow-Origin")).isEqualTo(APP);
      assertThat(told.header("Access-Control-Allow-Methods")).isEqualTo("POST");
      assertThat(told.header("Access-Control-Allow-Headers"))
          .isEqualTo("authorization,content-type");
      assertThat(told.header("Vary")).isEqualTo("Origin");
      String[] key = {
        "Host: localhost",
        "Origin: " + APP,
        "Sec-Fetch-Site: cross-site",
        JSON,
        "Authorization: Bearer k"
      };
      RawClient.Reply answer = send(server, POST, key);
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.header("Access-Control-Allow-Origin")).isEqualTo(APP);
      RawClient.Reply without = send(server, POST, "Host: localhost", "Origin: " + APP, JSON);
      assertThat(without.status()).isEqualTo(401);
      assertThat(without.header("WWW-Authenticate")).isEqualTo("Bearer");
      assertThat(without.header("Access-Control-Allow-Origin")).isEqualTo(APP);
      assertThat(status(server, POST, "Host: localhost", "Origin: https://b.example", JSON))
          .isEqualTo(403);
    }
    builder = new TestServer.Builder();
    builder.origins = new AllowedOrigins(List.of("*"), List.of());
    try (TestServer server = builder.start(model)) {
      RawClient.Reply answer = send(server, POST, "Host: localhost", "Origin: null", JSON);
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.header("Access-Control-Allow-Origin")).isEqualTo("*");
    }
  }

  @Test
  void entriesAreChecked() {
    for (String origin : List.of("app.example.com", "https://app.example.com/", "", "https://")) {
      assertThatThrownBy(() -> new AllowedOrigins(List.of(origin), List.of()))
          .as(origin)
          .isInstanceOf(InputException.class)
          .hasMessageContaining("https://app.example.com");
    }
    for (String host : List.of("http://a", "a:80", "")) {
      assertThatThrownBy(() -> new AllowedOrigins(List.of(), List.of(host)))
          .as(host)
          .isInstanceOf(InputException.class)
          .hasMessageContaining("without a port");
    }
  }
}
