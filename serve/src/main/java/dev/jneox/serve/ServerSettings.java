package dev.jneox.serve;

import dev.jneox.infer.Engine;
import dev.jneox.infer.Precision;
import dev.jneox.io.InputException;
import dev.jneox.kernel.Cpu;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * Holds how a server listens and what it grants.
 *
 * @param host address to listen on; the default takes connections of this machine alone
 * @param port to listen on; 0 takes a free one
 * @param access who may send requests
 * @param precision what the weights are multiplied in
 * @param sessions most sequences that a model writes at a time
 * @param queue sequences that may wait before requests are refused with 429
 * @param threads that compute
 * @param kvBytes bound on the memory for keys and values of a model, in bytes
 * @param loading when models are loaded, and what they may take together
 * @param readers what a slow reader of a stream is granted
 * @param limits what a request and a connection may take
 */
public record ServerSettings(
    String host,
    int port,
    Access access,
    Precision precision,
    int sessions,
    int queue,
    int threads,
    long kvBytes,
    Loading loading,
    Engine.Readers readers,
    Limits limits) {
  /**
   * Says when models are loaded, and what they may take together.
   *
   * @param lazy whether a model is loaded by its first request; else at the start
   * @param memory bound on the bytes of weights, keys and values of the models that are loaded: the
   *     one that was used least recently makes room. Without one, all stay.
   */
  public record Loading(boolean lazy, OptionalLong memory) {
    /** Loads all at the start, and keeps them. */
    public static final Loading DEFAULT = new Loading(false, OptionalLong.empty());

    /**
     * @throws InputException when the bound is not positive
     */
    public Loading {
      check("memory, in bytes", memory.orElse(1), 1, Long.MAX_VALUE);
    }
  }

  /**
   * Names the files of TLS.
   *
   * @param certificates chain in PEM
   * @param key private key in PEM (PKCS #8, or PKCS #1 of RSA), without a password
   */
  public record TlsFiles(Path certificates, Path key) {}

  /**
   * Says who may send requests, and who learns of them.
   *
   * @param keys of which a request must bring one; none asks for no key
   * @param admin the key of requests that load models anew; without one there are none
   * @param tls certificate and key to answer over TLS with
   * @param openMetrics whether {@code /metrics} asks for no key
   * @param proxies that are believed where they say whose request they pass on
   * @param origins of web pages that may send requests
   * @param log takes a line of JSON for each request; never the text of a prompt
   */
  public record Access(
      List<ApiKey> keys,
      Optional<ApiKey> admin,
      Optional<TlsFiles> tls,
      boolean openMetrics,
      TrustedProxies proxies,
      AllowedOrigins origins,
      Optional<Consumer<String>> log) {
    /** Copies the list. */
    public Access {
      keys = List.copyOf(keys);
    }
  }

  /**
   * Says what a request and a connection may take.
   *
   * @param timeout longest time of a request, from its arrival
   * @param body largest body, in bytes
   * @param bodies most bytes of large bodies that all requests hold at a time
   * @param connections most that are open; others wait to be accepted
   * @param grace how long running requests may go on at shutdown
   * @param patience how long the server waits for a client
   */
  public record Limits(
      Duration timeout,
      long body,
      long bodies,
      int connections,
      Duration grace,
      Patience patience) {}

  /**
   * Says how long the server waits for a client.
   *
   * @param idle between two requests of a connection
   * @param request from the first byte of a request to its last, and a second more for each 16 KiB
   * @param write while a client reads nothing; in sum, for a stream that is read slowly while
   *     others wait
   */
  public record Patience(Duration idle, Duration request, Duration write) {
    /** Waits for a minute between requests, and 30 seconds within one. */
    public static final Patience DEFAULT =
        new Patience(Duration.ofMinutes(1), Duration.ofSeconds(30), Duration.ofSeconds(30));
  }

  /** Listens on {@code 127.0.0.1:8080}, without keys and TLS. */
  public static final ServerSettings DEFAULT =
      new ServerSettings(
          "127.0.0.1",
          8080,
          new Access(
              List.of(),
              Optional.empty(),
              Optional.empty(),
              false,
              TrustedProxies.NONE,
              AllowedOrigins.NONE,
              Optional.empty()),
          Precision.STORED,
          32,
          1024,
          Cpu.threads(),
          Runtime.getRuntime().maxMemory() / 2,
          Loading.DEFAULT,
          Engine.Readers.DEFAULT,
          new Limits(
              Duration.ofMinutes(10),
              16 << 20,
              bodies(16 << 20),
              1024,
              Duration.ofSeconds(30),
              Patience.DEFAULT));

  /**
   * @throws InputException that names the setting which is out of range
   */
  public ServerSettings {
    if (host.isBlank()) {
      throw new InputException("host: expected an address to listen on, found nothing");
    }
    check("port", port, 0, 65_535);
    check("sessions", sessions, 1, 1 << 16);
    check("queue", queue, 0, Integer.MAX_VALUE);
    check("threads", threads, 1, 1 << 12);
    check("kv memory, in bytes", kvBytes, 1, Long.MAX_VALUE);
    check("max body, in bytes", limits.body, 1, Integer.MAX_VALUE - 8);
    check("bodies of all requests, in bytes", limits.bodies, limits.body, Long.MAX_VALUE);
    check("max connections", limits.connections, 1, 1 << 20);
    check("timeout, in seconds", limits.timeout.toSeconds(), 1, 1 << 30);
    check("grace, in seconds", limits.grace.toSeconds(), 0, 1 << 30);
  }

  /**
   * Returns how many bytes of bodies the Java heap takes at a time: an eighth of it, for a body is
   * held several times while it is read.
   *
   * @param body largest body, in bytes; at least one of these fits
   */
  public static long bodies(long body) {
    return Math.max(body, Runtime.getRuntime().maxMemory() / 8);
  }

  private static void check(String name, long value, long least, long most) {
    if (value < least || value > most) {
      throw new InputException(
          "%s: expected %d to %d, found %d".formatted(name, least, most, value));
    }
  }
}
