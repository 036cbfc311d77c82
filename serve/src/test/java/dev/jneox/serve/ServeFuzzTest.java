package dev.jneox.serve;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jneox.serve.RawClient.Reply;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Sends a live server requests that are malformed, over sockets. Each must get a 4xx in OpenAI's
 * form, and none may hang or write into the log. {@code mvn -Pfuzz verify} sends 100,000 bodies
 * ({@code -Dfuzz.bodies=}, {@code -Dfuzz.seed=}).
 */
class ServeFuzzTest {
  private static final int CLIENTS = 4;
  private static final JsonNodeFactory MAKE = JsonNodeFactory.instance;

  private static final Map<String, String> GOOD =
      new TreeMap<>(
          Map.of(
              "/v1/completions",
              """
              {"model": "tiny", "prompt": "int max", "max_tokens": 2, "temperature": 0.5, "top_p": 0.9, "top_k": 3,
               "min_p": 0.1, "n": 1, "best_of": 1, "logprobs": 1, "echo": false, "stop": ["x"], "seed": 1,
               "presence_penalty": 0.1, "frequency_penalty": 0.1, "repetition_penalty": 1.1, "logit_bias": {"3": 1},
               "stop_token_ids": [5], "ignore_eos": true, "stream": false}\
              """,
              "/v1/chat/completions",
              """
              {"model": "tiny", "messages": [{"role": "system", "content": "a"}], "max_tokens": 2, "temperature": 0.5,
               "top_p": 0.9, "n": 1, "logprobs": true, "top_logprobs": 1, "stop": "x", "seed": 1, "stream": true,
               "stream_options": {"include_usage": true}, "add_generation_prompt": true}\
              """,
              "/tokenize",
              """
              {"model": "tiny", "prompt": "int"}\
              """,
              "/detokenize",
              """
              {"model": "tiny", "tokens": [1, 2]}\
              """));

  /** Fields that take any number or none, or any text. */
  private static final List<String> TEXTS = List.of("prompt", "stop", "model");

  @TempDir static Path dir;

  private static final List<String> LOG = Collections.synchronizedList(new ArrayList<>());
  private static TestServer server;

  /** Keeps what the server would write. */
  private static final Handler HANDLER =
      new Handler() {
        @Override
        public void publish(LogRecord entry) {
          if (entry.getLevel().intValue() >= Level.WARNING.intValue()) {
            LOG.add(entry.getLoggerName() + ": " + entry.getMessage() + " " + entry.getThrown());
          }
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  @BeforeAll
  static void start() {
    TestServer.Builder builder = new TestServer.Builder();
    builder.sessions = 8;
    builder.queue = 1024;
    server = builder.start(TestServer.model(dir, 32));
    Logger.getLogger("").addHandler(HANDLER);
  }

  @AfterAll
  static void stop() {
    server.close();
    Logger.getLogger("").removeHandler(HANDLER);
  }

  @Test
  @Tag("slow")
  void someMalformedBodies() throws Exception {
    bodies(4000);
  }

  @Test
  @Tag("fuzz")
  void manyMalformedBodies() throws Exception {
    bodies(Integer.getInteger("fuzz.bodies", 100_000));
  }

  private static void bodies(int count) throws Exception {
    LOG.clear();
    for (Map.Entry<String, String> good : GOOD.entrySet()) {
      assertThat(server.post(good.getKey(), good.getValue()).statusCode()).isEqualTo(200);
    }
    long seed = Long.getLong("fuzz.seed", 1);
    List<String> faults = Collections.synchronizedList(new ArrayList<>());
    Map<Integer, AtomicLong> statuses = new ConcurrentSkipListMap<>();
    List<Thread> clients = new ArrayList<>();
    for (int c = 0; c < CLIENTS; c++) {
      int first = c;
      clients.add(
          Thread.ofPlatform()
              .start(
                  () -> {
                    try (Sender sender = new Sender()) {
                      for (int i = first; i < count && faults.size() < 10; i += CLIENTS) {
                        Malformed input = malformed(new SplittableRandom(seed * 1_000_003 + i));
                        String fault = sender.send(input, statuses);
                        if (!fault.isEmpty()) {
                          faults.add("input %d, %s: %s".formatted(i, input, fault));
                        }
                      }
                    } catch (IOException e) {
                      faults.add(e.toString());
                    }
                  }));
    }
    for (Thread client : clients) {
      client.join();
    }
    System.out.println("fuzz of serve: " + count + " bodies, answered " + statuses);
    assertThat(faults).isEmpty();
    assertThat(LOG).isEmpty();
  }

  /** Keeps a connection for as long as the server does. */
  private static final class Sender implements AutoCloseable {
    private RawClient client = server.connect();

    Sender() throws IOException {}

    /** Returns what is wrong with the answer, or nothing. */
    String send(Malformed input, Map<Integer, AtomicLong> statuses) throws IOException {
      try {
        client.write(RawClient.post(input.path, input.body));
        Reply reply = client.read();
        statuses.computeIfAbsent(reply.status(), _ -> new AtomicLong()).incrementAndGet();
        if (reply.header("Connection").equalsIgnoreCase("close")) {
          close();
          client = server.connect();
        }
        return input.perhaps && reply.status() == 200 ? "" : fault(reply);
      } catch (IOException e) {
        close();
        client = server.connect();
        return e.toString();
      }
    }

    @Override
    public void close() throws IOException {
      client.close();
    }
  }

  private static String fault(Reply reply) {
    if (reply.status() < 400 || reply.status() >= 500) {
      return reply.status() + " " + reply.body();
    }
    try {
      JsonNode error = TestServer.JSON.readTree(reply.body()).path("error");
      boolean right =
          error.path("message").isTextual()
              && error.path("type").isTextual()
              && error.has("param")
              && error.has("code")
              && error.get("message").asText().length() < 1000
              && !error.get("message").asText().contains("Exception");
      return right ? "" : reply.body();
    } catch (IOException e) {
      return e + ": " + reply.body();
    }
  }

  /**
   * A body that is wrong.
   *
   * @param perhaps whether chance may have left it right
   */
  private record Malformed(String path, byte[] body, boolean perhaps) {
    @Override
    public String toString() {
      return path + " " + new String(body, 0, Math.min(300, body.length), StandardCharsets.UTF_8);
    }
  }

  private static Malformed malformed(SplittableRandom random) {
    List<String> paths = List.copyOf(GOOD.keySet());
    String path = paths.get(random.nextInt(paths.size()));
    String text = GOOD.get(path);
    try {
      ObjectNode node = (ObjectNode) TestServer.JSON.readTree(text);
      List<String> names = new ArrayList<>();
      node.fieldNames().forEachRemaining(names::add);
      String name = names.get(random.nextInt(names.size()));
      switch (random.nextInt(13)) {
        case 0 -> node.set(name, MAKE.objectNode().putNull("a"));
        case 1 -> node.set(name, MAKE.arrayNode().add(MAKE.arrayNode().addNull()));
        case 2 -> {
          if (TEXTS.contains(name) || name.equals("tokens") || name.equals("messages")) {
            node.put(name, random.nextLong());
          } else {
            node.put(name, "a\u0000\u001b[31m\u202e" + random.nextInt());
          }
        }
        case 3 ->
            node.set(
                name,
                MAKE.numberNode(
                    BigInteger.TEN.pow(20 + random.nextInt(70)).negate().multiply(BigInteger.TWO)));
        case 4 -> node.put(name + (char) ('a' + random.nextInt(26)) + "\u0001", 1);
        case 5 -> {
          String deep = (random.nextBoolean() ? "[" : "{\"a\":").repeat(200 + random.nextInt(5000));
          return bytes(path, text.replaceFirst("\\{", "{\"" + name + "x\": " + deep + ","), false);
        }
        case 6 -> {
          return bytes(path, text.substring(0, random.nextInt(text.length())), false);
        }
        case 7 -> {
          byte[] garbage = new byte[1 + random.nextInt(300)];
          random.nextBytes(garbage);
          garbage[0] |= (byte) 0x80;
          return new Malformed(path, garbage, false);
        }
        case 8 -> {
          byte[] body = text.getBytes(StandardCharsets.UTF_8);
          ByteArrayOutputStream out = new ByteArrayOutputStream();
          int at = text.indexOf("\"model\"") + 2;
          out.write(body, 0, at);
          byte[][] invalid = {
            {(byte) 0xC0, (byte) 0x80},
            {(byte) 0xED, (byte) 0xA0, (byte) 0x80},
            {(byte) 0xFF},
            {(byte) 0xF5, (byte) 0x80, (byte) 0x80, (byte) 0x80},
            {(byte) 0xE2, (byte) 0x82}
          };
          out.writeBytes(invalid[random.nextInt(invalid.length)]);
          out.write(body, at, body.length - at);
          return new Malformed(path, out.toByteArray(), false);
        }
        case 9 -> {
          String lone = "\\ud%x%02x".formatted(8 + random.nextInt(8), random.nextInt(256));
          String field = path.equals("/v1/chat/completions") ? "stop" : "model";
          return bytes(
              path,
              text.replaceFirst("\"" + field + "\": \"", "\"" + field + "\": \"\\" + lone),
              false);
        }
        case 10 -> {
          return bytes(
              path,
              text.replaceFirst("\\{", "{\"" + name + "\": null, \"" + name + "\": 1,"),
              false);
        }
        case 11 -> {
          String[] tails = {"}", "]", "x", "{}", " null", "\u0000", "//", "/**/ 1", "\ufeff"};
          String[] tops = {
            "[]", "1", "\"a\"", "null", "true", "", " ", "NaN", "-", "0x1", "{a: 1}", "{'a': 1}"
          };
          return random.nextBoolean()
              ? bytes(path, text + tails[random.nextInt(tails.length)], false)
              : bytes(path, tops[random.nextInt(tops.length)], false);
        }
        default -> {
          byte[] body = text.getBytes(StandardCharsets.UTF_8);
          for (int n = 1 + random.nextInt(4); n > 0; n--) {
            body[random.nextInt(body.length)] = (byte) random.nextInt(256);
          }
          return new Malformed(path, body, true);
        }
      }
      return bytes(path, node.toString(), false);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static Malformed bytes(String path, String body, boolean perhaps) {
    return new Malformed(path, body.getBytes(StandardCharsets.UTF_8), perhaps);
  }

  /** Malformed HTTP around a body that is right. */
  @Test
  void malformedHttpIsRefused() throws IOException {
    LOG.clear();
    String body = "{\"prompt\": \"a\"}";
    String start =
        "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    String length = "Content-Length: " + body.length() + "\r\n";
    String chunked = start + "Transfer-Encoding: chunked\r\n";
    String chunks = "f\r\n" + body + "\r\n0\r\n\r\n";
    for (String right :
        List.of(
            start + length + "\r\n" + body,
            chunked + "\r\n" + chunks,
            start + length + "Expect: 100-continue\r\n\r\n" + body,
            start.replace("POST", "post") + length + "\r\n" + body,
            start.replace("/tokenize", "http://a/tokenize") + length + "\r\n" + body)) {
      try (RawClient client = server.connect()) {
        assertThat(client.write(right).read().status()).as(right).isEqualTo(200);
      }
    }
    List<String> requests =
        List.of(
            chunked + length + "\r\n" + chunks, // both lengths
            chunked + "Transfer-Encoding: chunked\r\n\r\n" + chunks,
            start + "Transfer-Encoding: gzip\r\n\r\n" + chunks,
            start + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks,
            start + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunks,
            start + "Transfer-Encoding: \r\n\r\n" + chunks,
            start + "Transfer-Encoding : chunked\r\n\r\n" + chunks,
            start + " Transfer-Encoding: chunked\r\n\r\n" + chunks,
            start + "Content-Length: 14, 15\r\n\r\n" + body,
            start + length + "Content-Length: 3\r\n\r\n" + body,
            start + "Content-Length: -1\r\n\r\n" + body,
            start + "Content-Length: +14\r\n\r\n" + body,
            start + "Content-Length: 0x0e\r\n\r\n" + body,
            start + "Content-Length: 99999999999999999999\r\n\r\n" + body,
            start + "Content-Length: 1e3\r\n\r\n" + body,
            chunked + "\r\n-1\r\n" + body + "\r\n0\r\n\r\n",
            chunked + "\r\nxyz\r\n" + body + "\r\n0\r\n\r\n",
            chunked + "\r\nffffffffffffffff\r\n" + body,
            chunked + "\r\n7fffffff\r\n" + body,
            chunked + "\r\n\r\n" + body,
            chunked + "\r\nf\n" + body + "\n0\n\n",
            start + length + "Content-Encoding: gzip\r\n\r\n" + body,
            start + length + "X: " + "a".repeat(1 << 17) + "\r\n\r\n" + body,
            start + length + "X: a\u0000b\r\n\r\n" + body,
            start + length + "X\u0000: b\r\n\r\n" + body,
            start + length + "no colon\r\n\r\n" + body,
            start.replace("Host: localhost\r\n", "") + length + "\r\n" + body,
            start + "Host: b\r\n" + length + "\r\n" + body,
            start.replace("Host: localhost", "Host: localhost:b") + length + "\r\n" + body,
            start.replace("POST", "P\u0000ST") + length + "\r\n" + body,
            start.replace("POST", "BREW") + length + "\r\n" + body,
            start.replace("POST", "OPTIONS") + length + "\r\n" + body,
            start.replace("/tokenize", "*") + length + "\r\n" + body,
            start.replace("/tokenize", "/../../etc/passwd") + length + "\r\n" + body,
            start.replace("/tokenize", "/%00%zz") + length + "\r\n" + body,
            start.replace("/tokenize", "/" + "a".repeat(1 << 16)) + length + "\r\n" + body,
            start.replace("/tokenize", "/tokenize/\u00e9") + length + "\r\n" + body,
            start.replace("1.1", "1.0") + length + "\r\n" + body,
            start.replace("1.1", "2.0") + length + "\r\n" + body,
            start.replace("HTTP/1.1", "") + length + "\r\n" + body,
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n",
            "GET\r\n\r\n",
            " \r\n\r\n",
            "\u0000\u0000\u0000\r\n\r\n");
    List<String> faults = new ArrayList<>();
    for (String request : requests) {
      String shown = request.substring(0, Math.min(160, request.length()));
      try (RawClient client = server.connect()) {
        client.socket().setSoTimeout(10_000);
        client.write(request);
        Reply reply = client.read();
        String fault = fault(reply);
        if (!fault.isEmpty()) {
          faults.add(shown + ": " + fault);
        }
      } catch (IOException e) {
        faults.add(shown + ": " + e);
      }
    }
    assertThat(faults).isEmpty();
    assertThat(LOG).isEmpty();
  }

  /** What is behind a refused request is never taken for the next one. */
  @Test
  @Tag("slow")
  void nothingIsSmuggled() throws IOException {
    String hidden = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (String head :
        List.of(
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
            "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n")) {
      try (RawClient client = server.connect()) {
        client.write(
            "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + head
                + hidden);
        assertThat(client.read().status()).isBetween(400, 499);
        assertThat(client.ended()).as(head).isTrue();
      }
    }
  }
}
