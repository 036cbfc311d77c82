package dev.jneox.tensor;

import org.bytedeco.javacpp.Loader;
import org.bytedeco.pytorch.global.torch;

/**
 * Starts libtorch once per process: loads the native libraries and fixes the number of threads. Everything that touches a
 * tensor calls {@link #start()} first; it costs nothing after the first time.
 */
public final class Native {
  private static boolean started;

  private Native() {}

  /** Loads libtorch and sets one thread a core, or as many as {@code OMP_NUM_THREADS} says. */
  public static synchronized void start() {
    if (started) {
      return;
    }
    Loader.load(torch.class);
    torch.set_num_threads(threads());
    started = true;
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
