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
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Has Helidon's HTTP/1.1 speak through a {@link Peer} for each connection, and watches them. */
final class Connections implements ServerConnectionSelector, AutoCloseable {
  private static final int HEADER_BYTES = 1 << 16;
  private static final long LOOK_MILLIS = 250;

  private final ServerConnectionSelector http =
      Http1ConnectionSelector.builder()
          .config(
              Http1Config.builder()
                  .maxHeadersSize(HEADER_BYTES)
                  .addReceiveListener(Peer.AFTER_LAST)
                  .buildPrototype())
          .build();
  private final ServerSettings.Limits limits;
  private final Set<Peer> peers = ConcurrentHashMap.newKeySet();
  private final Thread watch = Thread.ofVirtual().name("jneox-connections").unstarted(this::watch);

  Connections(ServerSettings.Limits limits) {
    this.limits = limits;
  }

  /** Begins to watch. */
  void start() {
    watch.start();
  }

  private void watch() {
    try {
      while (true) {
        Thread.sleep(LOOK_MILLIS);
        peers.forEach(Peer::checkWriting);
      }
    } catch (InterruptedException e) {
      // closed
    }
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
