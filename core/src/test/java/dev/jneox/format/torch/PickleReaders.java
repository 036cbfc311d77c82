package dev.jneox.format.torch;

import dev.jneox.fuzz.Input;
import dev.jneox.fuzz.Reader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/** The reader of pickles, for fuzzing. */
public final class PickleReaders {
  private PickleReaders() {}

  /** A pickle alone, in memory. */
  public static Reader pickles() {
    return Reader.ofFile(
        "pickle",
        "data.pkl",
        path -> {
          byte[] bytes = Files.readAllBytes(path);
          for (boolean lenient : new boolean[] {true, false}) {
            new PickleReader(new PickleInput(path, "pickle", MemorySegment.ofArray(bytes)), lenient)
                .read();
          }
        },
        () -> {
          try (ZipFile zip = new ZipFile("src/test/resources/torch/kinds.pt")) {
            byte[] whole =
                zip.stream()
                    .filter(entry -> entry.getName().endsWith("data.pkl"))
                    .map(entry -> read(zip, entry))
                    .findFirst()
                    .orElseThrow();
            return List.of(
                Input.of("data.pkl", whole), Input.of("data.pkl", new byte[] {'}', 'N', '0', '.'}));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  private static byte[] read(ZipFile zip, ZipEntry entry) {
    try (var in = zip.getInputStream(entry)) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
