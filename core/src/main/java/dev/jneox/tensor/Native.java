package dev.jneox.tensor;

import dev.jneox.io.NativeLibraries;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import org.bytedeco.pytorch.global.torch;

/**
 * Starts libtorch once per process: loads the native libraries and fixes the number of threads.
 * Everything that touches a tensor calls {@link #start()} first; it costs nothing after the first
 * time.
 */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public final class Native {
  // Of glibc's malloc.h; blocks from this size on are mapped on their own, which is also the most
  // that it allows.
  private static final int M_TRIM_THRESHOLD = -1;
  private static final int M_MMAP_THRESHOLD = -3;
  private static final int LARGE_BLOCK = 32 << 20;

  private static NativeLibraries libraries;

  private Native() {}

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
    torch.set_num_threads(threads());
    libraries = unpacked;
  }

  /** The libraries in the order of loading. */
  public static synchronized NativeLibraries libraries() {
    start();
    return libraries;
  }

  /**
   * From now on large blocks of freed memory go back to the system. The launcher has them kept,
   * because who computes asks for the same sizes again and again; who goes through a model once
   * would only look larger than he is. Where the C library knows no {@code mallopt} nothing
   * changes.
   */
  public static void returnFreedMemory() {
    Linker linker = Linker.nativeLinker();
    FunctionDescriptor type =
        FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
    linker
        .defaultLookup()
        .find("mallopt")
        .map(address -> linker.downcallHandle(address, type))
        .ifPresent(
            mallopt -> {
              try {
                int mapped = (int) mallopt.invokeExact(M_MMAP_THRESHOLD, LARGE_BLOCK);
                int trimmed = (int) mallopt.invokeExact(M_TRIM_THRESHOLD, LARGE_BLOCK);
              } catch (Throwable e) {
                throw new AssertionError(e); // a downcall throws nothing
              }
            });
  }

  /** Threads that compute: {@code OMP_NUM_THREADS}, else the cores the JVM may use. */
  public static int threads() {
    String omp = System.getenv("OMP_NUM_THREADS");
    if (omp != null && omp.matches("[1-9][0-9]{0,3}")) {
      return Integer.parseInt(omp);
    }
    return Runtime.getRuntime().availableProcessors();
  }
}
