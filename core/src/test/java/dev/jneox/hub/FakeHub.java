package dev.jneox.hub;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Deque;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import org.jspecify.annotations.NullUnmarked;

/**
 * A hub on this machine with one repository, {@code org/model}. It speaks HTTP over plain sockets,
 * one request a connection, so that it can also speak it badly: what is queued for a path by {@link
 * #next} is answered first.
 */
@NullUnmarked // a test fails by itself where a value is absent
final class FakeHub implements AutoCloseable {
  static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
  static final HubName NAME = HubName.parse("org/model");
  static final String LISTING = "/api/models/org/model/revision/main";

  record Request(String method, String path, Map<String, String> headers) {
    String header(String name) {
      return headers.getOrDefault(name.toLowerCase(java.util.Locale.ROOT), "");
    }

    /** The first byte asked for. */
    int from() {
      String range = header("Range");
      return range.isEmpty()
          ? 0
          : Integer.parseInt(range.substring("bytes=".length(), range.length() - 1));
    }
  }

  /** Writes an answer; the connection is closed after it. */
  interface Reply {
    void write(Request request, OutputStream out) throws IOException, InterruptedException;
  }

  final Map<String, byte[]> files = new TreeMap<>();
  final Set<String> lfs = new LinkedHashSet<>();
  final List<Request> requests = new CopyOnWriteArrayList<>();

  /** Answers all requests of a path, where there is one. */
  final Map<String, Reply> always = new ConcurrentHashMap<>();

  private final Map<String, Deque<Reply>> queued = new ConcurrentHashMap<>();
  private final ServerSocket socket;

  FakeHub() {
    try {
      socket = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Thread.ofVirtual().start(this::accept);
  }

  /** A hub with a model of two small files and weights of {@code size} bytes. */
  static FakeHub withModel(int size) {
    FakeHub hub = new FakeHub();
    hub.files.put("config.json", "{\"model_type\": \"gpt_neox\"}".getBytes(StandardCharsets.UTF_8));
    hub.files.put("tokenizer.json", "{}".getBytes(StandardCharsets.UTF_8));
    hub.files.put("model.safetensors", bytes(size));
    hub.lfs.add("model.safetensors");
    return hub;
  }

  static byte[] bytes(int size) {
    byte[] bytes = new byte[size];
    new java.util.Random(size).nextBytes(bytes);
    return bytes;
  }

  String address() {
    return "http://127.0.0.1:" + socket.getLocalPort();
  }

  static String path(String file) {
    return "/org/model/resolve/" + COMMIT + "/" + file;
  }

  FakeHub next(String path, Reply... replies) {
    queued.computeIfAbsent(path, p -> new ConcurrentLinkedDeque<>()).addAll(List.of(replies));
    return this;
  }

  /** The last request for a path; those for other files come at the same time. */
  Request last(String path) {
    return requests.stream().filter(request -> request.path().equals(path)).toList().getLast();
  }

  long count(String path) {
    return requests.stream().filter(request -> request.path().equals(path)).count();
  }

  private void accept() {
    try {
      while (true) {
        Socket connection = socket.accept();
        Thread.ofVirtual().start(() -> serve(connection));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private void serve(Socket connection) {
    try (connection;
        InputStream in = new BufferedInputStream(connection.getInputStream());
        OutputStream out = connection.getOutputStream()) {
      Request request = read(in);
      if (request == null) {
        return;
      }
      requests.add(request);
      Deque<Reply> first = queued.get(request.path());
      Reply reply = first == null ? null : first.poll();
      (reply != null ? reply : always.getOrDefault(request.path(), this::good)).write(request, out);
      out.flush();
    } catch (IOException | InterruptedException e) {
      // The client went away.
    }
  }

  private static Request read(InputStream in) throws IOException {
    String line = line(in);
    if (line.isEmpty()) {
      return null;
    }
    String[] first = line.split(" ");
    Map<String, String> headers = new TreeMap<>();
    for (String header = line(in); !header.isEmpty(); header = line(in)) {
      String[] parts = header.split(":", 2);
      headers.put(parts[0].toLowerCase(java.util.Locale.ROOT), parts[1].strip());
    }
    return new Request(first[0], first[1].split("\\?")[0], headers);
  }

  private static String line(InputStream in) throws IOException {
    StringBuilder line = new StringBuilder();
    for (int c = in.read(); c >= 0 && c != '\n'; c = in.read()) {
      if (c != '\r') {
        line.append((char) c);
      }
    }
    return line.toString();
  }

  /** As it should be. */
  void good(Request request, OutputStream out) throws IOException, InterruptedException {
    if (request.path().startsWith("/api/models/org/model/revision/")) {
      answer(200, "", listing().getBytes(StandardCharsets.UTF_8)).write(request, out);
      return;
    }
    String file = URLDecoder.decode(request.path().replace(path(""), ""), StandardCharsets.UTF_8);
    byte[] bytes = files.get(file);
    if (bytes == null) {
      answer(404, "X-Error-Code: EntryNotFound\r\n", new byte[0]).write(request, out);
      return;
    }
    int from = request.from();
    String headers = "ETag: \"" + hash(file) + "\"\r\nX-Repo-Commit: " + COMMIT + "\r\n";
    if (from > 0) {
      headers +=
          "Content-Range: bytes " + from + "-" + (bytes.length - 1) + "/" + bytes.length + "\r\n";
    }
    answer(from > 0 ? 206 : 200, headers, java.util.Arrays.copyOfRange(bytes, from, bytes.length))
        .write(request, out);
  }

  /** A whole answer. */
  static Reply answer(int status, String headers, byte[] body) {
    return (request, out) -> {
      head(out, status, headers, body.length);
      if (!request.method().equals("HEAD")) {
        out.write(body);
      }
    };
  }

  static Reply answer(int status) {
    return answer(status, "", new byte[0]);
  }

  static Reply redirect(String location) {
    return answer(302, "Location: " + location + "\r\n", new byte[0]);
  }

  /** The right answer, whose connection breaks after {@code count} bytes of body. */
  Reply dropAfter(int count) {
    return (request, out) -> {
      java.io.ByteArrayOutputStream whole = new java.io.ByteArrayOutputStream();
      good(request, whole);
      String head = whole.toString(StandardCharsets.ISO_8859_1);
      out.write(
          whole.toByteArray(), 0, Math.min(whole.size(), head.indexOf("\r\n\r\n") + 4 + count));
    };
  }

  static void head(OutputStream out, int status, String headers, long length) throws IOException {
    String text =
        "HTTP/1.1 "
            + status
            + " X\r\nConnection: close\r\n"
            + headers
            + "Content-Length: "
            + length
            + "\r\n\r\n";
    out.write(text.getBytes(StandardCharsets.UTF_8));
  }

  String listing() {
    String siblings =
        files.entrySet().stream()
            .map(e -> sibling(e.getKey(), e.getValue()))
            .collect(Collectors.joining(","));
    return "{\"id\": \"org/model\", \"sha\": \"" + COMMIT + "\", \"siblings\": [" + siblings + "]}";
  }

  private String sibling(String name, byte[] bytes) {
    String common =
        "{\"rfilename\": \"" + name + "\", \"size\": " + bytes.length + ", \"blobId\": ";
    return lfs.contains(name)
        ? common
            + "\""
            + gitId(sha256(bytes).getBytes(StandardCharsets.UTF_8))
            + "\", \"lfs\": {\"sha256\": \""
            + sha256(bytes)
            + "\", \"size\": "
            + bytes.length
            + ", \"pointerSize\": 134}}"
        : common + "\"" + gitId(bytes) + "\"}";
  }

  String hash(String file) {
    return lfs.contains(file) ? sha256(files.get(file)) : gitId(files.get(file));
  }

  static String sha256(byte[] bytes) {
    return hash("SHA-256", bytes);
  }

  static String gitId(byte[] bytes) {
    byte[] head = ("blob " + bytes.length + "\0").getBytes(StandardCharsets.US_ASCII);
    byte[] all = java.util.Arrays.copyOf(head, head.length + bytes.length);
    System.arraycopy(bytes, 0, all, head.length, bytes.length);
    return hash("SHA-1", all);
  }

  private static String hash(String algorithm, byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance(algorithm).digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
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
