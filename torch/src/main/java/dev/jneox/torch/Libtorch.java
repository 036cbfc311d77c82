package dev.jneox.torch;

import dev.jneox.io.MemoryException;
import dev.jneox.io.NativeLibraries;
import dev.jneox.kernel.Cpu;
import java.util.Objects;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Starts libtorch once per process: loads the native libraries and fixes the number of threads.
 * Everything that touches a tensor calls {@link #start()} first; it costs nothing after the first
 * time.
 */
public final class Libtorch {
  private static final Pattern NO_MEMORY =
      Pattern.compile("out of memory|can't allocate memory|not enough memory");

  private static @Nullable NativeLibraries libraries;

  private Libtorch() {}

  /**
   * Loads libtorch and sets one thread a core, or as many as {@code OMP_NUM_THREADS} says.
   *
   * <p>JavaCPP itself loads nothing from then on: left alone, it looks for libraries in folders
   * that others may write, and two processes unpack into one folder at once. An application with
   * more libraries of JavaCPP loads those first.
   *
   * @throws dev.jneox.io.InputException when the libraries cannot be unpacked or loaded
   */
  public static synchronized void start() {
    if (libraries == null) {
      start(NativeLibraries.unpacked(BundledLibraries.name(), BundledLibraries::list));
    }
  }

  /**
   * Like {@link #start()}, and first compares the content of every library with the jars; a damaged
   * one is unpacked again.
   */
  public static synchronized void startVerified() {
    if (libraries == null) {
      start(NativeLibraries.verified(BundledLibraries.name(), BundledLibraries::list));
    }
  }

  private static void start(NativeLibraries unpacked) {
    System.setProperty(BundledLibraries.LOADING, "false");
    unpacked.load();
    torch.set_num_threads(Cpu.threads());
    libraries = unpacked;
  }

  /**
   * Makes a {@link MemoryException} of a failure of libtorch where memory ran out, on the CPU or a
   * device; returns any other failure as it is.
   */
  public static RuntimeException explained(RuntimeException failure) {
    String message = failure.getMessage() == null ? "" : failure.getMessage();
    return message
        .lines()
        .filter(line -> NO_MEMORY.matcher(line).find())
        .findFirst()
        .<RuntimeException>map(line -> new MemoryException("libtorch: " + line, failure))
        .orElse(failure);
  }

  /** The libraries in the order of loading. */
  public static synchronized NativeLibraries libraries() {
    start();
    return Objects.requireNonNull(libraries);
  }
}
