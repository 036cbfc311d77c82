package dev.jneox.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.management.OperatingSystemMXBean;
import dev.jneox.infer.Completion;
import dev.jneox.infer.Engine;
import dev.jneox.infer.GenerationRequest;
import dev.jneox.infer.Generator;
import dev.jneox.infer.LanguageModel;
import dev.jneox.infer.Precision;
import dev.jneox.infer.Sampler;
import dev.jneox.infer.TextStream;
import dev.jneox.kernel.Cpu;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Measures a server's rates under clients that each stream one completion after the other: {@code
 * CompletionLoad TARGET CLIENTS WARM-UP SECONDS TOKENS WORDS [PID]}. Prints one line of JSON.
 *
 * <p>{@code TARGET} is the address of a server with OpenAI's {@code /v1/completions}, or a model,
 * which an engine in this process then runs under the same load, without HTTP. Every request has a
 * prompt of its own, of {@code WORDS} words drawn by its number, so that no part of a prompt is
 * reused and every target reads the same prompts in the same order; it asks for {@code TOKENS}
 * greedy tokens, and fails the run when it gets another number. What is counted happened in the
 * {@code SECONDS} after the seconds of warm-up. {@code PID} is the server's process, whose CPU time
 * is read for each group of threads (Linux).
 *
 * <p>See {@code bench/serve.sh}.
 */
public final class CompletionLoad {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final double TICKS = 100; // of a second in /proc, on every Linux
  private static final long RUN = 1_000_000; // prompts that a run has at most
  private static final String[] WORDS = {
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study"
  };

  /** A request that has ended; times in nanoseconds. */
  private record Done(
      long sent, long[] pieces, long ended, long promptTokens, long tokens, long reused) {}

  /** What answers the requests of one client. */
  private interface Client extends AutoCloseable {
    Done complete(String prompt) throws IOException;

    @Override
    void close();
  }

  /** Makes clients. */
  private interface Target extends AutoCloseable {
    Client connect() throws IOException;

    @Override
    default void close() {}
  }

  private final Target target;
  private final int tokens;
  private final int words;
  private final AtomicLong next = new AtomicLong();
  private final ConcurrentLinkedQueue<Done> done = new ConcurrentLinkedQueue<>();
  private final ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
  private volatile boolean over;

  private CompletionLoad(Target target, int tokens, int words) {
    this.target = target;
    this.tokens = tokens;
    this.words = words;
  }

  public static void main(String[] args) throws Exception {
    int clients = Integer.parseInt(args[1]);
    int tokens = Integer.parseInt(args[4]);
    String pid = args.length > 6 ? args[6] : "self";
    try (Target target =
        args[0].startsWith("http://")
            ? http(URI.create(args[0]), tokens)
            : engine(args[0], tokens)) {
      CompletionLoad load = new CompletionLoad(target, tokens, Integer.parseInt(args[5]));
      System.out.println(
          load.run(clients, Double.parseDouble(args[2]), Double.parseDouble(args[3]), pid));
    }
  }

  private ObjectNode run(int clients, double warmUp, double seconds, String pid) throws Exception {
    next.set(clients * RUN); // a server keeps the prompts of the runs before
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < clients; i++) {
      threads.add(Thread.ofPlatform().name("load-" + i).start(this::client));
    }
    Thread.sleep((long) (warmUp * 1000));
    OperatingSystemMXBean system =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    long start = System.nanoTime();
    long ownBefore = system.getProcessCpuTime();
    Map<String, Double> cpuBefore = cpu(pid);
    Thread.sleep((long) (seconds * 1000));
    Map<String, Double> cpu = cpu(pid);
    long own = system.getProcessCpuTime() - ownBefore;
    long end = System.nanoTime();
    over = true;
    for (Thread thread : threads) {
      thread.join();
    }
    if (!failures.isEmpty()) {
      throw new IOException(failures.size() + " clients failed", failures.peek());
    }
    ObjectNode report = report(start, end).put("clients", clients);
    double counted = report.get("tokens").asDouble();
    if (pid.equals("self")) { // the load is small beside the engine
      report.put("target", "engine");
    } else {
      report.put("target", "server").put("load_cpu_seconds", own / 1e9);
    }
    double sum = 0;
    ObjectNode groups = JSON.createObjectNode();
    for (Map.Entry<String, Double> group : cpu.entrySet()) {
      double used = group.getValue() - cpuBefore.getOrDefault(group.getKey(), 0.0);
      groups.put(group.getKey(), used);
      sum += used;
    }
    report.put("cpu_seconds", sum).put("cpu_ms_per_token", 1000 * sum / counted);
    report.set("cpu_seconds_by_thread", groups);
    return report;
  }

  private void client() {
    try (Client client = target.connect()) {
      while (!over) {
        Done one = client.complete(prompt(next.getAndIncrement()));
        if (one.tokens != tokens) {
          throw new IOException("expected " + tokens + " tokens, found " + one.tokens);
        }
        done.add(one);
      }
    } catch (IOException | RuntimeException | Error e) {
      failures.add(e);
    }
  }

  private String prompt(long number) {
    SplittableRandom random = new SplittableRandom(number);
    StringBuilder text = new StringBuilder("Text " + number + ":");
    for (int i = 0; i < words; i++) {
      text.append(' ').append(WORDS[random.nextInt(WORDS.length)]);
    }
    return text.toString();
  }

  private ObjectNode report(long start, long end) {
    double seconds = (end - start) / 1e9;
    List<Double> first = new ArrayList<>();
    List<Double> gaps = new ArrayList<>();
    long requests = 0;
    double written = 0;
    double pieces = 0;
    double read = 0;
    long reused = 0;
    for (Done one : done) {
      long within = Arrays.stream(one.pieces).filter(time -> time >= start && time < end).count();
      // A piece may be more than a token: a character of several.
      written += (double) one.tokens * within / one.pieces.length;
      pieces += within;
      reused += one.reused;
      if (one.ended >= start && one.ended < end) {
        requests++;
      }
      if (one.pieces[0] >= start && one.pieces[0] < end) {
        first.add((one.pieces[0] - one.sent) / 1e6);
        read += one.promptTokens;
      }
      for (int i = 1; i < one.pieces.length; i++) {
        if (one.pieces[i] >= start && one.pieces[i] < end) {
          gaps.add((one.pieces[i] - one.pieces[i - 1]) / 1e6);
        }
      }
    }
    if (requests == 0 || first.isEmpty()) {
      throw new IllegalStateException(
          "no request ended within %.0f seconds: measure for longer".formatted(seconds));
    }
    return JSON.createObjectNode()
        .put("seconds", seconds)
        .put("requests", requests)
        .put("requests_per_second", requests / seconds)
        .put("tokens", written)
        .put("tokens_per_second", written / seconds)
        .put("pieces", pieces)
        .put("prompt_tokens", read)
        .put("reused_tokens", reused)
        .put("first_token_ms_p50", quantile(first, 0.5))
        .put("first_token_ms_p95", quantile(first, 0.95))
        .put("between_tokens_ms_p50", quantile(gaps, 0.5))
        .put("between_tokens_ms_p95", quantile(gaps, 0.95))
        .put("between_tokens_ms_max", quantile(gaps, 1));
  }

  private static double quantile(List<Double> values, double share) {
    Collections.sort(values);
    return values.get(Math.max(0, (int) Math.ceil(share * values.size()) - 1));
  }

  /**
   * Returns the CPU seconds of each group of threads: the engine's; those of the JVM that compile
   * and collect; all others, which in a server do HTTP, JSON and text.
   */
  private static Map<String, Double> cpu(String pid) throws IOException {
    Map<String, Double> groups = new TreeMap<>();
    try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc", pid, "task"))) {
      for (Path thread : threads) {
        try {
          String stat = Files.readString(thread.resolve("stat"));
          int open = stat.indexOf('(');
          int close = stat.lastIndexOf(')');
          String[] fields = stat.substring(close + 2).split(" ");
          groups.merge(
              group(stat.substring(open + 1, close)),
              (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / TICKS,
              Double::sum);
        } catch (NoSuchFileException e) {
          // the thread has ended
        } catch (IOException e) {
          if (Files.exists(thread)) {
            throw e;
          }
        }
      }
    }
    return groups;
  }

  private static String group(String thread) {
    return thread.startsWith("jneox-engine") || thread.startsWith("jneox-worker")
        ? "engine"
        : thread.matches("(C[12] Compiler|GC Thread|ParGC|VM ).*") ? "jvm" : "other";
  }

  /** An engine in this process. */
  private static Target engine(String path, int tokens) {
    LanguageModel model = LanguageModel.open(Path.of(path), Precision.STORED);
    Engine engine =
        model.engine(
            Engine.Settings.of(model.packed(), 32)
                .withThreads(Integer.getInteger("threads", Cpu.threads()))
                .withKvBytes(Runtime.getRuntime().maxMemory() / 2));
    Generator generator = new Generator(engine, model.tokenizer());
    return new Target() {
      @Override
      public Client connect() {
        return new Client() {
          @Override
          public Done complete(String prompt) {
            long sent = System.nanoTime();
            GenerationRequest request =
                GenerationRequest.builder(model.tokenizer().encode(prompt))
                    .maxTokens(tokens)
                    .sampler(Sampler.GREEDY)
                    .ignoreEnd()
                    .build();
            long[] pieces = new long[tokens];
            int count = 0;
            try (TextStream stream = generator.stream(request, List.of())) {
              while (stream.hasNext()) {
                stream.next();
                pieces[count++] = System.nanoTime();
              }
              Completion completion = stream.result();
              return new Done(
                  sent,
                  Arrays.copyOf(pieces, count),
                  System.nanoTime(),
                  completion.usage().promptTokens(),
                  completion.usage().newTokens(),
                  completion.usage().reusedTokens());
            }
          }

          @Override
          public void close() {}
        };
      }

      @Override
      public void close() {
        engine.close();
        model.close();
      }
    };
  }

  private static Target http(URI url, int tokens) {
    return () -> new HttpClient(url, tokens);
  }

  /**
   * One connection, over a socket: the load shares the cores with the server, and the JDK's client
   * takes several times the CPU.
   */
  private static final class HttpClient implements Client {
    private static final String PIECE = "data: ";

    private final URI url;
    private final int tokens;
    private final Socket socket;
    private final InputStream in;
    private final byte[] line = new byte[1 << 16];
    private int chunk; // bytes left of it; -1 after the last one

    HttpClient(URI url, int tokens) throws IOException {
      this.url = url;
      this.tokens = tokens;
      this.socket = new Socket(url.getHost(), url.getPort());
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(300_000);
      this.in = new BufferedInputStream(socket.getInputStream(), 1 << 14);
    }

    @Override
    public Done complete(String prompt) throws IOException {
      byte[] body =
          JSON.writeValueAsBytes(
              JSON.createObjectNode()
                  .put("prompt", prompt)
                  .put("max_tokens", tokens)
                  .put("temperature", 0)
                  .put("ignore_eos", true)
                  .put("stream", true)
                  .set("stream_options", JSON.createObjectNode().put("include_usage", true)));
      byte[] head =
          ("POST /v1/completions HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\n"
                  + "Content-Length: %d\r\n\r\n")
              .formatted(url.getHost(), url.getPort(), body.length)
              .getBytes(StandardCharsets.US_ASCII);
      byte[] request = Arrays.copyOf(head, head.length + body.length);
      System.arraycopy(body, 0, request, head.length, body.length);
      long sent = System.nanoTime();
      socket.getOutputStream().write(request);
      String status = headLine();
      boolean chunked = false;
      for (String header = headLine(); !header.isEmpty(); header = headLine()) {
        chunked |= header.equalsIgnoreCase("transfer-encoding: chunked");
      }
      if (!status.startsWith("HTTP/1.1 200") || !chunked) {
        throw new IOException("expected a stream in chunks, found " + status);
      }
      chunk = 0;
      long[] pieces = new long[tokens];
      int count = 0;
      JsonNode usage = null;
      boolean ended = false;
      for (int length = bodyLine(); length >= 0; length = bodyLine()) {
        if (length == 0) {
          continue;
        }
        String event = new String(line, 0, length, StandardCharsets.UTF_8);
        if (event.equals("data: [DONE]")) {
          ended = true;
        } else if (event.contains("\"usage\":{")) {
          usage = JSON.readTree(event.substring(PIECE.length())).get("usage");
        } else if (event.contains("\"error\"")) {
          throw new IOException(event);
        } else if (event.contains("\"text\":\"") && !event.contains("\"text\":\"\"")) {
          pieces[count++] = System.nanoTime();
        }
      }
      if (!ended || usage == null || count == 0) {
        throw new IOException("a stream ended without its text, its usage or [DONE]");
      }
      return new Done(
          sent,
          Arrays.copyOf(pieces, count),
          System.nanoTime(),
          usage.get("prompt_tokens").asLong(),
          usage.get("completion_tokens").asLong(),
          usage.at("/prompt_tokens_details/cached_tokens").asLong());
    }

    private int read() throws IOException {
      int b = in.read();
      if (b < 0) {
        throw new EOFException("the connection has ended");
      }
      return b;
    }

    private String headLine() throws IOException {
      int length = 0;
      for (int b = read(); b != '\n'; b = read()) {
        line[length++] = (byte) b;
      }
      return new String(line, 0, Math.max(0, length - 1), StandardCharsets.US_ASCII);
    }

    /** Returns the length of the next line of the body, without its end; -1 after the last one. */
    private int bodyLine() throws IOException {
      int length = 0;
      for (int b = bodyByte(); b != '\n'; b = bodyByte()) {
        if (b < 0) {
          return -1;
        }
        line[length++] = (byte) b;
      }
      return length;
    }

    private int bodyByte() throws IOException {
      if (chunk == 0) {
        chunk = Integer.parseInt(headLine(), 16);
        if (chunk == 0) {
          headLine();
          chunk = -1;
        }
      }
      if (chunk < 0) {
        return -1;
      }
      int b = read();
      if (--chunk == 0) {
        headLine(); // the line break behind a chunk
      }
      return b;
    }

    @Override
    public void close() {
      try {
        socket.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
