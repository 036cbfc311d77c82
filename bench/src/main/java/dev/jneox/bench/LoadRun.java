package dev.jneox.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Puts a server under load: {@code LoadRun URL PID MINUTES CLIENTS}. Clients send requests at once,
 * whole and streamed; some leave, some are reset, some read slowly, some send garbage. Each answer
 * that finishes is compared with the one that the server gave before, to that request alone. Prints
 * one line; exits with 1 when an answer was lost or wrong, or the server has grown. See {@code
 * bench/load.sh}.
 */
public final class LoadRun {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int PROMPTS = 48;
  private static final long MOST_GROWTH_KB = 128 << 10;
  private static final int MOST_THREADS = 4; // of the JVM itself, which come and go

  private final HttpClient http = HttpClient.newHttpClient();
  private final URI url;
  private final Path status;
  private final List<String> bodies = new ArrayList<>();
  private final List<String> expected = new ArrayList<>();
  private final AtomicLong requests = new AtomicLong();
  private final AtomicLong finished = new AtomicLong();
  private final AtomicLong equal = new AtomicLong();
  private final AtomicLong cancelled = new AtomicLong();
  private final AtomicLong refused = new AtomicLong();
  private final AtomicLong garbage = new AtomicLong();
  private final AtomicLong errors = new AtomicLong();
  private volatile boolean over;

  private LoadRun(URI url, long pid) {
    this.url = url;
    this.status = Path.of("/proc", Long.toString(pid), "status");
  }

  public static void main(String[] args) throws Exception {
    LoadRun run = new LoadRun(URI.create(args[0]), Long.parseLong(args[1]));
    double minutes = Double.parseDouble(args[2]);
    System.exit(run.run(minutes, Integer.parseInt(args[3])) ? 0 : 1);
  }

  private boolean run(double minutes, int clients) throws Exception {
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < PROMPTS; i++) {
      bodies.add(
          "\"prompt\": \"%s\", \"max_tokens\": %d, \"ignore_eos\": true, \"temperature\": 1, \"seed\": %d"
              .formatted(
                  "Once upon a time ".repeat(1 + random.nextInt(8)) + i,
                  4 + random.nextInt(60),
                  i));
      HttpResponse<String> alone = whole(bodies.getLast());
      if (alone.statusCode() != 200) {
        throw new IOException(alone.body());
      }
      expected.add(JSON.readTree(alone.body()).at("/choices/0/text").asText());
    }
    // The first tenth lets caches fill and code be compiled.
    load(minutes / 10, clients, random.split());
    long memory = status("VmRSS");
    long threads = status("Threads");
    load(minutes, clients, random.split());
    double running = settled();
    long memoryAfter = status("VmRSS");
    long threadsAfter = status("Threads");
    System.out.printf(
        "%d requests: %d finished, %d compared equal, %d cancelled, %d refused, %d garbage refused,"
            + " %d errors; RSS %d -> %d MiB, threads %d -> %d; %.0f requests and sequences left%n",
        requests.get(),
        finished.get(),
        equal.get(),
        cancelled.get(),
        refused.get(),
        garbage.get(),
        errors.get(),
        memory >> 10,
        memoryAfter >> 10,
        threads,
        threadsAfter,
        running);
    return errors.get() == 0
        && equal.get() == finished.get()
        && finished.get() > 0
        && running == 0
        && memoryAfter - memory < MOST_GROWTH_KB
        && threadsAfter - threads <= MOST_THREADS;
  }

  private void load(double minutes, int clients, SplittableRandom random) throws Exception {
    over = false;
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < clients; i++) {
      SplittableRandom own = random.split();
      threads.add(Thread.ofPlatform().start(() -> client(own)));
    }
    Thread.sleep(Duration.ofMillis((long) (minutes * 60_000)));
    over = true;
    for (Thread thread : threads) {
      thread.join();
    }
  }

  private void client(SplittableRandom random) {
    while (!over) {
      int i = random.nextInt(PROMPTS);
      requests.incrementAndGet();
      try {
        int kind = random.nextInt(100);
        if (kind < 45) {
          wholeCompared(i);
        } else if (kind < 70) {
          streamed(i, Integer.MAX_VALUE, 0);
        } else if (kind < 80) {
          streamed(i, 1 + random.nextInt(4), 0);
        } else if (kind < 85) {
          streamed(i, Integer.MAX_VALUE, 1 + random.nextInt(60));
        } else if (kind < 92) {
          reset(i, random);
        } else {
          garbage(i, random);
        }
      } catch (IOException | InterruptedException | RuntimeException e) {
        error(e.toString());
      }
    }
  }

  private void error(String text) {
    if (errors.incrementAndGet() <= 10) {
      System.err.println("error: " + text);
    }
  }

  private HttpRequest request(String body) {
    return HttpRequest.newBuilder(url.resolve("/v1/completions"))
        .header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString("{" + body + "}"))
        .build();
  }

  private HttpResponse<String> whole(String body) throws IOException, InterruptedException {
    return http.send(request(body), HttpResponse.BodyHandlers.ofString());
  }

  /** Whether the server had no room; it is asked again by another request. */
  private boolean refused(HttpResponse<?> response) throws InterruptedException {
    if (response.statusCode() == 429 && response.headers().firstValue("Retry-After").isPresent()) {
      refused.incrementAndGet();
      Thread.sleep(100);
      return true;
    }
    return false;
  }

  private void compare(int i, String text) {
    finished.incrementAndGet();
    if (text.equals(expected.get(i))) {
      equal.incrementAndGet();
    } else {
      error("expected " + expected.get(i) + ", found " + text);
    }
  }

  private void wholeCompared(int i) throws IOException, InterruptedException {
    HttpResponse<String> response = whole(bodies.get(i));
    if (response.statusCode() == 200) {
      compare(i, JSON.readTree(response.body()).at("/choices/0/text").asText());
    } else if (!refused(response)) {
      error(response.body());
    }
  }

  /** Reads a stream, at most some events of it, and waits between two. */
  private void streamed(int i, int events, int millis) throws IOException, InterruptedException {
    HttpResponse<InputStream> response =
        http.send(
            request(bodies.get(i) + ", \"stream\": true"),
            HttpResponse.BodyHandlers.ofInputStream());
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
      if (response.statusCode() != 200) {
        if (!refused(response)) {
          error(lines.readLine());
        }
        return;
      }
      StringBuilder text = new StringBuilder();
      int read = 0;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.equals("data: [DONE]")) {
          compare(i, text.toString());
          return;
        }
        if (line.startsWith("data: ")) {
          JsonNode event = JSON.readTree(line.substring(6));
          if (event.has("error")) {
            error(line);
            return;
          }
          text.append(event.at("/choices/0/text").asText());
          if (++read == events) {
            cancelled.incrementAndGet();
            return;
          }
          Thread.sleep(millis);
        }
      }
      error("a stream has no end");
    }
  }

  private Socket connect(byte[] request, int length) throws IOException {
    Socket socket = new Socket(url.getHost(), url.getPort());
    socket.setSoTimeout(60_000);
    socket.getOutputStream().write(request, 0, length);
    return socket;
  }

  private static byte[] post(String body) {
    return ("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            + "Content-Length: "
            + body.length()
            + "\r\n\r\n"
            + body)
        .getBytes(StandardCharsets.ISO_8859_1);
  }

  /** Is killed: in its request, in the queue or in the answer. */
  private void reset(int i, SplittableRandom random) throws IOException, InterruptedException {
    byte[] request = post("{" + bodies.get(i) + "}");
    int sent = random.nextInt(4) == 0 ? random.nextInt(request.length) : request.length;
    try (Socket socket = connect(request, sent)) {
      Thread.sleep(random.nextInt(200));
      socket.setSoLinger(true, 0); // a reset, as of a process that was killed
    }
    cancelled.incrementAndGet();
  }

  private void garbage(int i, SplittableRandom random) throws IOException {
    byte[] bytes = ("{" + bodies.get(i) + "}").getBytes(StandardCharsets.ISO_8859_1);
    for (int n = 0; n < 3; n++) {
      bytes[random.nextInt(bytes.length)] = (byte) (128 + random.nextInt(128)); // no UTF-8
    }
    byte[] request = post(new String(bytes, StandardCharsets.ISO_8859_1));
    try (Socket socket = connect(request, request.length);
        BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8))) {
      String answer = lines.readLine();
      if (answer == null || !answer.startsWith("HTTP/1.1 400 ")) {
        error("garbage was answered with " + answer);
      } else {
        garbage.incrementAndGet();
      }
    }
  }

  /** Waits for abandoned requests to end, and returns the number still running. */
  private double settled() throws IOException, InterruptedException {
    double left = Double.NaN;
    for (int i = 0; i < 50; i++) {
      Thread.sleep(100);
      left =
          http.send(
                      HttpRequest.newBuilder(url.resolve("/metrics")).build(),
                      HttpResponse.BodyHandlers.ofLines())
                  .body()
                  .filter(
                      line -> line.matches("jneox_(requests|sequences)_(running|waiting)[ {].*"))
                  .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
                  .sum()
              - 1; // the request for this
      if (left == 0) {
        break;
      }
    }
    return left;
  }

  private long status(String name) throws IOException {
    try (var lines = Files.lines(status)) {
      return lines
          .filter(line -> line.startsWith(name + ":"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D+", "")))
          .findFirst()
          .orElseThrow();
    }
  }
}
