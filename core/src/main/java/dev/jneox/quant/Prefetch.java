package dev.jneox.quant;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Asks for memory before it is needed, with the one instruction that Java has no way to say. A kernel computes so much for each byte
 * that a CPU which looks some hundred instructions ahead sees few of its loads at a time: on a Zen 3, a thread that multiplied 4-bit
 * weights got 64 % of the bytes of one that only read, and gets 75 to 85 % of them like this. Loads ahead of time are no way to do it: they
 * hold up everything behind them until they are there.
 *
 * <p>The instruction is in a function of 20 bytes that is put into memory when this class is first used, on Linux on x86-64 alone; elsewhere,
 * and where a system allows no such memory, nothing is asked for and everything else is the same.
 */
final class Prefetch {
  /**
   * {@code void lines(char *p, long n) { char *end = p + n; do { prefetcht0(p); p += 64; } while (p < end); }} by the calling convention
   * of System V: p in rdi, n in rsi.
   */
  private static final byte[] CODE = {
    (byte) 0xF3, 0x0F, 0x1E, (byte) 0xFA, // endbr64
    0x48, 0x01, (byte) 0xFE, // add rsi, rdi
    0x0F, 0x18, 0x0F, // again: prefetcht0 [rdi]
    0x48, (byte) 0x83, (byte) 0xC7, 0x40, // add rdi, 64
    0x48, 0x39, (byte) 0xF7, // cmp rdi, rsi
    0x72, (byte) 0xF4, // jb again
    (byte) 0xC3, // ret
  };

  // Of <sys/mman.h> on Linux.
  private static final int PROT_READ = 1;
  private static final int PROT_WRITE = 2;
  private static final int PROT_EXEC = 4;
  private static final int MAP_PRIVATE = 2;
  private static final int MAP_ANONYMOUS = 0x20;
  private static final long PAGE = 4096;

  /** Null where there is none. */
  private static final MethodHandle LINES = lines();

  private Prefetch() {}

  /** Asks for the cache lines of {@code bytes} bytes, one or more, from an address on; it need not be of memory that is there. */
  static void lines(long address, long bytes) {
    if (LINES == null) {
      return;
    }
    try {
      LINES.invokeExact(address, bytes);
    } catch (Throwable t) {
      throw new IllegalStateException(t); // a call of native code throws nothing
    }
  }

  private static MethodHandle lines() {
    if (!System.getProperty("os.name").equals("Linux") || !System.getProperty("os.arch").equals("amd64")) {
      return null;
    }
    Linker linker = Linker.nativeLinker();
    MethodHandle map =
        function(
            linker, "mmap", ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG);
    MethodHandle protect =
        function(linker, "mprotect", ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT);
    try {
      // Written first and executable then, never both at once: systems that mind, mind that.
      long page = (long) map.invokeExact(0L, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
      if (page == -1) {
        return null;
      }
      MemorySegment code = MemorySegment.ofAddress(page).reinterpret(PAGE);
      MemorySegment.copy(CODE, 0, code, ValueLayout.JAVA_BYTE, 0, CODE.length);
      if ((int) protect.invokeExact(page, PAGE, PROT_READ | PROT_EXEC) != 0) {
        return null;
      }
      return linker.downcallHandle(
          code, FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG), Linker.Option.critical(false));
    } catch (Throwable t) {
      return null;
    }
  }

  private static MethodHandle function(Linker linker, String name, ValueLayout result, ValueLayout... parameters) {
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, parameters));
  }
}
