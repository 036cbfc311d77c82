package dev.jneox;

import dev.jneox.hub.HubSettings;
import dev.jneox.infer.Precision;
import dev.jneox.io.InputException;
import dev.jneox.kernel.Cpu;
import java.util.Objects;
import java.util.Optional;

/**
 * Says how {@link Jneox} opens a model and what it may use. Starts with {@link #defaults}.
 *
 * @param dtype what the weights are multiplied in
 * @param threads threads that compute
 * @param sessions most requests that run at a time; others wait
 * @param kvBytes bound on the memory for keys and values, in bytes
 * @param listener hears of downloads, of loading, and of warnings
 * @param hub where models come from by name; empty for what the environment says ({@code HF_HOME}
 *     and its like)
 */
public record Options(
    Precision dtype,
    int threads,
    int sessions,
    long kvBytes,
    Listener listener,
    Optional<HubSettings> hub) {
  private static final int MAX_THREADS = 1 << 12;
  private static final int MAX_SESSIONS = 1 << 16;

  /** Hears what a program may want to show; maybe on several threads at once. */
  public interface Listener {
    /** Shows nothing. */
    Listener NONE = new Listener() {};

    /**
     * Called as a download goes on.
     *
     * @param totalBytes below zero while unknown
     */
    default void downloaded(String model, long bytes, long totalBytes) {}

    /**
     * Called as a model is opened, with each parameter that is mapped or packed for the kernels.
     *
     * @param values numbers of parameters that are ready
     * @param totalValues of the whole model; those of a tied head count twice
     */
    default void loaded(long values, long totalValues) {}

    /** Called with one line for a person, such as of a download that is tried again. */
    default void warning(String line) {}
  }

  /**
   * @throws InputException that names the option which is out of range
   */
  public Options {
    Objects.requireNonNull(dtype, "dtype");
    Objects.requireNonNull(listener, "listener");
    Objects.requireNonNull(hub, "hub");
    check("threads", threads, MAX_THREADS);
    check("sessions", sessions, MAX_SESSIONS);
    check("memory for keys and values, in bytes", kvBytes, Long.MAX_VALUE);
  }

  private static void check(String name, long value, long most) {
    if (value < 1 || value > most) {
      String expected = most == Long.MAX_VALUE ? "1 or more" : "1 to " + most;
      throw new InputException(name + ": expected " + expected + ", found " + value);
    }
  }

  /**
   * Makes options for weights as stored, all cores, 8 requests at a time, and half of the Java heap
   * for keys and values.
   */
  public static Options defaults() {
    return new Options(
        Precision.STORED,
        Cpu.threads(),
        8,
        Runtime.getRuntime().maxMemory() / 2,
        Listener.NONE,
        Optional.empty());
  }

  /** Returns a copy with weights of another type in memory. */
  public Options withDtype(Precision value) {
    return new Options(value, threads, sessions, kvBytes, listener, hub);
  }

  /** Returns a copy with another number of threads that compute. */
  public Options withThreads(int value) {
    return new Options(dtype, value, sessions, kvBytes, listener, hub);
  }

  /** Returns a copy with another bound on sequences that run at a time. */
  public Options withSessions(int value) {
    return new Options(dtype, threads, value, kvBytes, listener, hub);
  }

  /** Returns a copy with another bound on the memory for keys and values. */
  public Options withKvBytes(long value) {
    return new Options(dtype, threads, sessions, value, listener, hub);
  }

  /** Returns a copy whose progress of loading another listener is told. */
  public Options withListener(Listener value) {
    return new Options(dtype, threads, sessions, kvBytes, value, hub);
  }

  /** Returns a copy with other settings of the hub. */
  public Options withHub(HubSettings value) {
    return new Options(dtype, threads, sessions, kvBytes, listener, Optional.of(value));
  }
}
