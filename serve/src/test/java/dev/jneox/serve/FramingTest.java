package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where requests begin and end on a connection, and what the log says of them. */
class FramingTest {
  private static final String CHUNKED =
      "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
          + "Transfer-Encoding: chunked\r\n\r\n";
  private static final String GET = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
  private static final String LONG =
      "{\"prompt\": \"int\", \"max_tokens\": 100000, \"ignore_eos\": true, \"temperature\": 0%s}";

  @TempDir static Path dir;

  private static Path model;

  @BeforeAll
  static void makeModel() {
    model = TestServer.model(dir, 1 << 17);
  }

  private final List<String> log = Collections.synchronizedList(new ArrayList<>());

  private TestServer.Builder logging() {
    TestServer.Builder builder = new TestServer.Builder();
    builder.log = Optional.of(log::add);
    return builder;
  }

  private JsonNode logged() throws IOException, InterruptedException {
    TestServer.await(() -> !log.isEmpty());
    return TestServer.JSON.readTree(log.getFirst());
  }

  @Test
  void chunksMayHaveExtensionsAndTrailers() throws IOException {
    try (TestServer server = new TestServer.Builder().start(model);
        RawClient client = server.connect()) {
      for (String end :
          List.of("0\r\n\r\n", "0\r\nX-T: 1\r\n\r\n", "00;last\r\nA: 0\r\nB:\r\n\r\n")) {
        client.write(CHUNKED + "9;a=b\r\n{\"prompt\"\r\n6 ; c\r\n: \"a\"}\r\n" + end);
        assertThat(client.read().status()).as(end).isEqualTo(200);
      }
      client.write(GET);
      assertThat(client.read().status()).isEqualTo(200);
    }
  }

  @Test
  @Tag("slow")
  void aBrokenChunkGetsOneAnswerAndTheEnd() throws Exception {
    try (TestServer server = logging().start(model)) {
      for (String end :
          List.of("0\r\nno trailer\r\n\r\n", "zz\r\n{}\r\n" + GET, "-1\r\n\r\n" + GET)) {
        try (RawClient client = server.connect()) {
          client.write(CHUNKED + "2\r\n{}\r\n" + end);
          assertThat(client.read().status()).as(end).isEqualTo(400);
          assertThat(client.ended()).as(end).isTrue();
        }
      }
      TestServer.await(() -> log.size() == 3); // a line follows its answer
    }
  }

  @Test
  void theEndOfAConnectionIsNoRequest() throws Exception {
    try (TestServer server = logging().start(model)) {
      for (String request :
          List.of(
              "POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
              "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
              GET,
              "")) {
        try (RawClient client = server.connect()) {
          client.write(request);
          if (!request.isEmpty()) {
            assertThat(client.read().status()).isIn(200, 405);
          }
          client.socket().shutdownOutput();
          assertThat(client.ended()).as(request).isTrue();
        }
      }
      assertThat(server.metric("jneox_requests_total{endpoint=\"malformed\",status=\"400\"}"))
          .isNaN();
      TestServer.await(() -> log.size() == 3); // a line follows its answer
      assertThat(log).noneMatch(line -> line.contains("\"status\":400"));
    }
  }

  @Test
  void pathsMayEndWithASlashAndHeadHasNoBody() throws IOException {
    TestServer.Builder builder = new TestServer.Builder();
    try (TestServer server = builder.start(java.util.Map.of("org/name", model));
        RawClient client = server.connect()) {
      for (String path :
          List.of(
              "/v1/models",
              "/v1/models/",
              "/health",
              "/health/live",
              "/health/ready/",
              "/ping",
              "/version",
              "/metrics",
              "/v1/models/org/name",
              "/v1/models/org%2Fname",
              "/v1/models/org/name/",
              "/tokenizer_info")) {
        String rest = " " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assertThat(client.write("GET" + rest).read().status()).as(path).isEqualTo(200);
        RawClient.Reply head = client.write("HEAD" + rest).readHead();
        assertThat(head.status()).as(path).isEqualTo(200);
        assertThat(Integer.parseInt(head.header("Content-Length"))).as(path).isPositive();
      }
      assertThat(
              client
                  .write("GET /v1/models/org HTTP/1.1\r\nHost: localhost\r\n\r\n")
                  .read()
                  .status())
          .isEqualTo(404);
      client.write(RawClient.post("/v1/completions/", "{\"prompt\": \"a\", \"max_tokens\": 1}"));
      assertThat(client.read().status()).isEqualTo(200);
    }
  }

  @Test
  void largeBodiesAreBoundedTogether() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.bodies = 1 << 20;
    try (TestServer server = builder.start(model);
        RawClient first = server.connect();
        RawClient second = server.connect();
        RawClient third = server.connect()) {
      byte[] large = RawClient.post("/tokenize", " ".repeat(700_000) + "{\"prompt\": \"a\"}");
      byte[] unfinished = java.util.Arrays.copyOf(large, 600_000);
      first.write(unfinished);
      Thread.sleep(200);
      second.write(unfinished);
      RawClient.Reply refused = second.read();
      assertThat(refused.status()).isEqualTo(503);
      assertThat(refused.header("Retry-After")).isNotEmpty();
      assertThat(second.ended()).isTrue();
      third.write(RawClient.post("/tokenize", "{\"prompt\": \"a\"}"));
      assertThat(third.read().status()).isEqualTo(200);
      first.write(java.util.Arrays.copyOfRange(large, 600_000, large.length));
      assertThat(first.read().status()).isEqualTo(200);
      assertThat(statusOnceFree(server, large)).isEqualTo(200);
    }
  }

  /** Sends a request until what the one before it held is given back, just after its answer. */
  private static int statusOnceFree(TestServer server, byte[] request) throws Exception {
    long end = System.nanoTime() + 30_000_000_000L;
    while (true) {
      try (RawClient client = server.connect()) {
        client.write(request);
        int status = client.read().status();
        if (status != 503 || System.nanoTime() > end) {
          return status;
        }
      }
      Thread.sleep(20);
    }
  }

  @Test
  @Tag("slow")
  void whatWasComputedOfARequestIsLogged() throws Exception {
    for (String more : List.of("", ", \"stream\": true")) {
      log.clear();
      try (TestServer server = logging().start(model);
          RawClient client = server.connect()) {
        client.write(RawClient.post("/v1/completions", LONG.formatted(more)));
        Thread.sleep(500);
        client.socket().close();
        JsonNode line = logged();
        assertThat(line.get("status").asInt()).isEqualTo(499);
        assertThat(line.get("prompt_tokens").asInt()).isPositive();
        assertThat(line.get("new_tokens").asInt()).isPositive();
        assertThat(line.get("finish_reason").asText()).isEqualTo("cancelled");
      }
    }
  }

  @Test
  void eachAnswerOfAModelNamesItInTheLog() throws Exception {
    try (TestServer server = logging().start(model)) {
      server.ok(
          "/v1/responses", "{\"model\": \"tiny\", \"input\": \"a\", \"max_output_tokens\": 3}");
      server.ok("/v1/embeddings", "{\"model\": \"tiny\", \"input\": \"int max\"}");
    }
    assertThat(log).hasSize(2);
    for (String text : log) {
      JsonNode line = TestServer.JSON.readTree(text);
      assertThat(line.get("model").asText()).isEqualTo("tiny");
      assertThat(line.get("prompt_tokens").asInt()).isPositive();
      assertThat(line.get("address").asText()).isEqualTo("127.0.0.1");
    }
  }

  @Test
  void secondsHaveNoExponent() throws Exception {
    try (TestServer server = logging().start(model)) {
      for (int i = 0; i < 20; i++) { // some of which take less than a millisecond
        server.get("/health/live");
      }
    }
    assertThat(log).hasSize(20).allMatch(line -> line.matches(".*\"seconds\":\\d+\\.\\d{6}}"));
  }

  @Test
  void aClientThatIsCutOffIsLogged() throws Exception {
    TestServer.Builder builder = logging();
    builder.patience =
        new ServerSettings.Patience(
            Duration.ofSeconds(5), Duration.ofSeconds(5), Duration.ofMillis(600));
    try (TestServer server = builder.start(model);
        java.net.Socket socket = new java.net.Socket()) {
      socket.setReceiveBufferSize(4096);
      socket.connect(
          new java.net.InetSocketAddress(java.net.InetAddress.getLoopbackAddress(), server.port()));
      try (RawClient client = new RawClient(socket)) {
        client.write(
            RawClient.post(
                "/v1/completions", LONG.formatted(", \"stream\": true, \"logprobs\": 20")));
        JsonNode line = logged();
        assertThat(line.get("status").asInt()).isEqualTo(499);
        assertThat(line.get("address").asText()).isEqualTo("127.0.0.1");
        assertThat(line.get("new_tokens").asInt()).isPositive();
      }
    }
  }

  @Test
  @Tag("slow")
  void silentConnectionsMakeRoomAndBusyOnesStay() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.connections = 3;
    try (TestServer server = builder.start(model);
        RawClient busy = server.connect();
        RawClient silent = server.connect();
        RawClient begun = server.connect()) {
      busy.write(RawClient.post("/v1/completions", LONG.formatted(", \"stream\": true")));
      assertThat(busy.readHead().status()).isEqualTo(200);
      begun.write("G");
      try (RawClient late = server.connect()) {
        late.socket().setSoTimeout(5000);
        assertThat(late.write(GET).read().status()).isEqualTo(200);
      }
      assertThat(silent.ended()).isTrue();
      assertThat(busy.line()).isNotEmpty(); // its stream goes on
    }
  }

  @Test
  @Tag("slow")
  void unreadStreamsMakeRoomSoonerWhereOthersWait() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.sessions = 1;
    builder.patience =
        new ServerSettings.Patience(
            Duration.ofSeconds(30), Duration.ofSeconds(30), Duration.ofSeconds(30));
    try (TestServer server = builder.start(model);
        java.net.Socket socket = new java.net.Socket()) {
      socket.setReceiveBufferSize(4096);
      socket.connect(
          new java.net.InetSocketAddress(java.net.InetAddress.getLoopbackAddress(), server.port()));
      try (RawClient client = new RawClient(socket)) {
        client.write(
            RawClient.post(
                "/v1/completions", LONG.formatted(", \"stream\": true, \"logprobs\": 20")));
        TestServer.await(() -> server.metric("jneox_paused_sequences{model=\"tiny\"}") == 1);
        long start = System.nanoTime();
        assertThat(
                server
                    .post("/v1/completions", "{\"prompt\": \"a\", \"max_tokens\": 1}")
                    .statusCode())
            .isEqualTo(200);
        assertThat(System.nanoTime() - start).isLessThan(15_000_000_000L);
      }
    }
  }
}
