package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.serve.RawClient.Reply;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ConnectionsTest {
  private static final String LONG =
      "{\"prompt\": \"int\", \"max_tokens\": 100000, \"ignore_eos\": true, \"temperature\": 0%s}";

  @TempDir static Path dir;

  private static Path model;

  @BeforeAll
  static void makeModel() {
    model = TestServer.model(dir, 1 << 17);
  }

  private static TestServer.Builder quick() {
    TestServer.Builder builder = new TestServer.Builder();
    builder.sessions = 1;
    builder.patience =
        new ServerSettings.Patience(
            Duration.ofMillis(600), Duration.ofMillis(600), Duration.ofMillis(600));
    return builder;
  }

  private static String running(TestServer server) {
    return "jneox_sequences_running{model=\"tiny\"}";
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ", \"stream\": true", ", \"n\": 2"})
  void aClientThatLeavesFreesItsPlace(String more) throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.sessions = 2;
    try (TestServer server = builder.start(model);
        RawClient client = server.connect()) {
      client.write(RawClient.post("/v1/completions", LONG.formatted(more)));
      TestServer.await(() -> server.metric(running(server)) >= 1);
      Thread.sleep(100);
      client.socket().close();
      assertThat(TestServer.await(() -> server.metric(running(server)) == 0)).isLessThan(300);
      server.awaitMetric("jneox_requests_total{endpoint=\"/v1/completions\",status=\"499\"}", 1);
    }
  }

  /** With Nagle's algorithm the second event would wait 40 ms for the first one's ACK. */
  @Test
  void anEventIsSentAtOnce() throws Exception {
    try (TestServer server = new TestServer.Builder().start(model)) {
      String body = "{\"prompt\": \"a\", \"max_tokens\": 2, \"stream\": true}";
      long least = Long.MAX_VALUE;
      for (int i = 0; i < 20; i++) { // on one connection, whose ACKs are delayed after a while
        long start = System.nanoTime();
        assertThat(server.events("/v1/completions", body)).isNotEmpty();
        least = Math.min(least, System.nanoTime() - start);
      }
      assertThat(least).isLessThan(30_000_000);
    }
  }

  @Test
  void aClientThatIsResetFreesItsPlace() throws Exception {
    try (TestServer server = quick().start(model);
        RawClient client = server.connect()) {
      client.write(RawClient.post("/v1/completions", LONG.formatted("")));
      TestServer.await(() -> server.metric(running(server)) == 1);
      client.socket().setSoLinger(true, 0);
      client.socket().close();
      assertThat(TestServer.await(() -> server.metric(running(server)) == 0)).isLessThan(300);
    }
  }

  @Test
  void aClientThatLeavesTheQueueIsForgotten() throws Exception {
    try (TestServer server = quick().start(model);
        RawClient first = server.connect();
        RawClient second = server.connect()) {
      first.write(RawClient.post("/v1/completions", LONG.formatted("")));
      TestServer.await(() -> server.metric(running(server)) == 1);
      second.write(RawClient.post("/v1/completions", LONG.formatted("")));
      TestServer.await(() -> server.metric("jneox_sequences_waiting{model=\"tiny\"}") == 1);
      second.socket().close();
      TestServer.await(() -> server.metric("jneox_sequences_waiting{model=\"tiny\"}") == 0);
      assertThat(server.metric(running(server))).isEqualTo(1);
      first.socket().close();
      TestServer.await(() -> server.metric("jneox_requests_running") == 1); // this one
    }
  }

  @Test
  @Tag("slow")
  void aClientThatReadsNothingIsCutOff() throws Exception {
    try (TestServer server = quick().start(model);
        Socket socket = new Socket()) {
      socket.setReceiveBufferSize(4096);
      socket.connect(
          new java.net.InetSocketAddress(InetAddress.getLoopbackAddress(), server.port()));
      try (RawClient client = new RawClient(socket)) {
        client.write(
            RawClient.post(
                "/v1/completions", LONG.formatted(", \"stream\": true, \"logprobs\": 20")));
        TestServer.await(() -> server.metric(running(server)) == 1);
        TestServer.await(() -> server.metric(running(server)) == 0);
        // Another one gets its turn at once.
        assertThat(server.post("/v1/completions", "{\"prompt\": \"a\"}").statusCode())
            .isEqualTo(200);
      }
    }
  }

  @Test
  @Tag("slow")
  void slowRequestsAreRefused() throws Exception {
    try (TestServer server = quick().start(model)) {
      for (String begun :
          List.of(
              "GE",
              "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: ",
              "POST /v1/completions HTTP/1.1\r\n"
                  + "Host: localhost\r\n"
                  + "Content-Type: application/json\r\n"
                  + "Content-Length: 100\r\n\r\n"
                  + "{",
              "POST /v1/completions HTTP/1.1\r\n"
                  + "Host: localhost\r\n"
                  + "Content-Type: application/json\r\n"
                  + "Transfer-Encoding: chunked\r\n\r\n"
                  + "5\r\n"
                  + "{")) {
        try (RawClient client = server.connect()) {
          client.write(begun);
          Thread trickle = Thread.ofVirtual().start(() -> trickle(client));
          Reply reply = client.read();
          assertThat(reply.status()).as(begun).isEqualTo(408);
          assertThat(TestServer.JSON.readTree(reply.body()).at("/error/message").asText())
              .isEqualTo("the request arrives too slowly");
          assertThat(client.ended()).isTrue();
          trickle.join();
        }
      }
    }
  }

  private static void trickle(RawClient client) {
    try {
      while (true) {
        Thread.sleep(50);
        client.write("a");
      }
    } catch (IOException | InterruptedException e) {
      // the server has closed
    }
  }

  @Test
  void requestsThatEndEarlyAreRefused() throws Exception {
    try (TestServer server = quick().start(model)) {
      for (String begun :
          List.of(
              "GE",
              "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: ",
              "POST /v1/completions HTTP/1.1\r\n"
                  + "Host: localhost\r\n"
                  + "Content-Type: application/json\r\n"
                  + "Content-Length: 100\r\n\r\n"
                  + "{",
              "POST /v1/completions HTTP/1.1\r\n"
                  + "Host: localhost\r\n"
                  + "Content-Type: application/json\r\n"
                  + "Transfer-Encoding: chunked\r\n\r\n"
                  + "5\r\n"
                  + "{")) {
        try (RawClient client = server.connect()) {
          client.write(begun);
          client.socket().shutdownOutput();
          Reply reply = client.read();
          assertThat(reply.status()).as(begun).isEqualTo(400);
          assertThat(TestServer.JSON.readTree(reply.body()).at("/error/message").asText())
              .isEqualTo("the request ends before its end");
        }
      }
    }
  }

  @Tag("slow")
  @Test
  void idleConnectionsEndWithoutAWord() throws Exception {
    try (TestServer server = quick().start(model);
        RawClient client = server.connect();
        RawClient mute = server.connect()) {
      client.write("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(client.read().status()).isEqualTo(200);
      assertThat(client.ended()).isTrue();
      assertThat(mute.ended()).isTrue();
      TestServer.await(() -> server.metric("jneox_connections") == 1); // of this client
    }
  }

  @Test
  void requestsOfOneConnectionFollowEachOther() throws Exception {
    try (TestServer server = quick().start(model);
        RawClient client = server.connect()) {
      String get = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
      client.write(get + get + get.substring(0, 20));
      assertThat(client.read().status()).isEqualTo(200);
      assertThat(client.read().status()).isEqualTo(200);
      client.write(get.substring(20));
      assertThat(client.read().body()).isEqualTo("alive\n");
    }
  }

  @Test
  void aConnectionEndsWhereTheClientWantsIt() throws Exception {
    try (TestServer server = new TestServer.Builder().start(model);
        RawClient client = server.connect()) {
      client.write("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
      assertThat(client.read().status()).isEqualTo(200);
      client.socket().setSoTimeout(5000);
      assertThat(client.socket().getInputStream().read()).isEqualTo(-1);
    }
  }

  @Test
  void moreConnectionsThanAllowedWait() throws Exception {
    TestServer.Builder builder = new TestServer.Builder();
    builder.connections = 2;
    try (TestServer server = builder.start(model);
        RawClient first = server.connect();
        RawClient second = server.connect();
        RawClient third = server.connect()) {
      String get = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
      assertThat(first.write(get).read().status()).isEqualTo(200);
      assertThat(second.write(get).read().status()).isEqualTo(200);
      third.write(get);
      third.socket().setSoTimeout(300);
      org.assertj.core.api.Assertions.assertThatThrownBy(third::read)
          .isInstanceOf(java.net.SocketTimeoutException.class);
      first.socket().close();
      third.socket().setSoTimeout(10_000);
      assertThat(third.read().status()).isEqualTo(200);
    }
  }
}
