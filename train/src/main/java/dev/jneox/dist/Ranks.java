package dev.jneox.dist;

import dev.jneox.io.InputException;
import dev.jneox.torch.Collectives;
import dev.jneox.torch.Rendezvous;
import dev.jneox.torch.ThreadCollectives;
import dev.jneox.torch.Values;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.TreeSet;
import java.util.stream.IntStream;

/** Holds the groups of one process of a run. */
public final class Ranks implements AutoCloseable {
  /** One process. */
  public static final Ranks ALONE =
      new Ranks(
          Mesh.ALONE,
          0,
          1,
          Collectives.ALONE,
          Collectives.ALONE,
          Collectives.ALONE,
          Collectives.ALONE,
          Supervision.NONE,
          () -> {});

  /** Bytes of a hash that a double holds exactly. */
  private static final int HASH_BYTES = 6;

  private final Mesh mesh;
  private final int rank;
  private final int localSize;
  private final Collectives world;
  private final Collectives tensor;
  private final Collectives data;
  private final Collectives pipeline;
  private final Supervision supervision;
  private final Runnable closing;

  private Ranks(
      Mesh mesh,
      int rank,
      int localSize,
      Collectives world,
      Collectives tensor,
      Collectives data,
      Collectives pipeline,
      Supervision supervision,
      Runnable closing) {
    this.mesh = mesh;
    this.rank = rank;
    this.localSize = localSize;
    this.world = world;
    this.tensor = tensor;
    this.data = data;
    this.pipeline = pipeline;
    this.supervision = supervision;
    this.closing = closing;
  }

  /**
   * Waits for the other processes and joins their groups.
   *
   * @param supervision hears of each operation that this process waits in; the caller closes it
   * @throws InputException when address or port cannot be used
   * @throws dev.jneox.io.PeerException when not all processes come within 30 s; of a run that was
   *     restarted, within half its timeout
   */
  public static Ranks join(World world, Mesh mesh, Supervision supervision) {
    if (mesh.size() != world.size()) {
      throw new IllegalArgumentException(mesh + " for " + world);
    }
    if (world.size() == 1) {
      Collectives alone = Collectives.ALONE;
      return new Ranks(mesh, 0, 1, alone, alone, alone, alone, supervision, () -> {});
    }
    supervision.waiting("the start of the other ranks");
    int rank = world.rank();
    Rendezvous met =
        Rendezvous.join(
            world.masterAddress(),
            world.masterPort(),
            rank,
            world.size(),
            supervision.patience(),
            supervision.groupTimeout());
    Ranks ranks =
        new Ranks(
            mesh,
            rank,
            world.localSize(),
            watched(
                met.group("world", IntStream.range(0, world.size()).boxed().toList()), supervision),
            watched(met.group("tensor", mesh.tensorGroup(rank)), supervision),
            watched(met.group("data", mesh.dataGroup(rank)), supervision),
            watched(met.group("pipeline", mesh.pipelineGroup(rank)), supervision),
            supervision,
            met::close);
    supervision.waiting("");
    return ranks;
  }

  private static Collectives watched(Collectives group, Supervision supervision) {
    return group.size() == 1 || supervision.folder().isEmpty()
        ? group
        : new WatchedCollectives(group, supervision);
  }

  /** Makes ranks that are threads of this process, for tests. */
  public static List<Ranks> threads(Mesh mesh) {
    Map<String, ThreadCollectives.Group> groups = new HashMap<>();
    List<Ranks> ranks = new ArrayList<>();
    List<Integer> all = IntStream.range(0, mesh.size()).boxed().toList();
    for (int r : all) {
      ranks.add(
          new Ranks(
              mesh,
              r,
              mesh.size(),
              thread(groups, "world", all, r),
              thread(groups, "tensor", mesh.tensorGroup(r), r),
              thread(groups, "data", mesh.dataGroup(r), r),
              thread(groups, "pipeline", mesh.pipelineGroup(r), r),
              Supervision.NONE,
              () -> {}));
    }
    return ranks;
  }

  private static Collectives thread(
      Map<String, ThreadCollectives.Group> groups, String name, List<Integer> ranks, int rank) {
    return groups
        .computeIfAbsent(name + ranks, _ -> new ThreadCollectives.Group(name, ranks.size()))
        .rank(ranks.indexOf(rank));
  }

  /** Returns how the processes are placed. */
  public Mesh mesh() {
    return mesh;
  }

  /** Returns the place of this process. */
  public Mesh.Place place() {
    return mesh.place(rank);
  }

  /** Returns the rank of this process. */
  public int rank() {
    return rank;
  }

  /** Returns whether this process speaks for the run: prints, logs and saves. */
  public boolean isFirst() {
    return rank == 0;
  }

  /** Returns the number of processes. */
  public int size() {
    return mesh.size();
  }

  /** Returns the number of processes of this machine, which share its memory. */
  public int localSize() {
    return localSize;
  }

  /** Returns the group of all processes. */
  public Collectives world() {
    return world;
  }

  /** Returns the group that has the pieces of the same matrices. */
  public Collectives tensor() {
    return tensor;
  }

  /** Returns the group that has the copies of the same part of the model. */
  public Collectives data() {
    return data;
  }

  /** Returns the group that has the stages of the same copy. */
  public Collectives pipeline() {
    return pipeline;
  }

  /** Returns what connects this process with its launcher. */
  public Supervision supervision() {
    return supervision;
  }

  /**
   * Tells every rank of a group the numbers of all.
   *
   * @param mine as many on every rank
   * @return the numbers by rank
   */
  public static double[][] exchange(Collectives group, double... mine) {
    int size = group.size();
    double[][] all = new double[size][];
    if (size == 1) {
      all[0] = mine;
      return all;
    }
    long bytes = (long) mine.length * Double.BYTES;
    try (Arena arena = Arena.ofShared()) {
      MemorySegment part = arena.allocateFrom(ValueLayout.JAVA_DOUBLE, mine);
      MemorySegment whole = arena.allocate(bytes * size, Double.BYTES);
      try (Values from = Values.doubles(part);
          Values into = Values.doubles(whole)) {
        group.allGather(from, into).await();
      }
      for (int r = 0; r < size; r++) {
        all[r] = whole.asSlice(r * bytes, bytes).toArray(ValueLayout.JAVA_DOUBLE);
      }
    }
    return all;
  }

  /** Returns rank 0's text on every rank; what the others give does not count. */
  public String fromFirst(String text) {
    return from(0, text);
  }

  /** Returns the text of rank {@code sender} on every rank. */
  private String from(int sender, String text) {
    if (size() == 1) {
      return text;
    }
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int length = (int) exchange(world, bytes.length)[sender][0];
    double[] mine = new double[Math.max(1, length)];
    for (int i = 0; rank == sender && i < length; i++) {
      mine[i] = bytes[i];
    }
    double[] first = exchange(world, mine)[sender];
    byte[] read = new byte[length];
    for (int i = 0; i < length; i++) {
      read[i] = (byte) first[i];
    }
    return new String(read, StandardCharsets.UTF_8);
  }

  /**
   * Requires that all ranks have the same.
   *
   * @param parts what must be the same by what it is called, such as {@code configuration}; lines
   *     of {@code name: value}
   * @throws InputException on every rank, naming the ranks and parts that differ from rank 0's, and
   *     both values of the first difference
   */
  public void requireSame(SequencedMap<String, String> parts) {
    double[][] all = exchange(world, parts.values().stream().mapToDouble(Ranks::hash).toArray());
    List<String> names = List.copyOf(parts.keySet());
    List<String> differing = new ArrayList<>();
    String difference = "";
    for (int r = 1; r < all.length; r++) {
      for (int p = 0; p < names.size(); p++) {
        if (all[r][p] != all[0][p]) {
          differing.add("rank " + r + " has another " + names.get(p));
          if (difference.isEmpty()) {
            String mine = parts.values().stream().toList().get(p);
            difference = difference(from(0, mine), r, from(r, mine));
          }
        }
      }
    }
    if (!differing.isEmpty()) {
      throw new InputException(
          String.join(", ", differing)
              + " than rank 0: "
              + difference
              + ": start all ranks with the same version, files and options");
    }
  }

  /** Words the first of the lines {@code name: value} that differs. */
  private static String difference(String first, int rank, String other) {
    Map<String, String> expected = values(first);
    Map<String, String> found = values(other);
    TreeSet<String> names = new TreeSet<>(expected.keySet());
    names.addAll(found.keySet());
    return names.stream()
        .filter(name -> !Objects.equals(expected.get(name), found.get(name)))
        .findFirst()
        .map(
            name ->
                "%s is %s on rank %d and %s on rank 0"
                    .formatted(
                        name,
                        found.getOrDefault(name, "not set"),
                        rank,
                        expected.getOrDefault(name, "not set")))
        .orElse("");
  }

  private static Map<String, String> values(String lines) {
    Map<String, String> values = new HashMap<>();
    for (String line : lines.split("\n")) {
      int colon = line.indexOf(": ");
      values.put(line.substring(0, Math.max(0, colon)), line.substring(colon < 0 ? 0 : colon + 2));
    }
    return values;
  }

  private static double hash(String text) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
      double value = 0;
      for (int i = 0; i < HASH_BYTES; i++) {
        value = value * 256 + (digest[i] & 0xff);
      }
      return value;
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }

  /** Waits until every process has called this. */
  public void barrier() {
    if (size() > 1) {
      world.barrier();
    }
  }

  @Override
  public void close() {
    if (size() > 1) {
      List.of(pipeline, data, tensor, world).forEach(Collectives::close);
      closing.run();
    }
  }
}
