package dev.jneox.io;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;

/** Sets whether the C library keeps large freed blocks or returns them to the system. */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public final class FreedMemory {
  // Parameters of glibc's malloc.h. 32 MB is the largest threshold that it accepts: blocks of that
  // size and above are mapped separately.
  private static final int M_TRIM_THRESHOLD = -1;
  private static final int M_MMAP_THRESHOLD = -3;
  private static final int LARGE_BLOCK = 32 << 20;

  private FreedMemory() {}

  /**
   * Returns large freed blocks to the system from now on. The launcher makes the C library keep
   * them, because training allocates the same sizes again and again. A command that reads a model
   * once would only grow its resident set. Does nothing where the C library has no {@code mallopt}.
   */
  public static void returnToSystem() {
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
                throw new AssertionError(e); // a downcall throws no exception
              }
            });
  }
}
