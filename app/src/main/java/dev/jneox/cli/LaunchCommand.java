package dev.jneox.cli;

import dev.jneox.io.Heartbeat;
import dev.jneox.io.InputException;
import dev.jneox.io.LaunchFolder;
import dev.jneox.io.VisibleText;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Starts the processes of a run on this machine and ends them together. */
@Command(
    name = "launch",
    sortOptions = false,
    description = {
      "Start a command in several processes that train one model, with the environment that"
          + " torchrun gives (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT).",
      "The lines of rank 0 come as they are, those of the others with their rank before them. When"
          + " one process fails the others are ended. Ctrl-C reaches all of them, and they stop"
          + " when this process is gone.",
      "",
      "With --max-restarts train goes on by itself: when a process was killed, crashed or hangs,"
          + " all are started again and go on from the newest whole checkpoint of the run, with the"
          + " losses and weights of a run that nothing had happened to. Bad input, a diverged run"
          + " and a full disk are not tried again.",
      ""
    },
    footer = {
      "",
      "The exit code is that of the process that failed first.",
      "",
      "On several machines start the same line on each, with its own --node-rank; after a failure"
          + " each starts its own processes again, and they meet at the same address. Under srun,"
          + " mpirun or torchrun start the command itself: it reads their environment.",
      "",
      "Examples:",
      "  jneox launch --nproc 4 train run.yml --set save=run",
      "  jneox launch --nproc 4 --max-restarts 3 train run.yml --set save=run",
      "  jneox launch --nproc 8 --nnodes 2 --node-rank 1 --master-addr n0 train c.yml"
    })
public final class LaunchCommand implements Callable<Integer> {
  /** The exit code of a process that ended because another one did. */
  static final int PEER_FAILED = 75;

  /** The exit code of a process whose machine computed the same step twice, and not the same. */
  static final int MACHINE_FAILED = 71;

  /** The variable that tells a process the id of its launcher, with which it ends. */
  public static final String LAUNCHER = "JNEOX_LAUNCHER";

  /** How long the other processes may take to end by themselves, and then after SIGTERM. */
  private static final long GRACE_NANOS = 5_000_000_000L;

  private static final long END_NANOS = 30_000_000_000L;
  private static final long POLL_MILLIS = 20;
  private static final long LOOK_NANOS = 250_000_000L;
  private static final double MOST_MINUTES = 10_000;

  /** Of a JVM's options those that hold for one process alone. */
  private static final String OWN_OPTIONS = "-Djneox\\.stderr=.*|-javaagent.*|-agentlib.*";

  /** Lines of the JVM and of libtorch that say nothing. */
  private static final String NOISE =
      "WARNING: Using incubator modules: .*|\\[Gloo\\] Rank \\d+ is connected to .*";

  private static final int MOST = 4096;

  /** Where processes of several machines meet when nothing is said, as with torchrun. */
  private static final int MEETING_PORT = 29500;

  /** What a process says of the newest checkpoint at the end of its error. */
  private static final Pattern CHECKPOINT =
      Pattern.compile(".*(; (?:the last good checkpoint is .*|no checkpoint was saved))");

  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  @Option(
      names = "--nproc",
      paramLabel = "N",
      required = true,
      description = "Processes on this machine.")
  private int processes;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description =
          "Threads that each process computes with. Default: OMP_NUM_THREADS, else the cores"
              + " divided by --nproc.")
  private int threads;

  @Option(
      names = "--nnodes",
      paramLabel = "N",
      defaultValue = "1",
      description = "Machines, each with --nproc processes. Default: ${DEFAULT-VALUE}.")
  private int nodes;

  @Option(
      names = "--node-rank",
      paramLabel = "N",
      defaultValue = "0",
      description = "Number of this machine, from 0. Default: ${DEFAULT-VALUE}.")
  private int node;

  @Option(
      names = "--master-addr",
      paramLabel = "HOST",
      defaultValue = "127.0.0.1",
      description = "Host of machine 0. Default: ${DEFAULT-VALUE}.")
  private String address;

  @Option(
      names = "--master-port",
      paramLabel = "PORT",
      description =
          "Port of machine 0 at which the processes meet. Default: a free one, or 29500 with"
              + " --nnodes.")
  private Integer port;

  @Option(
      names = "--max-restarts",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "How often all processes are started again after one failed, before the run has saved"
              + " another checkpoint; each new checkpoint permits as many again. Default:"
              + " ${DEFAULT-VALUE}.")
  private int maxRestarts;

  @Option(
      names = "--distributed-timeout-minutes",
      paramLabel = "M",
      defaultValue = "10",
      description =
          "After how long without a sign of life, or without a finished operation on any process, a"
              + " process hangs and is ended. Default: ${DEFAULT-VALUE}.")
  private double timeoutMinutes;

  @Parameters(arity = "1..*", paramLabel = "COMMAND", description = "A command of jneox.")
  private List<String> command = new ArrayList<>();

  /** Holds the process of one rank, and its last error line for the message when it fails. */
  private static final class Rank {
    final int rank;
    final Process process;
    final List<Thread> pumps = new ArrayList<>();
    volatile @Nullable String lastError; // not printed yet
    int code;
    boolean ended;
    volatile @Nullable String hung; // how that was found out

    Rank(int rank, Process process) {
      this.rank = rank;
      this.process = process;
    }
  }

  /**
   * Says how the processes ended.
   *
   * @param code of the one that failed first, or 0
   * @param failure what became of it; empty without one
   * @param temporary whether another try may go better
   */
  private record Ending(int code, String failure, boolean temporary) {}

  private final Set<String> failures = ConcurrentHashMap.newKeySet();
  private final List<Rank> ranks = new ArrayList<>();
  private volatile int signal;

  @Override
  public Integer call() {
    check();
    LaunchFolder folder = LaunchFolder.create();
    try (Signals _ = new Signals(Map.of("INT", 2, "TERM", 15), this::forward)) {
      return supervise(folder);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    } finally {
      ranks.forEach(rank -> rank.process.destroyForcibly());
      folder.delete();
    }
  }

  /** Runs all processes, again where that may help. Returns the exit code. */
  private int supervise(LaunchFolder folder) throws InterruptedException {
    PrintWriter err = spec.commandLine().getErr();
    int left = maxRestarts;
    long saved = -1;
    for (int restarts = 0; ; restarts++) {
      Ending ending = run(folder, restarts);
      if (ending.code == 0 || signal != 0) {
        return ending.code;
      }
      long newest = newest(folder);
      left = newest > saved ? maxRestarts : left;
      saved = Math.max(saved, newest);
      if (!ending.temporary || left == 0) {
        String tried =
            ending.temporary && maxRestarts > 0
                ? "; given up after %d restarts without a newer checkpoint".formatted(maxRestarts)
                : "";
        err.println("jneox: " + ending.failure + tried);
        return ending.code;
      }
      left--;
      err.println(
          "jneox: %s; starting all ranks again %s, %d of %d tries left"
              .formatted(
                  ending.failure,
                  newest < 0 ? "from the beginning of the run" : "after step " + newest,
                  left,
                  maxRestarts));
      if (nodes > 1) {
        Thread.sleep(GRACE_NANOS / 1_000_000); // the old ranks of the other machines end first
      }
    }
  }

  /** Returns the step of the newest checkpoint that a rank of this machine knows; -1 for none. */
  private long newest(LaunchFolder folder) {
    return ranks.stream()
        .flatMap(rank -> Heartbeat.read(folder.heartbeat(rank.rank)).stream())
        .mapToLong(Heartbeat.Seen::saved)
        .max()
        .orElse(-1);
  }

  /** Runs all processes once. */
  private Ending run(LaunchFolder folder, int restarts) throws InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    synchronized (ranks) {
      ranks.clear();
    }
    failures.clear();
    int meetAt = port != null ? port : nodes > 1 ? MEETING_PORT : freePort();
    for (int local = 0; local < processes && signal == 0; local++) {
      Rank rank = start(local, meetAt, folder, restarts);
      synchronized (ranks) {
        ranks.add(rank);
      }
      boolean first = rank.rank == 0;
      String prefix = first ? "" : "[rank " + rank.rank + "] ";
      rank.pumps.add(pump(rank, rank.process.getInputStream(), first ? out : err, prefix, false));
      rank.pumps.add(pump(rank, rank.process.getErrorStream(), err, prefix, true));
    }
    return await(folder);
  }

  private void check() {
    require(processes >= 1 && processes <= MOST, "--nproc: expected 1 to 4096, found " + processes);
    require(nodes >= 1 && nodes <= MOST, "--nnodes: expected 1 to 4096, found " + nodes);
    require(
        node >= 0 && node < nodes,
        "--node-rank: expected a number from 0 below --nnodes " + nodes + ", found " + node);
    require(threads >= 0, "--threads: expected a number from 1, found " + threads);
    require(
        port == null || port > 0 && port < 65536,
        "--master-port: expected 1 to 65535, found " + port);
    require(maxRestarts >= 0, "--max-restarts: expected a number from 0, found " + maxRestarts);
    require(
        timeoutMinutes > 0 && timeoutMinutes <= MOST_MINUTES,
        "--distributed-timeout-minutes: expected a number above 0 up to 10000, found "
            + timeoutMinutes);
    String name = command.getFirst();
    require(!name.equals("launch"), "launch cannot start itself");
    if (Commands.find(name).isEmpty() && Commands.missing(name).isEmpty()) {
      List<String> names = Commands.all().stream().map(Commands::name).toList();
      throw new ParameterException(spec.commandLine(), Misspelt.command(name, names));
    }
    if (node == 0 && (port != null || nodes > 1)) {
      requireFree(port != null ? port : MEETING_PORT);
    }
  }

  private void require(boolean holds, String message) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }

  private static void requireFree(int port) {
    try (ServerSocket _ = new ServerSocket(port)) {
      return;
    } catch (IOException e) {
      throw new InputException(
          "--master-port: port %d cannot be listened at (%s): set another"
              .formatted(port, e.getMessage()),
          e);
    }
  }

  private static int freePort() {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new InputException("no free port: " + e.getMessage(), e);
    }
  }

  private Rank start(int local, int meetAt, LaunchFolder folder, int restarts) {
    int rank = node * processes + local;
    int cores = Runtime.getRuntime().availableProcessors();
    @Nullable String told = System.getenv("OMP_NUM_THREADS");
    String each =
        threads > 0
            ? "" + threads
            : told != null && !told.isBlank() ? told : "" + Math.max(1, cores / processes);
    List<String> options = new ArrayList<>(Relaunch.ownOptions());
    options.removeIf(option -> option.matches(OWN_OPTIONS));
    // The JVM takes the last of equal options: a third of the memory is for all processes.
    options.add("-XX:MaxRAMPercentage=" + Math.max(1, 33 / processes));
    options.add("-XX:ParallelGCThreads=" + Math.max(1, cores / processes));
    if (local == 0) {
      spec.commandLine()
          .getErr()
          .println(
              "starting %d %s of %s with %s %s each%s"
                  .formatted(
                      processes,
                      processes == 1 ? "process" : "processes",
                      command.getFirst(),
                      each,
                      each.equals("1") ? "thread" : "threads",
                      nodes > 1
                          ? "; they meet those of other machines at " + address + ":" + meetAt
                          : ""));
    }
    ProcessBuilder builder = Relaunch.read().process(options, command);
    Map<String, String> environment = builder.environment();
    environment.put(LAUNCHER, "" + ProcessHandle.current().pid());
    Screen.outputWidth().ifPresent(columns -> environment.put(Screen.COLUMNS, "" + columns));
    environment.put("RANK", "" + rank);
    environment.put("WORLD_SIZE", "" + processes * nodes);
    environment.put("LOCAL_RANK", "" + local);
    environment.put("LOCAL_WORLD_SIZE", "" + processes);
    environment.put("MASTER_ADDR", address);
    environment.put("MASTER_PORT", "" + meetAt);
    environment.put("OMP_NUM_THREADS", each);
    environment.put("TORCHELASTIC_RESTART_COUNT", "" + restarts);
    environment.put("TORCHELASTIC_MAX_RESTARTS", "" + maxRestarts);
    environment.put(LaunchFolder.VARIABLE, folder.path().toString());
    environment.put(
        "JNEOX_DISTRIBUTED_TIMEOUT_MINUTES", String.format(Locale.ROOT, "%.6f", timeoutMinutes));
    try {
      Files.deleteIfExists(folder.heartbeat(rank));
      Process process = builder.start();
      process.getOutputStream().close();
      return new Rank(rank, process);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Thread pump(Rank rank, InputStream from, PrintWriter to, String prefix, boolean errors) {
    return Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try (BufferedReader lines =
                  new BufferedReader(new InputStreamReader(from, StandardCharsets.UTF_8))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                  if (line.matches(NOISE)) {
                    continue;
                  }
                  if (errors && !line.isBlank()) {
                    printError(rank, to, prefix);
                    if (line.startsWith("jneox: ") && !line.startsWith("jneox: warning: ")) {
                      rank.lastError = line;
                      continue;
                    }
                  }
                  print(to, prefix + VisibleText.line(line));
                }
                if (errors && rank.process.waitFor() != PEER_FAILED) {
                  printError(rank, to, prefix);
                }
              } catch (IOException | InterruptedException e) {
                return; // the process was ended
              }
            });
  }

  /**
   * Prints the error that a rank has ended with, unless another one has printed the same. That of a
   * rank which only lost another one is kept for the case that nothing else is known.
   */
  private void printError(Rank rank, PrintWriter to, String prefix) {
    String line = rank.lastError;
    rank.lastError = null;
    if (line != null && failures.add(line)) {
      print(to, prefix + VisibleText.line(line));
    }
  }

  private static void print(PrintWriter to, String line) {
    synchronized (to) {
      to.println(line);
      to.flush();
    }
  }

  /** Passes a signal on to all processes; those of a terminal's group get it twice, at once. */
  private void forward(int number) {
    boolean again = signal != 0;
    signal = number;
    synchronized (ranks) {
      for (Rank rank : ranks) {
        if (!rank.process.isAlive()) {
          continue;
        }
        try {
          new ProcessBuilder("sh", "-c", "kill -" + number + " " + rank.process.pid())
              .inheritIO()
              .start();
        } catch (IOException e) {
          rank.process.destroy();
        }
        if (again && number == 15) {
          rank.process.destroyForcibly();
        }
      }
    }
  }

  /** Waits for all; after the first failure, or when one hangs, ends the others. */
  private Ending await(LaunchFolder folder) throws InterruptedException {
    List<Integer> numbers = ranks.stream().map(rank -> rank.rank).toList();
    HangWatch watch = new HangWatch(folder, numbers, timeoutMinutes * 60);
    List<Rank> failed = new ArrayList<>();
    long failedAt = 0;
    long looked = System.nanoTime();
    while (ranks.stream().anyMatch(rank -> !rank.ended)) {
      for (Rank rank : ranks) {
        if (!rank.ended && !rank.process.isAlive()) {
          rank.ended = true;
          rank.code = rank.process.exitValue();
          watch.ended(rank.rank);
          if (rank.code != 0) {
            failedAt = failed.isEmpty() ? System.nanoTime() : failedAt;
            failed.add(rank);
          }
        }
      }
      long now = System.nanoTime();
      if (failed.isEmpty() && now - looked >= LOOK_NANOS) {
        watch.look((now - looked) / 1e9).ifPresent(this::end);
        looked = now;
      }
      if (!failed.isEmpty()) {
        long since = now - failedAt;
        for (Rank rank : ranks) {
          if (!rank.ended && since > GRACE_NANOS + END_NANOS) {
            rank.process.destroyForcibly();
          } else if (!rank.ended && since > GRACE_NANOS) {
            rank.process.destroy();
          }
        }
      }
      Thread.sleep(POLL_MILLIS);
    }
    for (Rank rank : ranks) {
      for (Thread pump : rank.pumps) {
        pump.join(1000);
      }
    }
    return failed.isEmpty() ? new Ending(0, "", false) : ending(failed);
  }

  /** Ends the ranks that hang, so that the others hear of it. */
  private void end(HangWatch.Hang hang) {
    for (Rank rank : ranks) {
      if (hang.ranks().contains(rank.rank)) {
        rank.hung = hang.line();
        rank.process.destroyForcibly();
      }
    }
  }

  /** Describes the first failure that was none of another process. */
  private static Ending ending(List<Rank> failed) {
    Rank first =
        failed.stream()
            .filter(rank -> rank.hung != null)
            .findFirst()
            .or(() -> failed.stream().filter(rank -> rank.code != PEER_FAILED).findFirst())
            .orElse(failed.getFirst());
    boolean temporary =
        first.hung != null
            || first.code > 128
            || first.code == PEER_FAILED
            || first.code == MACHINE_FAILED;
    if (first.hung != null) {
      return new Ending(first.code, first.hung, temporary);
    }
    String how =
        first.code > 128
            ? "was ended by signal " + (first.code - 128)
            : "ended with exit code " + first.code;
    String last =
        failed.stream()
            .map(rank -> rank.lastError)
            .filter(Objects::nonNull)
            .findFirst()
            .map(
                line ->
                    first.code == PEER_FAILED
                        ? ": " + line.replaceFirst("^jneox: ", "")
                        : CHECKPOINT.matcher(line).replaceFirst("$1"))
            .filter(line -> line.startsWith(":") || line.startsWith(";"))
            .orElse("");
    return new Ending(first.code, "rank " + first.rank + " " + how + last, temporary);
  }
}
