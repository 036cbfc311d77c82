package dev.jneox.corpus;

import dev.jneox.io.FolderFiles;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.io.Serializable;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;

/**
 * Is a file of a source, or a piece of one: what one task reads at least. Parts follow from the
 * sources alone, so that a record has the same place in every run.
 *
 * @param index of the part, over all sources
 * @param source index of the source
 * @param path of the file
 * @param format of the file
 * @param from first byte of the piece; its first record begins there or behind
 * @param to first byte behind the piece
 */
record Part(int index, int source, String path, Format format, long from, long to)
    implements Serializable {
  /** Lists the parts of all sources in order, files by their paths. */
  static List<Part> of(Pipeline pipeline, long pieceBytes) {
    List<Part> parts = new ArrayList<>();
    for (int s = 0; s < pipeline.sources().size(); s++) {
      Source source = pipeline.sources().get(s);
      for (Path file : files(pipeline.file(), source)) {
        Format format =
            source
                .format()
                .or(() -> Format.of(file))
                .orElseThrow(
                    () ->
                        new InputException(
                            pipeline.file()
                                + ": source "
                                + source.name()
                                + ": "
                                + file
                                + ": expected a name whose ending says its format, found another:"
                                + " name it with format: "
                                + String.join("|", Format.names())));
        long size = size(file);
        long piece = format.isDivisible(file) ? pieceBytes : Long.MAX_VALUE;
        long from = 0;
        do {
          long to = size - from <= piece ? size : from + piece;
          parts.add(new Part(parts.size(), s, file.toString(), format, from, to));
          from = to;
        } while (from < size);
      }
    }
    return parts;
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  /** Returns the bytes of the piece on disk. */
  long bytes() {
    return to - from;
  }

  /** Divides parts into tasks of consecutive ones, of about {@code bytes} together. */
  static List<List<Part>> tasks(List<Part> parts, long bytes) {
    List<List<Part>> tasks = new ArrayList<>();
    List<Part> task = new ArrayList<>();
    long sum = 0;
    for (Part part : parts) {
      if (!task.isEmpty() && (sum + part.bytes() > bytes || task.size() == 10_000)) {
        tasks.add(task);
        task = new ArrayList<>();
        sum = 0;
      }
      task.add(part);
      sum += part.bytes();
    }
    tasks.add(task);
    return tasks;
  }

  private static TreeSet<Path> files(Path pipeline, Source source) {
    TreeSet<Path> all = new TreeSet<>();
    for (String path : source.paths()) {
      List<Path> found;
      if (path.matches(".*[*?\\[{].*") && !Files.exists(Path.of(path))) {
        found = matches(pipeline, source, path);
      } else if (Files.isDirectory(Path.of(path))) {
        found =
            FolderFiles.deep(Path.of(path)).stream()
                .filter(file -> source.format().isPresent() || Format.of(file).isPresent())
                .toList();
      } else {
        found = Files.exists(Path.of(path)) ? List.of(Path.of(path)) : List.of();
      }
      if (found.isEmpty()) {
        throw new InputException(
            pipeline
                + ": source "
                + source.name()
                + ": "
                + path
                + ": "
                + (Files.isDirectory(Path.of(path))
                    ? "the folder has no file of a format that is read"
                    : path.matches(".*[*?\\[{].*")
                        ? "no file matches"
                        : "no such file or folder" + FetchPlan.hint(pipeline, source.name())));
      }
      all.addAll(found);
    }
    return all;
  }

  private static List<Path> matches(Path pipeline, Source source, String glob) {
    int wild = 0;
    while ("*?[{".indexOf(glob.charAt(wild)) < 0) {
      wild++;
    }
    Path root = Path.of(glob.substring(0, glob.lastIndexOf('/', wild) + 1));
    if (!Files.isDirectory(root)) {
      return List.of();
    }
    PathMatcher matcher;
    try {
      matcher = FileSystems.getDefault().getPathMatcher("glob:" + glob);
    } catch (PatternSyntaxException e) {
      throw new InputException(
          pipeline
              + ": source "
              + source.name()
              + ": "
              + glob
              + ": expected a file, a folder or a glob, found neither file nor folder, and no glob:"
              + " "
              + e.getDescription()
              + "; a backslash before a character has it stand for itself",
          e);
    }
    try (Stream<Path> walk = Files.walk(root)) {
      return walk.filter(file -> matcher.matches(file) && Files.isRegularFile(file)).toList();
    } catch (IOException e) {
      throw StorageException.of(root, "cannot be read", e);
    }
  }
}
