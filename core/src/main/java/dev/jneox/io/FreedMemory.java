package dev.jneox.io;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;

/** Decides what the C library does with large blocks of freed memory. */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public final class FreedMemory {
  // Of glibc's malloc.h; blocks from this size on are mapped on their own, which is also the most
  // that it allows.
  private static final int M_TRIM_THRESHOLD = -1;
  private static final int M_MMAP_THRESHOLD = -3;
  private static final int LARGE_BLOCK = 32 << 20;

  private FreedMemory() {}

  /**
   * Gives large blocks back to the system from now on. The launcher has them kept, because training
   * asks for the same sizes again and again; a command that reads a model once would only have a
   * larger resident set. Where the C library has no {@code mallopt} nothing changes.
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
                throw new AssertionError(e); // a downcall throws nothing
              }
            });
  }
}
