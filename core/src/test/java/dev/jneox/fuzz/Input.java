package dev.jneox.fuzz;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * What a reader is given: the files of a folder.
 *
 * @param files content by path relative to the folder, with {@code /} between names
 */
public record Input(Map<String, byte[]> files) {
  public Input {
    files = Collections.unmodifiableMap(new TreeMap<>(files));
  }

  public static Input of(String name, byte[] content) {
    return new Input(Map.of(name, content));
  }

  public static Input of(String name, String content) {
    return of(name, content.getBytes(StandardCharsets.UTF_8));
  }

  /** All files below a folder. */
  public static Input of(Path folder) {
    Map<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> walk = Files.walk(folder)) {
      for (Path file : walk.filter(Files::isRegularFile).toList()) {
        files.put(folder.relativize(file).toString().replace('\\', '/'), Files.readAllBytes(file));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new Input(files);
  }

  /** The same with one file more, or with another content of it; without it for null. */
  public Input with(String name, byte[] content) {
    Map<String, byte[]> changed = new TreeMap<>(files);
    if (content == null) {
      changed.remove(name);
    } else {
      changed.put(name, content);
    }
    return new Input(changed);
  }

  public Input with(String name, String content) {
    return with(name, content.getBytes(StandardCharsets.UTF_8));
  }

  void write(Path folder) throws IOException {
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      Path path = folder.resolve(file.getKey());
      Files.createDirectories(path.getParent());
      Files.write(path, file.getValue());
    }
  }
}
