package dev.jneox.dist;

import dev.jneox.io.Heartbeat;
import dev.jneox.io.InputException;
import dev.jneox.io.LaunchFolder;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Tells the launcher that started this process what the process does, and the process what it
 * should know of its launch. Without a launcher that watches it tells nobody.
 */
public final class Supervision implements AutoCloseable {
  /** The environment variable with the minutes after which a silent rank is given up. */
  public static final String TIMEOUT = "JNEOX_DISTRIBUTED_TIMEOUT_MINUTES";

  /** The environment variable with the number of restarts, as torchrun sets it. */
  public static final String RESTARTS = "TORCHELASTIC_RESTART_COUNT";

  /** No launcher, and the timeout of PyTorch's Gloo. */
  public static final Supervision NONE =
      new Supervision(Optional.empty(), null, 0, Duration.ofMinutes(30));

  private static final double MOST_MINUTES = 10_000;

  private final Optional<LaunchFolder> folder;
  private final @Nullable Heartbeat heartbeat;
  private final int restarts;
  private final Duration timeout;

  private Supervision(
      Optional<LaunchFolder> folder,
      @Nullable Heartbeat heartbeat,
      int restarts,
      Duration timeout) {
    this.folder = folder;
    this.heartbeat = heartbeat;
    this.restarts = restarts;
    this.timeout = timeout;
  }

  /**
   * Reads the environment of a process and begins to tell the launcher that it is alive.
   *
   * @throws InputException when a variable is not as it should be
   */
  public static Supervision of(Map<String, String> environment, World world) {
    Optional<LaunchFolder> folder = LaunchFolder.of(environment);
    String count = environment.getOrDefault(RESTARTS, "0");
    if (!count.matches("\\d{1,9}")) {
      throw new InputException(RESTARTS + ": expected a whole number from 0, found " + count);
    }
    return new Supervision(
        folder,
        folder.map(at -> new Heartbeat(at.heartbeat(world.rank()))).orElse(null),
        Integer.parseInt(count),
        timeout(environment));
  }

  private static Duration timeout(Map<String, String> environment) {
    String text = environment.getOrDefault(TIMEOUT, "");
    if (text.isBlank()) {
      return NONE.timeout;
    }
    double minutes = text.matches("\\d{1,6}(\\.\\d{1,6})?") ? Double.parseDouble(text) : 0;
    if (minutes <= 0 || minutes > MOST_MINUTES) {
      throw new InputException(TIMEOUT + ": expected minutes above 0 up to 10,000, found " + text);
    }
    return Duration.ofMillis((long) (minutes * 60_000));
  }

  /** Returns the folder of the launch; empty without a launcher that watches. */
  public Optional<LaunchFolder> folder() {
    return folder;
  }

  /** Returns how often the run was restarted since its launch. */
  public int restarts() {
    return restarts;
  }

  /**
   * Returns after how long without an answer an operation of a group fails. Where a launcher
   * watches, it finds a rank that hangs: the first rank may then take longer than the timeout to
   * make ready what the others wait for.
   */
  Duration groupTimeout() {
    Duration twice = timeout.multipliedBy(2);
    Duration watched = twice.compareTo(NONE.timeout) > 0 ? twice : NONE.timeout;
    return folder.isPresent() ? watched : timeout;
  }

  /** Returns how long the processes wait for each other at the start. */
  Duration patience() {
    Duration first = Duration.ofSeconds(30);
    Duration half = timeout.dividedBy(2);
    // Another machine may find out only by its own timeout that a rank is gone.
    return restarts > 0 && half.compareTo(first) > 0 ? half : first;
  }

  /** Tells that the training begins, whose progress is watched from now on. */
  public void begin() {
    if (heartbeat != null) {
      heartbeat.begin();
    }
  }

  /** Tells that a piece of work is finished. */
  public void progress() {
    if (heartbeat != null) {
      heartbeat.progress();
    }
  }

  /** Tells the step of the newest checkpoint. */
  public void saved(long step) {
    if (heartbeat != null) {
      heartbeat.saved(step);
    }
  }

  /** Tells what the process waits for; an empty text when it works again. */
  void waiting(String what) {
    if (heartbeat != null) {
      heartbeat.waiting(what);
    }
  }

  @Override
  public void close() {
    if (heartbeat != null) {
      heartbeat.close();
    }
  }
}
