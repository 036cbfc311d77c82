package dev.jneox.cli;

import dev.jneox.io.VisibleText;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Tells after a crash of the JVM what the user can do about it. The JVM starts this as a process of
 * its own with the path of its report. Where a mapped file was cut short while machine code read
 * it, no code of the process itself can.
 */
final class AfterCrash {
  private static final Pattern ADDRESS = Pattern.compile("si_addr: 0x([0-9a-f]{1,16})");
  private static final Pattern MAPPING =
      Pattern.compile("([0-9a-f]{1,16})-([0-9a-f]{1,16}) r\\S+ \\S+ \\S+ \\d+ +(/.+)");

  private AfterCrash() {}

  /** Prints one line about the report that {@code args[0]} names. */
  public static void main(String[] args) {
    Path report = Path.of(args[0]);
    System.out.println("jneox: " + message(report));
  }

  /** Returns one line: the file that was cut short, or where the report is. */
  static String message(Path report) {
    Optional<String> file = Optional.empty();
    try (Stream<String> lines = Files.lines(report, StandardCharsets.ISO_8859_1)) {
      file = cutShort(lines);
    } catch (IOException | RuntimeException e) {
      // said below: there may be no report, or only the beginning of one
    }
    return VisibleText.line(
        file.map(
                name ->
                    name
                        + ": was cut short while it was in use, and the system ended the process"
                        + " that read it: start again, and replace a file by renaming a new one,"
                        + " never in place")
            .orElse("the JVM crashed; its report is in " + report));
  }

  /** Finds the file whose mapping has the address of a SIGBUS; in UTF-8. */
  private static Optional<String> cutShort(Stream<String> lines) {
    long address = 0;
    boolean bus = false;
    for (String line : (Iterable<String>) lines::iterator) {
      if (line.startsWith("siginfo:") && line.contains("SIGBUS")) {
        Matcher at = ADDRESS.matcher(line);
        bus = at.find();
        address = bus ? Long.parseUnsignedLong(at.group(1), 16) : 0;
      }
      Matcher mapping = bus ? MAPPING.matcher(line) : null;
      if (mapping != null
          && mapping.matches()
          && Long.compareUnsigned(Long.parseUnsignedLong(mapping.group(1), 16), address) <= 0
          && Long.compareUnsigned(address, Long.parseUnsignedLong(mapping.group(2), 16)) < 0) {
        byte[] name = mapping.group(3).getBytes(StandardCharsets.ISO_8859_1);
        return Optional.of(new String(name, StandardCharsets.UTF_8));
      }
    }
    return Optional.empty();
  }
}
