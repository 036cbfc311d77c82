package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Compares the modules of the JDK that an image has with those that the classes of the program and
 * of its jars refer to.
 */
@Tag("slow")
class ImageModulesTest {
  /** Of Jackson alone, which does without where it is missing. */
  private static final String NOT_NEEDED = "java.sql";

  @TempDir private Path folder;

  @Test
  void anImageHasEveryModuleThatAClassRefersTo() throws IOException {
    Set<String> needed = references();
    assertThat(needed).contains("jdk.incubator.vector");
    assertThat(needed.remove(NOT_NEEDED)).isTrue();
    assertThat(ofTheImage()).containsAll(needed);
  }

  private static Set<String> ofTheImage() throws IOException {
    Matcher modules =
        Pattern.compile("<image.modules>(.*)</image.modules>")
            .matcher(Files.readString(Path.of("..", "image", "pom.xml")));
    assertThat(modules.find()).isTrue();
    return Set.of(modules.group(1).split(","));
  }

  private Set<String> references() throws IOException {
    Path classes = folder.resolve("classes.jar");
    Set<String> names = new TreeSet<>();
    try (ZipOutputStream jar = new ZipOutputStream(Files.newOutputStream(classes))) {
      add(Path.of("target", "classes"), jar, names);
      String classPath = Files.readString(Path.of("target", "runtime-class-path.txt"));
      for (String entry : classPath.strip().split(File.pathSeparator)) {
        Path path = Path.of(entry);
        if (Files.isDirectory(path)) {
          add(path, jar, names);
        } else {
          try (FileSystem zip = FileSystems.newFileSystem(path)) {
            add(zip.getPath("/"), jar, names);
          }
        }
      }
    }
    StringWriter out = new StringWriter();
    int exit =
        ToolProvider.findFirst("jdeps")
            .orElseThrow()
            .run(
                new PrintWriter(out),
                new PrintWriter(out),
                "--ignore-missing-deps",
                "--print-module-deps",
                classes.toString());
    assertThat(exit).as(out.toString()).isZero();
    return new TreeSet<>(Set.of(out.toString().strip().split(",")));
  }

  /** Classes without module descriptors: jdeps would look for the modules that those name. */
  private static void add(Path root, ZipOutputStream jar, Set<String> names) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.toList()) {
        String name = root.relativize(file).toString().replace(File.separatorChar, '/');
        if (name.endsWith(".class")
            && !name.endsWith("module-info.class")
            && !name.startsWith("META-INF")
            && names.add(name)) {
          jar.putNextEntry(new ZipEntry(name));
          Files.copy(file, jar);
        }
      }
    }
  }
}
