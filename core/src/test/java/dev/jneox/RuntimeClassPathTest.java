package dev.jneox;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Holds the size of what a program that uses core, and nothing else, gets on its class path. */
class RuntimeClassPathTest {
  private static final long MAX_BYTES = 8_000_000;

  /** Written by the build before the tests are compiled; not there where only an IDE has built. */
  private static final Path LIST = Path.of("target", "runtime-class-path.txt");

  @Test
  void dependenciesAndClassesAreAtMost8Megabytes() throws IOException {
    List<Path> jars =
        Stream.of(Files.readString(LIST).strip().split(File.pathSeparator)).map(Path::of).toList();
    assertThat(jars)
        .extracting(jar -> jar.getFileName().toString())
        .anyMatch(name -> name.startsWith("jackson-databind"));
    long bytes = 0;
    for (Path jar : jars) {
      bytes += Files.size(jar);
    }
    // Uncompressed, so more than the jar of them.
    try (Stream<Path> classes = Files.walk(Path.of("target", "classes"))) {
      bytes += classes.mapToLong(path -> path.toFile().isFile() ? path.toFile().length() : 0).sum();
    }
    assertThat(bytes).as("bytes of core and of %s", jars).isLessThanOrEqualTo(MAX_BYTES);
  }
}
