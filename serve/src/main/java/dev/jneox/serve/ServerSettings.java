package dev.jneox.serve;

import dev.jneox.infer.Engine;
import dev.jneox.infer.Precision;
import dev.jneox.io.InputException;
import dev.jneox.kernel.Cpu;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Holds how a server listens and what it grants.
 *
 * @param host address to listen on; the default takes connections of this machine alone
 * @param port to listen on; 0 takes a free one
 * @param apiKeys keys of which a request must bring one; none asks for no key
 * @param tls certificate and key to answer over TLS with
 * @param precision what the weights are multiplied in
 * @param sessions most sequences that a model writes at a time
 * @param queue sequences that may wait before requests are refused with 429
 * @param threads that compute
 * @param kvBytes bound on the memory for keys and values of a model, in bytes
 * @param readers what a slow reader of a stream is granted
 * @param timeout longest time of a request, from its arrival
 * @param maxBody largest body, in bytes
 * @param maxConnections most open connections
 * @param grace how long running requests may go on at shutdown
 */
public record ServerSettings(
    String host,
    int port,
    List<String> apiKeys,
    Optional<TlsFiles> tls,
    Precision precision,
    int sessions,
    int queue,
    int threads,
    long kvBytes,
    Engine.Readers readers,
    Duration timeout,
    long maxBody,
    int maxConnections,
    Duration grace) {
  /**
   * Names the files of TLS.
   *
   * @param certificates chain in PEM
   * @param key private key in PEM (PKCS #8)
   */
  public record TlsFiles(Path certificates, Path key) {}

  /** Listens on {@code 127.0.0.1:8080}, without keys and TLS. */
  public static final ServerSettings DEFAULT =
      new ServerSettings(
          "127.0.0.1",
          8080,
          List.of(),
          Optional.empty(),
          Precision.STORED,
          32,
          1024,
          Cpu.threads(),
          Runtime.getRuntime().maxMemory() / 2,
          Engine.Readers.DEFAULT,
          Duration.ofMinutes(10),
          16 << 20,
          1024,
          Duration.ofSeconds(30));

  /**
   * @throws InputException that names the setting which is out of range
   */
  public ServerSettings {
    apiKeys = List.copyOf(apiKeys);
    check("port", port, 0, 65_535);
    check("sessions", sessions, 1, 1 << 16);
    check("queue", queue, 0, Integer.MAX_VALUE);
    check("threads", threads, 1, 1 << 12);
    check("memory for keys and values, in bytes", kvBytes, 1, Long.MAX_VALUE);
    check("largest body, in bytes", maxBody, 1, Integer.MAX_VALUE - 8);
    check("connections", maxConnections, 1, 1 << 20);
    check("timeout, in seconds", timeout.toSeconds(), 1, 1 << 30);
    check("grace, in seconds", grace.toSeconds(), 0, 1 << 30);
    if (apiKeys.stream().anyMatch(String::isBlank)) {
      throw new InputException("API key: expected some text, found none");
    }
  }

  private static void check(String name, long value, long least, long most) {
    if (value < least || value > most) {
      throw new InputException(
          "%s: expected %d to %d, found %d".formatted(name, least, most, value));
    }
  }
}
