package dev.jneox.serve;

import io.helidon.common.buffers.BufferData;
import io.helidon.common.buffers.DataReader;
import io.helidon.common.buffers.DataWriter;
import io.helidon.common.socket.HelidonSocket;
import io.helidon.common.socket.PeerInfo;
import io.helidon.http.DirectHandler.EventType;
import io.helidon.http.HttpPrologue;
import io.helidon.http.RequestException;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.ListenerContext;
import io.helidon.webserver.ProxyProtocolData;
import io.helidon.webserver.Router;
import io.helidon.webserver.http1.Http1ConnectionListener;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One connection, as Helidon's HTTP/1.1 sees it, with what Helidon 4.5 lacks: a bound on the time
 * of reading a request and of writing to a client that reads nothing, and notice of a client that
 * leaves while its request is at work.
 *
 * <p>A virtual thread reads ahead of Helidon, at most two chunks. So it meets the end of the
 * connection whatever the request's own thread does. A client that ends its side of the connection
 * has left, even if it might still read.
 */
final class Peer implements ConnectionContext {
  private static final byte[] END = {};
  private static final int CHUNKS = 2;
  private static final long BYTES_PER_SECOND = 16 << 10;
  private static final long LINGER_NANOS = TimeUnit.MILLISECONDS.toNanos(500);
  private static final ThreadLocal<@Nullable Peer> CURRENT = new ThreadLocal<>();

  private final ConnectionContext context;
  private final ServerSettings.Patience patience;
  private final long mostBytes;
  private final DataReader reader = DataReader.create(this::next);
  private final DataWriter writer;
  private final BlockingQueue<byte[]> chunks = new ArrayBlockingQueue<>(CHUNKS);
  private final Thread ahead;

  private volatile boolean finished;

  // The connection's own thread's.
  private boolean resting = true; // between two requests
  private long begun; // when the first bytes of the request came
  private long bytes; // read since
  private boolean ended;
  private boolean refused;
  private boolean last;

  // Guarded by this.
  private boolean left;
  private @Nullable Runnable onLeave;
  private @Nullable Thread writing;
  private long writingSince;

  /**
   * @param mostBytes of a request, with all that its encoding adds
   */
  Peer(ConnectionContext context, ServerSettings.Patience patience, long mostBytes) {
    this.context = context;
    this.patience = patience;
    this.mostBytes = mostBytes;
    this.writer = new TimedWriter(context.dataWriter());
    this.ahead = Thread.ofVirtual().name("jneox-read-ahead").unstarted(this::readAhead);
  }

  /** Returns the connection whose request the current thread handles. */
  static @Nullable Peer current() {
    return CURRENT.get();
  }

  /** Begins to read; called on the connection's own thread. */
  void start() {
    CURRENT.set(this);
    ahead.start();
  }

  /** Ends, when the connection's thread has answered its last request. */
  void end() {
    long end = System.nanoTime() + LINGER_NANOS;
    try {
      // Closed with unread bytes, the connection would be reset, and the answer lost with it.
      while (refused && !ended && System.nanoTime() < end) {
        byte[] chunk = chunks.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
        ended = chunk == END;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    finished = true;
    if (begun == 0) {
      ahead.interrupt(); // perhaps in a TLS handshake, whose lock the end of the socket waits for
    } else {
      chunks.clear(); // it waits for room or for bytes; the end of the socket ends that
    }
    CURRENT.remove();
  }

  private void readAhead() {
    try {
      byte[] chunk = context.serverSocket().get();
      while (chunk != null && !finished) {
        if (chunk.length > 0) {
          chunks.put(chunk);
        }
        chunk = context.serverSocket().get();
      }
      leave();
      chunks.put(END);
    } catch (InterruptedException e) {
      leave();
    } catch (RuntimeException e) { // reset, or closed on this side
      leave();
      // The connection's thread may wait for more. What it has not read is of no use now.
      chunks.clear();
      chunks.offer(END);
    }
  }

  private void leave() {
    Runnable action;
    synchronized (this) {
      left = true;
      action = onLeave;
      onLeave = null;
    }
    if (action != null) {
      action.run();
    }
  }

  /** Has an action run when the client leaves, at once when it has left, until {@link #rest}. */
  void onLeave(Runnable action) {
    synchronized (this) {
      if (!left) {
        onLeave = action;
        return;
      }
    }
    action.run();
  }

  /**
   * Says that the request was answered.
   *
   * @param end whether the client wants no other one; Helidon says so in its answer, and goes on
   */
  void rest(boolean end) {
    last = end;
    synchronized (this) {
      onLeave = null;
    }
    resting = reader.available() == 0; // else the next request has begun
    begun = System.nanoTime();
    bytes = 0;
  }

  /**
   * Says that the connection ends with an answer, whatever the client still sends; false when that
   * was said before.
   */
  boolean refuse() {
    boolean first = !refused;
    refused = true;
    return first;
  }

  /** Keeps the bytes after the last request from being read as the next one. */
  private void checkLast() {
    if (refused || last) {
      throw new CloseConnectionException("this was the last request");
    }
  }

  /** Keeps it for Helidon, which calls this between two requests. */
  static final Http1ConnectionListener AFTER_LAST =
      new Http1ConnectionListener() {
        @Override
        public void prologue(ConnectionContext context, HttpPrologue prologue) {
          ((Peer) context).checkLast();
        }
      };

  /** Gives Helidon the next bytes. */
  private byte @Nullable [] next() {
    checkLast();
    byte[] chunk;
    try {
      long allowed =
          resting
              ? patience.idle().toNanos()
              : patience.request().toNanos()
                  + TimeUnit.SECONDS.toNanos(1) * (bytes / BYTES_PER_SECOND)
                  - (System.nanoTime() - begun);
      chunk = ended ? END : chunks.poll(allowed, TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) { // the server ends
      throw new CloseConnectionException("the server ends", e);
    }
    ended |= chunk == END;
    if (resting && (chunk == null || ended)) {
      return null;
    }
    if (chunk == null) {
      throw refusal(Status.REQUEST_TIMEOUT_408, "the request arrives too slowly");
    }
    if (ended) {
      throw refusal(Status.BAD_REQUEST_400, "the request ends before its end");
    }
    if (resting) {
      resting = false;
      begun = System.nanoTime();
      bytes = 0;
    }
    bytes += chunk.length;
    if (bytes > mostBytes) {
      throw refusal(Status.REQUEST_ENTITY_TOO_LARGE_413, "the request is too large");
    }
    return chunk;
  }

  private static RequestException refusal(Status status, String message) {
    return RequestException.builder()
        .type(EventType.BAD_REQUEST)
        .status(status)
        .message(message)
        .safeMessage(true)
        .setKeepAlive(false)
        .build();
  }

  /** Cuts off a client that has read nothing for too long. */
  synchronized void checkWriting() {
    if (writing != null && System.nanoTime() - writingSince > patience.write().toNanos()) {
      writing.interrupt(); // which closes the socket
      writing = null;
    }
  }

  /** Notes since when a write waits for the client. */
  private final class TimedWriter implements DataWriter {
    private final DataWriter out;

    TimedWriter(DataWriter out) {
      this.out = out;
    }

    private void timed(Runnable write) {
      synchronized (Peer.this) {
        writing = Thread.currentThread();
        writingSince = System.nanoTime();
      }
      try {
        write.run();
      } finally {
        synchronized (Peer.this) {
          writing = null;
        }
      }
    }

    @Override
    public void write(BufferData... buffers) {
      timed(() -> out.write(buffers));
    }

    @Override
    public void write(BufferData buffer) {
      timed(() -> out.write(buffer));
    }

    @Override
    public void writeNow(BufferData... buffers) {
      timed(() -> out.writeNow(buffers));
    }

    @Override
    public void writeNow(BufferData buffer) {
      timed(() -> out.writeNow(buffer));
    }

    @Override
    public void flush() {
      timed(out::flush);
    }

    @Override
    public void close() {
      timed(out::close);
    }
  }

  @Override
  public DataReader dataReader() {
    return reader;
  }

  @Override
  public DataWriter dataWriter() {
    return writer;
  }

  @Override
  public ListenerContext listenerContext() {
    return context.listenerContext();
  }

  @Override
  public ExecutorService executor() {
    return context.executor();
  }

  @Override
  public Router router() {
    return context.router();
  }

  @Override
  public Optional<ProxyProtocolData> proxyProtocolData() {
    return context.proxyProtocolData();
  }

  @Override
  public HelidonSocket serverSocket() {
    return context.serverSocket();
  }

  @Override
  public PeerInfo remotePeer() {
    return context.remotePeer();
  }

  @Override
  public PeerInfo localPeer() {
    return context.localPeer();
  }

  @Override
  public boolean isSecure() {
    return context.isSecure();
  }

  @Override
  public String socketId() {
    return context.socketId();
  }

  @Override
  public String childSocketId() {
    return context.childSocketId();
  }
}
