package dev.jneox.torch;

import dev.jneox.io.CancelledException;
import dev.jneox.io.InputException;
import dev.jneox.io.PeerException;
import java.io.EOFException;
import java.io.IOException;
import java.net.DatagramSocket;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.GlooDeviceVector;
import org.bytedeco.pytorch.PrefixStore;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.StringVector;
import org.bytedeco.pytorch.TCPStore;
import org.bytedeco.pytorch.TCPStoreOptions;
import org.jspecify.annotations.Nullable;

/**
 * Has the processes of a run find each other at one address, c10d's {@code TCPStore} in rank 0, and
 * makes groups of them that exchange numbers through Gloo.
 */
public final class Rendezvous implements AutoCloseable {
  /** Names the network interface to take, as PyTorch reads it. */
  private static final String INTERFACE = "GLOO_SOCKET_IFNAME";

  private static final long RETRY_MILLIS = 100;

  /**
   * What a client of c10d's {@code TCPStore} says first: VALIDATE with a magic number, then PING
   * with a number that the store says again.
   */
  private static final byte VALIDATE = 0;

  private static final int MAGIC = 0x3C85F7CE;
  private static final byte PING = 13;
  private static final int NUMBER = 0x4A4E454F;

  /** How long a store may take to answer; how long what answers nothing may be one that starts. */
  private static final int ANSWER_MILLIS = 5000;

  private final PrefixStore root; // owns the TCPStore together with the groups
  private final Store store;
  private final ProcessGroupGloo.Options options;
  private final Duration patience;
  private final int rank;
  private final int size;

  private Rendezvous(
      PrefixStore root, ProcessGroupGloo.Options options, Duration patience, int rank, int size) {
    this.root = root;
    this.store = root.getUnderlyingStore().retainReference();
    this.options = options;
    this.patience = patience;
    this.rank = rank;
    this.size = size;
  }

  /**
   * Waits until every process of the run has come.
   *
   * @param host of rank 0, a name or an address
   * @param port that rank 0 listens at
   * @param rank of this process
   * @param size number of processes
   * @param patience how long to wait for the others
   * @param timeout after which an operation of a group fails
   * @throws InputException when the port is in use or the address cannot be used, naming what to
   *     set
   * @throws PeerException when not all come in time, naming the missing ranks
   */
  public static Rendezvous join(
      String host, int port, int rank, int size, Duration patience, Duration timeout) {
    if (!BundledLibraries.hasGloo()) {
      throw new InputException("several processes: libtorch's Gloo is there on Linux alone");
    }
    long end = System.nanoTime() + patience.toNanos();
    InetAddress master = address(host);
    requireInterface(System.getenv(INTERFACE));
    if (rank == 0) {
      requireFree(host, port);
      Libtorch.start();
    } else {
      Libtorch.start();
      awaitListener(master, host, port, rank, patience);
    }
    try (PointerScope _ = new PointerScope()) {
      Milliseconds wait = new Milliseconds(patience.toMillis());
      TCPStoreOptions how =
          new TCPStoreOptions().port((short) port).isServer(rank == 0).waitWorkers(false);
      PrefixStore root =
          new PrefixStore("jneox", adopted(new TCPStore(host, how.timeout(wait))))
              .retainReference();
      ProcessGroupGloo.Options options =
          ProcessGroupGloo.Options.create(new Milliseconds(timeout.toMillis())).retainReference();
      options.devices(new GlooDeviceVector(device(host, master)));
      Rendezvous met = new Rendezvous(root, options, patience, rank, size);
      met.store.set(key(rank), "here");
      met.awaitAll(end);
      return met;
    } catch (RuntimeException e) {
      throw explained(e, "rank %d: MASTER_ADDR %s, MASTER_PORT %d".formatted(rank, host, port));
    }
  }

  /**
   * Gives a store that Java made to the C++ object that it is passed to, which frees it. JavaCPP
   * makes stores without a reference count of their own: passed twice, or freed by Java too, they
   * would be freed twice.
   */
  private static <S extends Store> S adopted(S store) {
    S kept = store.retainReference();
    kept.deallocate(false);
    return kept;
  }

  private static RuntimeException explained(RuntimeException e, String what) {
    return e instanceof dev.jneox.io.JneoxException
        ? e
        : new PeerException(what + ": " + GlooCollectives.reason(e), e);
  }

  private static InetAddress address(String host) {
    try {
      return InetAddress.getByName(host);
    } catch (UnknownHostException e) {
      throw new InputException(
          "MASTER_ADDR: " + host + " is no host that this machine finds: set it to rank 0's", e);
    }
  }

  /** Refuses a port that another program listens at: libtorch would say so in forty lines. */
  private static void requireFree(String host, int port) {
    try (ServerSocket _ = new ServerSocket(port)) {
      return;
    } catch (IOException e) {
      throw new InputException(
          "MASTER_PORT: port %d of %s cannot be listened at (%s): set another, or --master-port of launch"
              .formatted(port, host, e.getMessage()),
          e);
    }
  }

  /** Refuses the name of an interface that this machine lacks; null or blank names none. */
  static void requireInterface(@Nullable String name) {
    if (name == null || name.isBlank()) {
      return;
    }
    try {
      List<NetworkInterface> up =
          NetworkInterface.networkInterfaces()
              .filter(network -> isUp(network) || isLoopback(network))
              .filter(network -> network.inetAddresses().findAny().isPresent())
              .toList();
      if (up.stream().noneMatch(network -> network.getName().equals(name))) {
        throw new InputException(
            "%s: %s is no interface of this machine that is up and has an address: set it to one of %s, or take it out"
                .formatted(
                    INTERFACE, name, up.stream().map(NetworkInterface::getName).sorted().toList()));
      }
    } catch (SocketException e) {
      throw new InputException(
          INTERFACE + ": the interfaces of this machine cannot be listed: " + e.getMessage(), e);
    }
  }

  /**
   * Waits until rank 0 listens.
   *
   * @throws InputException when something else listens there
   */
  static void awaitListener(
      InetAddress master, String host, int port, int rank, Duration patience) {
    long end = System.nanoTime() + patience.toNanos();
    long answered = 0; // when something first took the connection and said nothing
    while (true) {
      long left = Math.max(1, (end - System.nanoTime()) / 1_000_000);
      boolean connected = false;
      try (Socket socket = new Socket()) {
        socket.connect(new InetSocketAddress(master, port), (int) Math.min(left, ANSWER_MILLIS));
        connected = true;
        if (isStore(socket)) {
          return;
        }
        throw foreign(host, port, null);
      } catch (IOException e) {
        // A store that starts closes its first connections; so does a service that is none.
        if (connected) {
          answered = answered == 0 ? System.nanoTime() : answered;
        } else if (!(e instanceof SocketTimeoutException)) { // the last try has little time left
          answered = 0;
        }
        boolean late = System.nanoTime() - answered >= ANSWER_MILLIS * 1_000_000L;
        if (answered != 0 && (late || System.nanoTime() >= end)) {
          throw foreign(host, port, e);
        }
        if (System.nanoTime() >= end) {
          throw new PeerException(
              "rank %d: nothing answers at MASTER_ADDR %s, MASTER_PORT %d within %d s (%s): is rank 0 started there, and does no firewall stand between?"
                  .formatted(rank, host, port, patience.toSeconds(), e.getMessage()),
              e);
        }
        sleep();
      }
    }
  }

  private static InputException foreign(String host, int port, @Nullable IOException e) {
    return new InputException(
        "MASTER_PORT: what answers at %s:%d is not rank 0 of this run: set MASTER_ADDR and MASTER_PORT (--master-addr and --master-port of launch) to a port of rank 0's host that no other program uses"
            .formatted(host, port),
        e);
  }

  /**
   * Returns whether a store answers.
   *
   * @throws IOException when nothing does, or the connection is closed
   */
  private static boolean isStore(Socket socket) throws IOException {
    socket.setSoTimeout(ANSWER_MILLIS);
    ByteBuffer question = ByteBuffer.allocate(10).order(ByteOrder.nativeOrder());
    question.put(VALIDATE).putInt(MAGIC).put(PING).putInt(NUMBER);
    socket.getOutputStream().write(question.array());
    byte[] answer = socket.getInputStream().readNBytes(Integer.BYTES);
    if (answer.length == 0) {
      throw new EOFException("the connection was closed");
    }
    return answer.length == Integer.BYTES
        && ByteBuffer.wrap(answer).order(ByteOrder.nativeOrder()).getInt() == NUMBER;
  }

  private static void sleep() {
    try {
      Thread.sleep(RETRY_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException("waiting for the other ranks was stopped", e);
    }
  }

  private static String key(int rank) {
    return "rank/" + rank;
  }

  private void awaitAll(long end) {
    while (true) {
      List<Integer> missing = new ArrayList<>();
      for (int r = 0; r < size; r++) {
        try (PointerScope _ = new PointerScope()) {
          if (!store.check(new StringVector(key(r)))) {
            missing.add(r);
          }
        }
      }
      if (missing.isEmpty()) {
        return;
      }
      if (System.nanoTime() >= end) {
        throw new PeerException(
            "rank %d: of %d ranks these did not come within %d s: %s"
                .formatted(rank, size, patience.toSeconds(), missing),
            null);
      }
      sleep();
    }
  }

  /** Returns the network device by which this machine reaches rank 0's. */
  private static org.bytedeco.pytorch.gloo.Device device(String host, InetAddress master) {
    @Nullable String name = System.getenv(INTERFACE);
    if (name != null && !name.isBlank()) {
      return ProcessGroupGloo.createDeviceForInterface(name);
    }
    return ProcessGroupGloo.createDeviceForHostname(local(host, master));
  }

  /**
   * Returns the address of this machine that a packet to rank 0 would come from. A machine may give
   * its own name a loopback address, which no other machine reaches: then it is that of its first
   * network.
   */
  private static String local(String host, InetAddress other) {
    if (other.isLoopbackAddress() && !host.equals("localhost") && !host.matches("127\\..*|::1")) {
      return network().orElse(other.getHostAddress());
    }
    try (DatagramSocket socket = new DatagramSocket()) {
      socket.connect(new InetSocketAddress(other, 9)); // sends nothing
      return Optional.ofNullable(socket.getLocalAddress()).orElse(other).getHostAddress();
    } catch (IOException e) {
      throw new InputException(
          "MASTER_ADDR: no network of this machine leads to "
              + other.getHostAddress()
              + ": set "
              + INTERFACE
              + " to the interface to take ("
              + e.getMessage()
              + ")",
          e);
    }
  }

  /** Returns the first IPv4 address of a network that is up, other than the loopback. */
  private static Optional<String> network() {
    try {
      return NetworkInterface.networkInterfaces()
          .filter(Rendezvous::isUp)
          .flatMap(NetworkInterface::inetAddresses)
          .filter(address -> address instanceof Inet4Address && !address.isLoopbackAddress())
          .map(InetAddress::getHostAddress)
          .findFirst();
    } catch (SocketException e) {
      return Optional.empty();
    }
  }

  private static boolean isLoopback(NetworkInterface network) {
    try {
      return network.isUp() && network.isLoopback();
    } catch (SocketException e) {
      return false;
    }
  }

  private static boolean isUp(NetworkInterface network) {
    try {
      return network.isUp() && !network.isLoopback();
    } catch (SocketException e) {
      return false;
    }
  }

  /**
   * Makes a group of some of the processes. Each of them calls this, with groups of the same name
   * in the same order.
   *
   * @param name in messages, such as {@code data}
   * @param ranks of the run, this process among them, in the order of the group
   * @throws PeerException when a rank does not come in time
   */
  public Collectives group(String name, List<Integer> ranks) {
    int mine = ranks.indexOf(rank);
    if (mine < 0) {
      throw new IllegalArgumentException("rank " + rank + " is not in group " + ranks);
    }
    if (ranks.size() == 1) {
      return new ThreadCollectives.Group(name, 1).rank(0);
    }
    try (PointerScope _ = new PointerScope()) {
      PrefixStore prefixed = adopted(new PrefixStore(name + ranks, store));
      return new GlooCollectives(
          name,
          mine,
          ranks.size(),
          new ProcessGroupGloo(prefixed, mine, ranks.size(), options).retainReference());
    } catch (RuntimeException e) {
      throw explained(e, "group %s: rank %d of %s".formatted(name, rank, ranks));
    }
  }

  @Override
  public void close() {
    options.close();
    store.close();
    root.close();
  }
}
