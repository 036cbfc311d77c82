package dev.jneox.kernel;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/**
 * A function made of instructions at run time, for what Java has no words for. There are some on
 * Linux on x86-64, where the CPU has AVX2 and FMA and the system allows memory with code in it;
 * elsewhere Java does their work, see {@link Kernels}.
 *
 * <p>It is called by the convention of System V: arguments in RDI, RSI, RDX, RCX and R8; RAX, R9 to
 * R11 and all vectors are free for it. The JVM waits for it when it collects garbage, so it takes
 * microseconds. All have the same arguments, and so have the functions of the system that are
 * needed here, because the JVM takes ten milliseconds for each kind of function to learn how it is
 * called.
 *
 * @param address where it is
 */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
record MachineCode(MemorySegment address) {
  // Of <sys/mman.h> on Linux.
  private static final int PROT_READ = 1;
  private static final int PROT_WRITE = 2;
  private static final int PROT_EXEC = 4;
  private static final int MAP_PRIVATE = 2;
  private static final int MAP_ANONYMOUS = 0x20;
  private static final long PAGE = 4096;

  private static final Linker LINKER = Linker.nativeLinker();

  /** Calls the function at an address with six longs. */
  private static final MethodHandle CALL = call(ValueLayout.JAVA_LONG, false);

  /** Whether this machine and system can run our machine code. */
  static final boolean PRESENT = present();

  private static boolean present() {
    if (!Cpu.isLinuxX64() || !Cpu.flags().containsAll(List.of("avx2", "fma"))) {
      return false;
    }
    try {
      of(nothing -> {});
      return true;
    } catch (IllegalStateException e) {
      return false; // a system that allows no memory with code in it
    }
  }

  private static MethodHandle call(ValueLayout first, boolean array) {
    ValueLayout[] types = new ValueLayout[6];
    Arrays.fill(types, ValueLayout.JAVA_LONG);
    types[0] = first;
    return LINKER.downcallHandle(
        FunctionDescriptor.of(ValueLayout.JAVA_LONG, types), Linker.Option.critical(array));
  }

  /** The same with an array in the place of the first long; linked when it is first needed. */
  private static final class OnArray {
    static final MethodHandle CALL = call(ValueLayout.ADDRESS, true);
  }

  /**
   * Puts instructions where they can be called, with what begins and ends every function.
   *
   * @throws IllegalStateException where the system does not allow it
   */
  static MachineCode of(Consumer<Assembler> body) {
    Assembler assembler = new Assembler();
    assembler.endbr64();
    body.accept(assembler);
    assembler.vzeroupper();
    assembler.ret();
    byte[] code = assembler.code();
    long bytes = (code.length + PAGE - 1) / PAGE * PAGE;
    // Written first, then made executable: hardened systems refuse pages that are both.
    long address =
        system("mmap", 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == -1) {
      throw new IllegalStateException("no memory for machine code");
    }
    MemorySegment memory = MemorySegment.ofAddress(address).reinterpret(bytes);
    MemorySegment.copy(code, 0, memory, ValueLayout.JAVA_BYTE, 0, code.length);
    if ((int) system("mprotect", address, bytes, PROT_READ | PROT_EXEC, 0, 0, 0) != 0) {
      throw new IllegalStateException("no memory may hold machine code");
    }
    return new MachineCode(memory);
  }

  /** Finds a function of the C library. An int argument is passed as the low half of a long. */
  private static long system(String name, long a, long b, long c, long d, long e, long f) {
    try {
      return (long) CALL.invokeExact(LINKER.defaultLookup().findOrThrow(name), a, b, c, d, e, f);
    } catch (Throwable t) {
      throw failed(t);
    }
  }

  /** Calls it; it ignores the arguments that it does not have. */
  void call(long a, long b, long c, long d, long e) {
    try {
      long nothing = (long) CALL.invokeExact(address, a, b, c, d, e, 0L);
    } catch (Throwable t) {
      throw failed(t);
    }
  }

  /** Calls it with the address of an array as the first argument. */
  void call(float[] array, long b, long c) {
    try {
      long nothing =
          (long) OnArray.CALL.invokeExact(address, MemorySegment.ofArray(array), b, c, 0L, 0L, 0L);
    } catch (Throwable t) {
      throw failed(t);
    }
  }

  private static IllegalStateException failed(Throwable t) {
    return new IllegalStateException(t); // a call of native code throws nothing
  }
}
