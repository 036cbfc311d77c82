package dev.jneox.io;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/**
 * The memory behind a mapped file. Pages of the file that were touched count as this process's
 * memory until something else needs them; who reads a file larger than memory gives them back as he
 * goes, so that he never looks (nor, under a limit, is) too large. Both methods are advice to the
 * system by POSIX's {@code madvise}; where there is none they do nothing.
 */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public final class MappedMemory {
  // The values of Linux, macOS and the BSDs.
  private static final int MADV_WILLNEED = 3;
  private static final int MADV_DONTNEED = 4;

  /** The largest page of any system: advice is about whole ones. */
  private static final long PAGE = 1 << 16;

  private static final @Nullable MethodHandle MADVISE = find();

  private MappedMemory() {}

  private static @Nullable MethodHandle find() {
    Linker linker = Linker.nativeLinker();
    return linker
        .defaultLookup()
        .find("madvise")
        .map(
            address ->
                linker.downcallHandle(
                    address,
                    FunctionDescriptor.of(
                        ValueLayout.JAVA_INT,
                        ValueLayout.ADDRESS,
                        ValueLayout.JAVA_LONG,
                        ValueLayout.JAVA_INT)))
        .orElse(null);
  }

  /**
   * Gives back the pages of a segment; what is touched again is read again, from the system's cache
   * while it is there.
   *
   * @param mapped read-only memory of a mapped file, whole or a part
   */
  public static void release(MemorySegment mapped) {
    if (!mapped.isMapped() || !mapped.isReadOnly()) {
      throw new IllegalArgumentException("only a file mapped for reading can be given back");
    }
    advise(mapped, MADV_DONTNEED);
  }

  /**
   * Starts to read a segment from disk, in pieces far larger than single page faults would ask for.
   */
  public static void fetch(MemorySegment mapped) {
    advise(mapped, MADV_WILLNEED);
  }

  private static void advise(MemorySegment mapped, int advice) {
    // Rounded up: what lies before the segment may be no part of the mapping, and giving that back
    // would lose it.
    long begin = mapped.address() + PAGE - 1 & -PAGE;
    long size = mapped.address() + mapped.byteSize() - begin;
    if (MADVISE == null || size <= 0) {
      return;
    }
    try {
      int ignored = (int) MADVISE.invokeExact(MemorySegment.ofAddress(begin), size, advice);
    } catch (Throwable e) {
      throw new AssertionError(e); // a downcall throws nothing
    }
  }
}
