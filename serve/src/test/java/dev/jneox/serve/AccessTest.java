package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jneox.io.InputException;
import java.io.EOFException;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AccessTest {
  private static final String LONG =
      "{\"prompt\": \"int\", \"max_tokens\": %d, \"ignore_eos\": true, \"seed\": 1%s}";

  @TempDir static Path dir;

  private static Path model;

  @BeforeAll
  static void makeModel() {
    model = TestServer.model(dir, 1 << 14);
  }

  @Test
  void aFullQueueIsSaid() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.sessions = 1;
    builder.queue = 1;
    try (TestServer server = builder.start(model);
        RawClient first = server.connect();
        RawClient second = server.connect()) {
      first.write(RawClient.post("/v1/completions", LONG.formatted(15_000, "")));
      second.write(RawClient.post("/v1/completions", LONG.formatted(15_000, "")));
      TestServer.await(() -> server.metric("jneox_sequences_waiting{model=\"tiny\"}") == 1);
      HttpResponse<String> refused = server.post("/v1/completions", LONG.formatted(1, ""));
      assertThat(refused.statusCode()).isEqualTo(429);
      assertThat(refused.headers().firstValue("Retry-After")).contains("1");
      assertThat(refused.body()).contains("the queue is full: 1 sequences run and 1 wait");
      // What asks for no sequence is answered.
      assertThat(server.post("/tokenize", "{\"prompt\": \"a\"}").statusCode()).isEqualTo(200);
    }
  }

  @Test
  @Tag("slow")
  void aRequestHasItsTime() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.timeout = Duration.ofSeconds(1);
    builder.sessions = 1;
    try (TestServer server = builder.start(model)) {
      CompletableFuture<HttpResponse<String>> streamed =
          CompletableFuture.supplyAsync(
              () -> server.post("/v1/completions", LONG.formatted(16_000, ", \"stream\": true")));
      HttpResponse<String> whole = server.post("/v1/completions", LONG.formatted(16_000, ""));
      assertThat(whole.statusCode()).isEqualTo(408);
      assertThat(whole.body()).contains("\"timeout\"");
      assertThat(whole.headers().firstValue("x-should-retry")).contains("false");
      if (streamed.get().statusCode() == 200) { // it had the only place
        assertThat(streamed.get().body()).contains("timeout_error").doesNotContain("[DONE]");
      } else {
        assertThat(streamed.get().statusCode()).isEqualTo(408);
      }
      HttpResponse<String> alone = server.post("/v1/completions", LONG.formatted(16_000, ""));
      assertThat(alone.statusCode()).isEqualTo(408);
      assertThat(alone.body()).contains("longer than the 1 s of this server");
    }
  }

  @Test
  @Tag("slow")
  void whatRunsEndsBeforeTheServer() throws Exception {
    TestServer server = new TestServer.Builder().start(model);
    int port = server.port();
    String body = LONG.formatted(8000, "");
    JsonNode alone = server.ok("/v1/completions", body);
    CompletableFuture<HttpResponse<String>> running =
        CompletableFuture.supplyAsync(() -> server.post("/v1/completions", body));
    TestServer.await(() -> server.metric("jneox_sequences_running{model=\"tiny\"}") == 1);
    try (RawClient late = server.connect()) {
      late.write("GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(late.read().status()).isEqualTo(200);
      Thread closing = Thread.ofVirtual().start(server::close);
      int ready = 200;
      while (ready == 200) {
        ready = late.write("GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n").read().status();
      }
      assertThat(ready).isEqualTo(503);
      RawClient.Reply refused = late.write(RawClient.post("/v1/completions", body)).read();
      assertThat(refused.status()).isEqualTo(503);
      assertThat(refused.header("Retry-After")).isEqualTo("1");
      assertThat(running.isDone()).isFalse();
      assertThat(running.get().statusCode()).isEqualTo(200);
      assertThat(TestServer.JSON.readTree(running.get().body()).get("choices"))
          .isEqualTo(alone.get("choices"));
      closing.join();
      assertThatThrownBy(() -> new RawClient(port)).isInstanceOf(IOException.class);
    }
  }

  @Test
  void whatOutlastsTheGraceIsEndedByName() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.grace = Duration.ZERO;
    TestServer server = builder.start(model);
    try (RawClient client = server.connect()) {
      client.write(RawClient.post("/v1/completions", LONG.formatted(16_000, "")));
      TestServer.await(() -> server.metric("jneox_sequences_running{model=\"tiny\"}") == 1);
      long start = System.nanoTime();
      server.close();
      assertThat(System.nanoTime() - start).isLessThan(5_000_000_000L);
      assertThat(client.read().status()).isEqualTo(503);
    }
  }

  @Test
  void keysLetIn() throws IOException {
    List<String> log = Collections.synchronizedList(new ArrayList<>());
    TestServer.Builder builder = new TestServer.Builder();
    builder.keys =
        List.of(ApiKey.parse("secret-1", "key 1"), ApiKey.parse("secret-2 ann 2", "key 2"));
    builder.log = Optional.of(log::add);
    try (TestServer server = builder.start(model)) {
      for (String[] headers :
          new String[][] {
            {},
            {"Authorization", "Bearer secret"},
            {"Authorization", "Basic secret-1"},
            {"Authorization", "Bearer "}
          }) {
        HttpResponse<String> refused = server.get("/v1/models", headers);
        assertThat(refused.statusCode()).isEqualTo(401);
        assertThat(refused.headers().firstValue("WWW-Authenticate")).contains("Bearer");
        assertThat(refused.body()).contains("invalid_api_key").doesNotContain("secret-");
      }
      assertThat(server.get("/metrics").statusCode()).isEqualTo(401);
      assertThat(server.get("/health/live").statusCode()).isEqualTo(200);
      assertThat(server.get("/health/ready").body()).isEqualTo("ready\n");
      String[] first = {"Authorization", "Bearer secret-1"};
      String[] second = {"Authorization", "bearer secret-2"};
      assertThat(server.get("/metrics", first).statusCode()).isEqualTo(200);
      for (int i = 0; i < 2; i++) {
        assertThat(server.get("/v1/models", second).statusCode()).isEqualTo(200);
      }
      HttpResponse<String> limited = server.get("/v1/models", second);
      assertThat(limited.statusCode()).isEqualTo(429);
      assertThat(limited.body()).contains("the key of ann may send 2 requests a minute");
      assertThat(Integer.parseInt(limited.headers().firstValue("Retry-After").orElseThrow()))
          .isBetween(25, 30);
      assertThat(server.get("/v1/models", first).statusCode()).isEqualTo(200);
      assertThat(
              server
                  .post(
                      "/v1/completions",
                      "{\"prompt\": \"hidden text\", \"max_tokens\": 3, \"ignore_eos\": true}",
                      first)
                  .statusCode())
          .isEqualTo(200);
    }
    assertThat(String.join("\n", log)).doesNotContain("secret").doesNotContain("hidden");
    JsonNode line = TestServer.JSON.readTree(log.getLast());
    assertThat(line.get("client").asText()).isEqualTo("key 1");
    assertThat(line.get("path").asText()).isEqualTo("/v1/completions");
    assertThat(line.get("status").asInt()).isEqualTo(200);
    assertThat(line.get("model").asText()).isEqualTo("tiny");
    assertThat(line.get("new_tokens").asInt()).isEqualTo(3);
    assertThat(line.get("prompt_tokens").asInt()).isPositive();
    assertThat(line.get("finish_reason").asText()).isEqualTo("length");
    assertThat(line.get("seconds").asDouble())
        .isGreaterThanOrEqualTo(line.get("first_token_seconds").asDouble());
    assertThat(line.get("request_id").asText()).isNotEmpty();
  }

  @Test
  void aTrustedProxySaysWhoAsks() throws IOException {
    for (boolean trusted : new boolean[] {true, false}) {
      List<String> log = Collections.synchronizedList(new ArrayList<>());
      TestServer.Builder builder = new TestServer.Builder();
      builder.log = Optional.of(log::add);
      if (trusted) {
        builder.proxies = new TrustedProxies(List.of(TrustedProxies.Range.parse("127.0.0.0/8")));
      }
      try (TestServer server = builder.start(model)) {
        server.get("/v1/models", "X-Forwarded-For", "6.6.6.6, 203.0.113.7");
      }
      JsonNode line = TestServer.JSON.readTree(log.getLast());
      String address = trusted ? "203.0.113.7" : "127.0.0.1";
      assertThat(line.get("address").asText()).isEqualTo(address);
      assertThat(line.get("client").asText()).isEqualTo(address); // whose turn it takes
    }
  }

  @Test
  void keyLinesAreChecked() {
    assertThat(ApiKey.parse("k", "key 7").name()).isEqualTo("key 7");
    assertThatThrownBy(() -> ApiKey.parse("k ann many", "key 1"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("expected a number from 1 to 1000000, found many");
    assertThatThrownBy(() -> ApiKey.parse("k ann 3 4", "key 1"))
        .hasMessageContaining("found 4 words");
  }

  @Test
  void metricsAreCounted() throws InterruptedException {
    TestServer.Builder builder = new TestServer.Builder();
    builder.keys = List.of(new ApiKey("k", "k", 0));
    builder.openMetrics = true;
    try (TestServer server = builder.start(model)) {
      for (int i = 0; i < 3; i++) {
        server.post(
            "/v1/completions", LONG.formatted(5, ", \"n\": 2"), "Authorization", "Bearer k");
      }
      String ok = "jneox_requests_total{endpoint=\"/v1/completions\",status=\"200\"}";
      server.awaitMetric(ok, 3);
      assertThat(server.metric("jneox_generated_tokens_total{model=\"tiny\"}")).isEqualTo(30);
      assertThat(server.metric("jneox_time_to_first_token_seconds_count{model=\"tiny\"}"))
          .isEqualTo(3);
      assertThat(server.metric("jneox_time_per_token_seconds_count{model=\"tiny\"}")).isEqualTo(3);
      assertThat(server.metric("jneox_kv_limit_bytes{model=\"tiny\"}")).isPositive();
      assertThat(server.metric("jneox_sequences_running{model=\"tiny\"}")).isZero();
      server.awaitMetric("jneox_requests_running", 1); // this one
      assertThat(server.metric("jneox_build_info{version=\"development\"}")).isEqualTo(1);
      assertThat(server.metric("process_start_time_seconds")).isPositive();
      assertThat(server.metric("jvm_memory_used_bytes{area=\"heap\"}")).isPositive();
      assertThat(server.get("/metrics").body())
          .contains("jneox_request_seconds_bucket{endpoint=\"/v1/completions\",le=\"0.01\"}")
          .doesNotContain("jneox_request_seconds_bucket{endpoint=\"/metrics\"")
          .doesNotContainPattern("le=\"[0-9.]*E");
    }
  }

  @Tag("slow")
  @Test
  void malformedHttpIsCountedAndLoggedOnce() throws Exception {
    List<String> log = Collections.synchronizedList(new ArrayList<>());
    TestServer.Builder builder = new TestServer.Builder();
    builder.log = Optional.of(log::add);
    try (TestServer server = builder.start(model);
        RawClient head = server.connect();
        RawClient body = server.connect()) {
      assertThat(head.write("GET / HTTP/3\r\n\r\n").read().header("X-Request-Id")).isNotEmpty();
      body.write(
          "POST /tokenize HTTP/1.1\r\n"
              + "Host: localhost\r\n"
              + "Content-Type: application/json\r\n"
              + "Transfer-Encoding: chunked\r\n\r\n"
              + "zz\r\n");
      assertThat(body.read().header("X-Request-Id")).isNotEmpty();
      TestServer.await(() -> log.size() == 2); // a line follows its answer
      assertThat(log).allMatch(line -> line.contains("\"status\":400"));
      server.awaitMetric("jneox_requests_total{endpoint=\"malformed\",status=\"400\"}", 1);
      server.awaitMetric("jneox_requests_total{endpoint=\"/tokenize\",status=\"400\"}", 1);
    }
  }

  @Test
  @Tag("slow")
  void answersOverTls() throws Exception {
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
    assertThat(keytool.waitFor())
        .as(new String(keytool.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
        .isZero();
    KeyStore keys = KeyStore.getInstance(store.toFile(), "changeit".toCharArray());
    TestServer.Builder builder = new TestServer.Builder();
    builder.sessions = 1;
    builder.tls =
        Optional.of(
            new ServerSettings.TlsFiles(
                pem("CERTIFICATE", keys.getCertificate("a").getEncoded()),
                pem("PRIVATE KEY", keys.getKey("a", "changeit".toCharArray()).getEncoded())));
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    trusted.setCertificateEntry("a", keys.getCertificate("a"));
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    try (TestServer server = builder.start(model)) {
      assertThat(server.server().url()).startsWith("https://127.0.0.1:");
      try (RawClient client = tls(context, server)) {
        client.write(RawClient.post("/v1/completions", LONG.formatted(5, "")));
        assertThat(client.read().status()).isEqualTo(200);
        client.write(RawClient.post("/v1/completions", LONG.formatted(50, ", \"stream\": true")));
        assertThat(client.read().body()).endsWith("data: [DONE]\n\n");
      }
      try (RawClient client = tls(context, server)) {
        client.write(RawClient.post("/v1/completions", LONG.formatted(5, ""), "Connection: close"));
        assertThat(client.read().status()).isEqualTo(200);
        assertThatThrownBy(client::line) // and no complaint of TLS
            .isInstanceOf(EOFException.class)
            .hasMessageContaining("the connection has ended");
      }
      try (RawClient client = tls(context, server)) {
        // A client that leaves is noticed here, too.
        client.write(RawClient.post("/v1/completions", LONG.formatted(16_000, "")));
        Thread.sleep(200);
      }
      long start = System.nanoTime();
      try (RawClient client = tls(context, server)) {
        client.write(RawClient.post("/v1/completions", LONG.formatted(5, "")));
        assertThat(client.read().status()).isEqualTo(200);
      }
      assertThat(System.nanoTime() - start).isLessThan(2_000_000_000L);
      try (RawClient plain = server.connect()) {
        plain.write("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assertThat(plain.ended()).isFalse(); // a TLS alert
      }
    }
  }

  private static RawClient tls(SSLContext context, TestServer server) throws IOException {
    return new RawClient(context.getSocketFactory().createSocket("127.0.0.1", server.port()));
  }

  private static Path pem(String name, byte[] bytes) throws IOException {
    return Files.writeString(
        dir.resolve(name.charAt(0) + ".pem"),
        "-----BEGIN %s-----\n%s\n-----END %1$s-----\n"
            .formatted(name, Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes)));
  }
}
