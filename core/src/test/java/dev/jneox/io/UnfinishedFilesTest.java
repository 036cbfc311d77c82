package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@Tag("slow")
class UnfinishedFilesTest {
  @TempDir private Path dir;

  /** Begins to write a folder and a file, and never ends. */
  static final class Writer {
    private Writer() {}

    public static void main(String[] args) throws IOException {
      Path dir = Path.of(args[0]);
      AtomicFolder folder = new AtomicFolder(dir.resolve("model"));
      AtomicFile file = new AtomicFile(dir.resolve("data.bin"));
      Files.writeString(file.path(), "half");
      System.out.println("writing");
      try {
        for (int i = 0; ; i++) {
          Files.writeString(folder.path().resolve("layer" + i), "half");
        }
      } catch (NoSuchFileException e) {
        // The folder was moved away.
      }
    }
  }

  @Test
  void aWriterThatIsToldToEndLeavesNothing() throws Exception {
    Files.writeString(Files.createDirectory(dir.resolve("model")).resolve("old"), "old");
    Process writer =
        new ProcessBuilder(
                ProcessHandle.current().info().command().orElseThrow(),
                "-cp",
                System.getProperty("java.class.path"),
                Writer.class.getName(),
                dir.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertThat(writer.inputReader().readLine()).isEqualTo("writing");
    try (Stream<Path> files = Files.list(dir)) {
      assertThat(files.filter(path -> path.toString().endsWith(".partial"))).hasSize(2);
    }
    writer.destroy(); // SIGTERM; Ctrl-C takes the same way out
    writer.waitFor();
    assertThat(dir)
        .isDirectoryNotContaining("glob:**.partial")
        .isDirectoryContaining("glob:**model");
    assertThat(dir.resolve("model/old")).hasContent("old");
  }
}
