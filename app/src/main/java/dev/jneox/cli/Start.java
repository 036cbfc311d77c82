package dev.jneox.cli;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * Where the process begins: sees to it that the JVM is one of {@code launch.conf}'s, then hands
 * over to {@link Main}.
 */
@SuppressWarnings("restricted") // calls native code, which the launcher allows
public final class Start {
  /** The launcher's promise that this file descriptor is the real standard error. */
  private static final String STANDARD_ERROR = "jneox.stderr";

  private Start() {}

  public static void main(String[] args) {
    restoreStandardError();
    Relaunch relaunch = Relaunch.read();
    if (relaunch.isNeeded()) {
      System.exit(relaunch.run(args));
    }
    try {
      StandardOutput.install();
      System.exit(Main.run(args));
    } catch (NoClassDefFoundError e) {
      System.err.println("jneox: " + missing(e).orElseThrow(() -> e));
      System.exit(1);
    }
  }

  /**
   * Begins a process that has a class path and flags of its own, for one command.
   *
   * @param command a class with picocli's annotation {@code Command}
   * @param args the command's name and what follows
   */
  public static void alone(Class<?> command, String... args) {
    StandardOutput.install();
    System.exit(Main.runAlone(command, args));
  }

  /**
   * Says in one line which class is missing and what to do; empty for an error in a class that is
   * there.
   */
  static Optional<String> missing(NoClassDefFoundError error) {
    String type = String.valueOf(error.getMessage()).replace('/', '.');
    boolean absent = error.getCause() == null || error.getCause() instanceof ClassNotFoundException;
    return absent && type.matches("[\\w.$]+")
        ? Optional.of(
            "the class path has no class "
                + type
                + ": the jar that holds it is missing or damaged; build or unpack JNeoX again")
        : Optional.empty();
  }

  /**
   * The JVM writes "WARNING: Using incubator modules" to standard error at every start and has no
   * option against it. So the launcher starts it with a pipe for standard error, which leaves out
   * that line, and the real one beside it, and here, before anything else, that is put back. This
   * class and {@link Relaunch} use nothing but the JDK, so that whatever else is missing can be
   * told.
   */
  private static void restoreStandardError() {
    Integer real = Integer.getInteger(STANDARD_ERROR);
    if (real == null) {
      return;
    }
    Linker linker = Linker.nativeLinker();
    FunctionDescriptor type =
        FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
    try {
      int result =
          (int)
              linker
                  .downcallHandle(linker.defaultLookup().findOrThrow("dup2"), type)
                  .invokeExact((int) real, 2);
      if (result != 2) {
        throw new IllegalStateException("dup2(" + real + ", 2) failed");
      }
    } catch (Throwable t) {
      System.out.println("jneox: standard error cannot be restored: " + t);
      System.exit(1);
    }
  }
}
