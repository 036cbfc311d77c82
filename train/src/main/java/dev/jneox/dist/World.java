package dev.jneox.dist;

import dev.jneox.io.InputException;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * States which of a run's processes this is, and where they meet.
 *
 * @param rank of this process, from 0
 * @param size number of processes
 * @param localRank of this process among those of its machine
 * @param localSize number of processes of this machine
 * @param masterAddress host of rank 0
 * @param masterPort port at which rank 0 listens
 */
public record World(
    int rank, int size, int localRank, int localSize, String masterAddress, int masterPort) {
  /** One process. */
  public static final World ALONE = new World(0, 1, 0, 1, "127.0.0.1", 29500);

  private static final String ADDRESS = "MASTER_ADDR";
  private static final String PORT = "MASTER_PORT";

  /** A list in Slurm's form, {@code 2(x3),1}. */
  private static final String TASKS_PER_NODE =
      "[1-9]\\d{0,4}(\\(x\\d+\\))?(,[1-9]\\d{0,4}(\\(x\\d+\\))?)*";

  /** The first name of a list in Slurm's form, {@code n[03-07,12],m1}. */
  private static final Pattern FIRST_NODE =
      Pattern.compile("([^,\\[]+)(?:\\[(\\d+)[^\\]]*\\]([^,]*))?.*");

  /**
   * Reads the environment of a process: torchrun's variables where {@code RANK} is set, else those
   * of a Slurm step, else Open MPI's; without any of them there is one process.
   *
   * @throws InputException when a variable is missing, or is no such number
   */
  public static World of(Map<String, String> environment) {
    Variables v = new Variables(environment);
    if (v.has("RANK") || v.has("WORLD_SIZE")) {
      int size = v.count("WORLD_SIZE", 1);
      int localSize = v.count("LOCAL_WORLD_SIZE", v.has("LOCAL_WORLD_SIZE") ? 1 : size);
      return world(v, "RANK", size, "LOCAL_RANK", localSize, Optional.empty());
    }
    // A batch script has SLURM_PROCID too, and is one process: only what srun starts has a step.
    if (v.has("SLURM_PROCID") && v.has("SLURM_STEP_ID")) {
      String size = v.has("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
      String nodes = v.has("SLURM_STEP_NODELIST") ? "SLURM_STEP_NODELIST" : "SLURM_NODELIST";
      int tasks = v.count(size, 1);
      int local =
          v.get("SLURM_STEP_TASKS_PER_NODE")
              .filter(text -> text.matches(TASKS_PER_NODE))
              .map(text -> text.replaceAll("\\(x\\d+\\)", "").split(","))
              .map(each -> Stream.of(each).mapToInt(Integer::parseInt).max().orElseThrow())
              .map(most -> Math.min(most, tasks))
              .orElse(tasks);
      return world(
          v, "SLURM_PROCID", tasks, "SLURM_LOCALID", local, v.get(nodes).map(World::first));
    }
    if (v.has("OMPI_COMM_WORLD_RANK")) {
      int size = v.count("OMPI_COMM_WORLD_SIZE", 1);
      int local = v.count("OMPI_COMM_WORLD_LOCAL_SIZE", size);
      return world(
          v,
          "OMPI_COMM_WORLD_RANK",
          size,
          "OMPI_COMM_WORLD_LOCAL_RANK",
          local,
          local == size ? Optional.of("127.0.0.1") : Optional.empty());
    }
    return ALONE;
  }

  private static World world(
      Variables v,
      String rankName,
      int size,
      String localRank,
      int localSize,
      Optional<String> first) {
    int rank = v.number(rankName);
    if (rank >= size) {
      throw new InputException(
          "%s: expected a number below that of the processes, %d, found %d"
              .formatted(rankName, size, rank));
    }
    int local = v.has(localRank) ? v.number(localRank) : rank % localSize;
    if (localSize > size || local >= localSize) {
      throw new InputException(
          "%s: process %d of %d on this machine, with %d processes in all: expected a number below that of this machine's processes, and no more of them than in all"
              .formatted(localRank, local, localSize, size));
    }
    if (size == 1) {
      return new World(0, 1, local, 1, ALONE.masterAddress, ALONE.masterPort);
    }
    String address =
        v.get(ADDRESS)
            .or(() -> first)
            .orElseThrow(
                () -> new InputException(ADDRESS + " is not set: set it to the host of rank 0"));
    int port = v.count(PORT, ALONE.masterPort);
    if (port > 65535) {
      throw new InputException(PORT + ": expected a port up to 65535, found " + port);
    }
    return new World(rank, size, local, localSize, address, port);
  }

  private static String first(String nodes) {
    Matcher matcher = FIRST_NODE.matcher(nodes);
    if (!matcher.matches()) {
      throw new InputException("SLURM_NODELIST: expected names of hosts, found " + nodes);
    }
    @Nullable String number = matcher.group(2);
    return matcher.group(1) + (number == null ? "" : number + matcher.group(3));
  }

  private record Variables(Map<String, String> environment) {
    boolean has(String name) {
      return get(name).isPresent();
    }

    Optional<String> get(String name) {
      return Optional.ofNullable(environment.get(name)).filter(value -> !value.isBlank());
    }

    int number(String name) {
      String value =
          get(name)
              .orElseThrow(
                  () ->
                      new InputException(
                          name + " is not set, and the other variables of the launcher are"));
      if (!value.matches("\\d{1,7}")) {
        throw new InputException(name + ": expected a whole number from 0, found " + value);
      }
      return Integer.parseInt(value);
    }

    /** Reads a number from 1; {@code otherwise} where none is set and the launcher may omit it. */
    int count(String name, int otherwise) {
      if (!has(name) && !name.equals("WORLD_SIZE")) {
        return otherwise;
      }
      int value = number(name);
      if (value < 1) {
        throw new InputException(name + ": expected a whole number from 1, found 0");
      }
      return value;
    }
  }
}
