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
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http1.Http1ConnectionListener;
import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.regex.Pattern;
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
  private static final int SOONER = 6;
  private static final Pattern SIZE_0 = Pattern.compile("0+");
  private static final Pattern TRAILER = Pattern.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+:.*");
  private static final int CHUNKS = 2;
  private static final long BYTES_PER_SECOND = 16 << 10;
  private static final long LINGER_NANOS = TimeUnit.MILLISECONDS.toNanos(500);
  private static final ThreadLocal<@Nullable Peer> CURRENT = new ThreadLocal<>();

  private final ConnectionContext context;
  private final ServerSettings.Patience patience;
  private final long mostBytes;
  private final ChunkReader reader = new ChunkReader(this::next);
  private final DataWriter writer;
  private final BlockingQueue<byte[]> chunks = new ArrayBlockingQueue<>(CHUNKS);
  private final Thread ahead;

  private final String address;

  private volatile boolean finished;
  private volatile long idleSince = System.nanoTime(); // no request has begun to be answered
  private volatile boolean working; // a request is being answered

  // The connection's own thread's.
  private boolean answered = true; // all requests whose first line was read
  private long begun; // when the first bytes of the request came
  private long bytes; // read since
  private boolean ended;
  private boolean refused;
  private boolean last;
  private boolean farewell; // the last answer was given

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
    this.address = address(context.remotePeer());
    this.writer = new TimedWriter(context.dataWriter());
    this.ahead = Thread.ofVirtual().name("jneox-read-ahead").unstarted(this::readAhead);
  }

  /** Returns the connection whose request the current thread handles. */
  static @Nullable Peer current() {
    return CURRENT.get();
  }

  /** Returns the address of the client, as a number. */
  String address() {
    return address;
  }

  /** Returns the address that a request comes from, as a number. */
  static String address(ServerRequest request) {
    Peer peer = CURRENT.get();
    return peer == null ? address(request.remotePeer()) : peer.address;
  }

  private static String address(PeerInfo peer) {
    return peer.address() instanceof InetSocketAddress socket && socket.getAddress() != null
        ? socket.getAddress().getHostAddress()
        : peer.host();
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
    last |= end;
    synchronized (this) {
      onLeave = null;
    }
    answered = true;
    begun = System.nanoTime();
    idleSince = begun;
    working = false;
  }

  /** Says that the first line of a request was read. */
  private void begin() {
    answered = false;
    bytes = reader.available();
    reader.begin();
  }

  /** Says that a request is being answered, until {@link #rest}. */
  void work() {
    working = true;
  }

  /** Says that the connection ends with the next answer, and what is left of its request unread. */
  void last() {
    refused = true;
  }

  /** Whether the connection may be answered once more; false from the second call on. */
  boolean lastAnswer() {
    boolean first = !farewell;
    farewell = true;
    return first;
  }

  /** Returns how long the connection has brought no whole head of a request. */
  long idleNanos(long now) {
    return working ? 0 : now - idleSince;
  }

  /** Ends the connection, which brings no request. */
  void dismiss() {
    if (!working) {
      chunks.clear();
      chunks.offer(END);
    }
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
          Peer peer = (Peer) context;
          peer.checkLast();
          peer.begin();
        }
      };

  /** Gives Helidon the next bytes. */
  private byte @Nullable [] next() {
    checkLast();
    // What was answered may have bytes left, which Helidon reads before it waits for the next one.
    boolean resting = answered && reader.available() == 0;
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
      begun = System.nanoTime();
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

  /**
   * Cuts off a client that has read nothing for too long.
   *
   * @param awaited whether others wait for its place, which makes that sooner
   */
  synchronized void checkWriting(boolean awaited) {
    long most = patience.write().toNanos() / (awaited ? SOONER : 1);
    if (writing != null && System.nanoTime() - writingSince > most) {
      writing.interrupt(); // which closes the socket
      writing = null;
    }
  }

  /**
   * Reads chunked bodies as HTTP has them: Helidon knows neither a chunk's extensions nor trailers,
   * and alone reads lines there. Both are skipped.
   */
  private static final class ChunkReader extends DataReader {
    private boolean lastChunk; // its line was read

    @SuppressWarnings("removal") // of Helidon 5; its factory makes no subclasses
    ChunkReader(Supplier<byte @Nullable []> next) {
      super(next);
    }

    /** Says that a request begins. */
    void begin() {
      lastChunk = false;
    }

    @Override
    public String readLine() {
      String line = super.readLine();
      if (!lastChunk) {
        int extension = line.indexOf(';');
        String size = (extension < 0 ? line : line.substring(0, extension)).strip();
        lastChunk = SIZE_0.matcher(size).matches();
        return size;
      }
      while (TRAILER.matcher(line).matches()) {
        line = super.readLine();
      }
      return line;
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
