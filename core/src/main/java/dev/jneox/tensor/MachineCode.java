package dev.jneox.tensor;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.List;

/**
 * Functions made of instructions at run time, for what Java has no words for. On Linux on x86-64, where the CPU has AVX2 and FMA and the
 * system allows memory with code in it; elsewhere there are none, and Java does their work.
 */
public final class MachineCode {
  // Of <sys/mman.h> on Linux.
  private static final int PROT_READ = 1;
  private static final int PROT_WRITE = 2;
  private static final int PROT_EXEC = 4;
  private static final int MAP_PRIVATE = 2;
  private static final int MAP_ANONYMOUS = 0x20;
  private static final long PAGE = 4096;

  /** Whether there is any. */
  public static final boolean PRESENT = present();

  private MachineCode() {}

  private static boolean present() {
    if (!Cpu.isLinuxX64() || !Cpu.flags().containsAll(List.of("avx2", "fma"))) {
      return false;
    }
    Assembler nothing = new Assembler();
    nothing.ret();
    try {
      function(nothing, 0);
      return true;
    } catch (IllegalStateException e) {
      return false; // a system that allows no memory with code in it
    }
  }

  /**
   * A function of {@code arguments} longs that returns nothing, by the calling convention of System V: arguments in RDI, RSI, RDX, RCX, R8;
   * RAX, R8 to R11 and all vectors are free for it. The JVM waits for it when it collects garbage, so it takes microseconds.
   *
   * @throws IllegalStateException where it cannot be had
   */
  public static MethodHandle function(Assembler assembler, int arguments) {
    return function(assembler, arguments, false);
  }

  /** The same of a segment, which may be of an array, and then of longs: the address of the segment is in RDI. */
  public static MethodHandle functionOfArray(Assembler assembler, int arguments) {
    return function(assembler, 1 + arguments, true);
  }

  private static MethodHandle function(Assembler assembler, int arguments, boolean array) {
    byte[] code = assembler.code();
    Linker linker = Linker.nativeLinker();
    try {
      MethodHandle map =
          libc(
              linker, "mmap", ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG);
      MethodHandle protect =
          libc(linker, "mprotect", ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT);
      // Written first and executable then, never both at once: systems that mind, mind that.
      long bytes = (code.length + PAGE - 1) / PAGE * PAGE;
      long address = (long) map.invokeExact(0L, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
      if (address == -1) {
        throw new IllegalStateException("no memory for machine code");
      }
      MemorySegment memory = MemorySegment.ofAddress(address).reinterpret(bytes);
      MemorySegment.copy(code, 0, memory, ValueLayout.JAVA_BYTE, 0, code.length);
      if ((int) protect.invokeExact(address, bytes, PROT_READ | PROT_EXEC) != 0) {
        throw new IllegalStateException("no memory may hold machine code");
      }
      ValueLayout[] types = new ValueLayout[arguments];
      Arrays.fill(types, ValueLayout.JAVA_LONG);
      if (array) {
        types[0] = ValueLayout.ADDRESS;
      }
      return linker.downcallHandle(memory, FunctionDescriptor.ofVoid(types), Linker.Option.critical(array));
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable t) {
      throw new IllegalStateException(t); // a call of native code throws nothing
    }
  }

  private static MethodHandle libc(Linker linker, String name, ValueLayout result, ValueLayout... parameters) {
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, parameters));
  }
}
