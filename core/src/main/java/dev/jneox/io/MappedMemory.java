package dev.jneox.io;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/**
 * Controls which pages of a mapped file are resident. Pages that were read count as this process's
 * memory until the system needs them for something else. A reader of a file larger than memory
 * releases them as it goes, so that it stays small and within the limit of its control group. Both
 * methods are advice to the system by POSIX's {@code madvise}; where that is missing they do
 * nothing.
 */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public final class MappedMemory {
  // The values of Linux, macOS and the BSDs.
  private static final int MADV_WILLNEED = 3;
  private static final int MADV_DONTNEED = 4;

  /** The largest page size of any system, because {@code madvise} takes whole pages. */
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
   * Releases the resident pages of a segment. A later read loads them again, from the page cache if
   * they are still there.
   *
   * @param mapped read-only memory of a mapped file, whole or a part
   */
  public static void release(MemorySegment mapped) {
    if (!mapped.isMapped() || !mapped.isReadOnly()) {
      throw new IllegalArgumentException("only a file mapped for reading can be given back");
    }
    advise(mapped, MADV_DONTNEED);
  }

  /** Starts to read a segment from disk, in larger reads than page faults would make. */
  public static void fetch(MemorySegment mapped) {
    advise(mapped, MADV_WILLNEED);
  }

  private static void advise(MemorySegment mapped, int advice) {
    // Rounded up: memory before the segment may not belong to the mapping, and releasing it would
    // lose its content.
    long begin = mapped.address() + PAGE - 1 & -PAGE;
    long size = mapped.address() + mapped.byteSize() - begin;
    if (MADVISE == null || size <= 0) {
      return;
    }
    try {
      int ignored = (int) MADVISE.invokeExact(MemorySegment.ofAddress(begin), size, advice);
    } catch (Throwable e) {
      throw new AssertionError(e); // a downcall throws no exception
    }
  }
}
