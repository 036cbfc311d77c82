package dev.jneox.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;

/**
 * Runs a command and then prints the shared libraries that the process has mapped, one a line after
 * {@link #MARK}; for tests that start it in a process of its own.
 */
final class MappedLibraries {
  static final String MARK = "mapped library: ";

  private MappedLibraries() {}

  public static void main(String[] args) throws IOException {
    int exit = Main.run(args);
    Set<String> libraries = new TreeSet<>();
    try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
      lines
          .filter(line -> line.matches(".*/.*\\.so(\\.[0-9.]+)?( \\(deleted\\))?"))
          .forEach(line -> libraries.add(line.substring(line.indexOf('/'))));
    }
    libraries.forEach(library -> System.out.println(MARK + library));
    System.out.flush();
    System.exit(exit);
  }
}
