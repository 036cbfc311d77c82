package dev.jneox.cli;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.util.OptionalInt;

/**
 * Asks the C library about the terminal behind a standard stream. {@code Console.isTerminal} asks
 * about input and output together, which says nothing of one of them ({@code 2>log}, {@code
 * >result.json}).
 */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public final class Screen {
  /** The variable that tells a process the width of its launcher's terminal. */
  static final String COLUMNS = "JNEOX_COLUMNS";

  private static final int OUTPUT = 1;
  private static final int ERROR = 2;

  /** The request for the size of a window, of Linux and of macOS. */
  private static final long SIZE =
      System.getProperty("os.name").startsWith("Mac") ? 0x40087468L : 0x5413L;

  private Screen() {}

  /** Whether standard error is a screen that a bar can move on. */
  static boolean isError() {
    String term = System.getenv("TERM");
    return System.getenv("CI") == null && term != null && !term.equals("dumb") && isTerminal(ERROR);
  }

  /**
   * The columns of the terminal that standard output is, or that {@code launch} passes lines on to;
   * empty where it is none.
   */
  public static OptionalInt outputWidth() {
    if (isTerminal(OUTPUT)) {
      return width(OUTPUT);
    }
    String passed = System.getenv().getOrDefault(COLUMNS, "");
    return passed.matches("[1-9]\\d{0,4}")
        ? OptionalInt.of(Integer.parseInt(passed))
        : OptionalInt.empty();
  }

  private static boolean isTerminal(int descriptor) {
    Linker linker = Linker.nativeLinker();
    SymbolLookup library = linker.defaultLookup();
    FunctionDescriptor type = FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
    try {
      return library.find("isatty").isPresent()
          && (int)
                  linker.downcallHandle(library.findOrThrow("isatty"), type).invokeExact(descriptor)
              == 1;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private static OptionalInt width(int descriptor) {
    Linker linker = Linker.nativeLinker();
    SymbolLookup library = linker.defaultLookup();
    if (library.find("ioctl").isEmpty()) {
      return OptionalInt.empty();
    }
    FunctionDescriptor type =
        FunctionDescriptor.of(
            ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment size = arena.allocate(ValueLayout.JAVA_SHORT, 4); // rows, columns, pixels
      int result =
          (int)
              linker
                  .downcallHandle(
                      library.findOrThrow("ioctl"), type, Linker.Option.firstVariadicArg(2))
                  .invokeExact(descriptor, SIZE, size);
      int columns = size.getAtIndex(ValueLayout.JAVA_SHORT, 1);
      return result == 0 && columns > 0 ? OptionalInt.of(columns) : OptionalInt.empty();
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
