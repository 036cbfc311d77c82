package dev.jneox.serve;

import io.helidon.common.buffers.BufferData;
import io.helidon.common.concurrency.limits.Limit;
import io.helidon.common.task.InterruptableTask;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.http1.Http1Config;
import io.helidon.webserver.http1.Http1ConnectionSelector;
import io.helidon.webserver.spi.ServerConnection;
import io.helidon.webserver.spi.ServerConnectionSelector;
import java.time.Duration;
import java.util.Comparator;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;

/** Has Helidon's HTTP/1.1 speak through a {@link Peer} for each connection, and watches them. */
final class Connections implements ServerConnectionSelector, AutoCloseable {
  private static final int HEADER_BYTES = 1 << 16;
  private static final long LOOK_MILLIS = 250;

  /** What a connection without a request is granted where there are too many. */
  private static final Duration IDLE = Duration.ofSeconds(1);

  private final ServerConnectionSelector http =
      Http1ConnectionSelector.builder()
          .config(
              Http1Config.builder()
                  .maxHeadersSize(HEADER_BYTES)
                  .addReceiveListener(Peer.AFTER_LAST)
                  .buildPrototype())
          .build();
  private final ServerSettings.Limits limits;
  private final BooleanSupplier awaited;
  private final Set<Peer> peers = ConcurrentHashMap.newKeySet();
  private final Thread watch = Thread.ofVirtual().name("jneox-connections").unstarted(this::watch);

  /**
   * @param awaited whether somebody waits for a place that others have
   */
  Connections(ServerSettings.Limits limits, BooleanSupplier awaited) {
    this.limits = limits;
    this.awaited = awaited;
  }

  /** Begins to watch. */
  void start() {
    watch.start();
  }

  private void watch() {
    try {
      while (true) {
        Thread.sleep(LOOK_MILLIS);
        boolean others = awaited.getAsBoolean();
        peers.forEach(peer -> peer.checkWriting(others));
        if (open() >= limits.connections()) {
          makeRoom();
        }
      }
    } catch (InterruptedException e) {
      // closed
    }
  }

  /** Ends connections that have brought no request for longest, a quarter of all at most. */
  private void makeRoom() {
    long now = System.nanoTime();
    peers.stream()
        .filter(peer -> peer.idleNanos(now) > IDLE.toNanos())
        .sorted(Comparator.comparingLong((Peer peer) -> peer.idleNanos(now)).reversed())
        .limit(Math.max(1, limits.connections() / 4))
        .forEach(Peer::dismiss);
  }

  int open() {
    return peers.size();
  }

  @Override
  public ServerConnection connection(ConnectionContext context) {
    // Chunks of one byte take six.
    Peer peer = new Peer(context, limits.patience(), HEADER_BYTES + 6 * limits.body() + 1024);
    return new Connection(peer, http.connection(peer));
  }

  private final class Connection implements ServerConnection, InterruptableTask<Void> {
    private final Peer peer;
    private final ServerConnection http;

    Connection(Peer peer, ServerConnection http) {
      this.peer = peer;
      this.http = http;
    }

    @Override
    public void handle(Limit limit) throws InterruptedException {
      peers.add(peer);
      peer.start();
      try {
        http.handle(limit);
      } finally {
        peer.end();
        peers.remove(peer);
      }
    }

    @Override
    public boolean canInterrupt() {
      return http instanceof InterruptableTask<?> task && task.canInterrupt();
    }

    @Override
    public Duration idleTime() {
      return Duration.ZERO; // the peer's reading has its own bound
    }

    @Override
    public void close(boolean interrupt) {
      http.close(interrupt);
    }
  }

  @Override
  public int bytesToIdentifyConnection() {
    return http.bytesToIdentifyConnection();
  }

  @Override
  public Support supports(BufferData data) {
    return http.supports(data);
  }

  @Override
  public Set<String> supportedApplicationProtocols() {
    return http.supportedApplicationProtocols();
  }

  @Override
  public void close() {
    watch.interrupt();
  }
}
