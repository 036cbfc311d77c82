package dev.jneox.hub;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import dev.jneox.io.Shell;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Prepares a folder that a model can be published from. {@code SHA256SUMS} lists its files and
 * comes last: where it is, the folder is whole.
 *
 * @param files of the model, card and hashes included
 * @param leftOut files beside the model that are none of it, such as the optimizer's state
 * @param surplus files that were in the folder before and are none of the model
 * @param keptCard whether there was a README.md already
 */
public record Publication(
    Path folder, List<String> files, List<String> leftOut, List<String> surplus, boolean keptCard) {
  private static final String CARD = "README.md";
  private static final String ATTRIBUTES = ".gitattributes";

  /**
   * Files of these names and of this size belong into git LFS; the hub takes no larger ones outside
   * of it.
   */
  private static final List<String> LFS =
      List.of("*.safetensors", "*.bin", "*.gguf", "*.pt", "*.model");

  private static final long LFS_BYTES = 10_000_000;
  private static final String LFS_RULE = " filter=lfs diff=lfs merge=lfs -text";

  /**
   * Prepares {@code folder}; files of the model replace those of the same names, others stay.
   *
   * @param model a folder or a file; what {@link Selection#MODEL} takes of it is published
   * @param card the README.md, where neither has one
   * @param keepsOwn whether the README.md of the model is published rather than {@code card}
   * @param progress shows the bytes that are hashed
   * @throws InputException when the model is no folder of HF transformers and no GGUF file
   * @throws StorageException when the folder cannot be written
   */
  public static Publication prepare(
      Path model, Path folder, String card, boolean keepsOwn, Progress.Display progress) {
    try (TargetLock _ = TargetLock.take(folder)) {
      Path source = Files.isDirectory(model) ? model : model.toAbsolutePath().resolveSibling("");
      List<HubFile> found = Files.isDirectory(model) ? list(model) : List.of(file(model));
      Set<String> names =
          Selection.MODEL.of(found).chosen().stream()
              .map(HubFile::name)
              .collect(Collectors.toCollection(TreeSet::new));
      if (names.stream().noneMatch(name -> name.matches(".+\\.(safetensors|bin|gguf)"))) {
        throw new InputException(
            model
                + ": expected a folder of HF transformers or a GGUF file, found neither; make one"
                + " with jneox convert --from "
                + Shell.quoted(model)
                + " --to DIR --format hf");
      }
      if (Files.isDirectory(model)) {
        found.stream()
            .map(HubFile::name)
            .filter(name -> name.matches("(LICENSE|NOTICE|README)([.-].*)?"))
            .forEach(names::add);
      }
      if (!keepsOwn) {
        names.remove(CARD);
      }
      Files.createDirectories(folder);
      Files.deleteIfExists(folder.resolve(KnownHashes.MANIFEST));
      boolean keptCard = Files.exists(folder.resolve(CARD)) || names.contains(CARD);
      put(source, folder, names);
      if (!keptCard) {
        AtomicFile.write(folder.resolve(CARD), card.getBytes(StandardCharsets.UTF_8));
      }
      names.add(CARD);
      attributes(folder, names);
      names.add(ATTRIBUTES);
      manifest(folder, names, progress);
      names.add(KnownHashes.MANIFEST);
      List<String> leftOut =
          found.stream().map(HubFile::name).filter(name -> !names.contains(name)).toList();
      List<String> surplus =
          list(folder).stream().map(HubFile::name).filter(name -> !names.contains(name)).toList();
      boolean inPlace = Files.isSameFile(source, folder);
      return new Publication(
          folder, List.copyOf(names), inPlace ? List.of() : leftOut, surplus, keptCard);
    } catch (IOException e) {
      throw StorageException.of(folder, "cannot be written", e);
    }
  }

  private static List<HubFile> list(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      List<HubFile> files = new ArrayList<>();
      for (Path file : entries.filter(Files::isRegularFile).sorted().toList()) {
        files.add(file(file));
      }
      return files;
    }
  }

  private static HubFile file(Path file) throws IOException {
    return new HubFile(
        file.getFileName().toString(), Files.size(file), Optional.empty(), Optional.empty());
  }

  private static void put(Path source, Path folder, Set<String> names) throws IOException {
    if (Files.isSameFile(source, folder)) {
      return;
    }
    for (String name : names) {
      Path target = folder.resolve(name);
      if (!(name.equals(CARD) && Files.exists(target))) {
        // A file of the hub's cache is a link to its blob.
        put(source.resolve(name).toRealPath(), target);
      }
    }
  }

  /** Weights are linked, which takes no room; small files, which somebody may edit, are copied. */
  private static void put(Path file, Path target) throws IOException {
    if (Files.exists(target) && Files.isSameFile(file, target)
        || Files.size(file) >= LFS_BYTES && link(file, target)) {
      return;
    }
    try (AtomicFile whole = new AtomicFile(target)) {
      Files.copy(file, whole.path());
      whole.commit();
    }
  }

  /** False on another disk, or one that has no links. */
  private static boolean link(Path file, Path target) throws IOException {
    Path link = target.resolveSibling(target.getFileName() + ".partial");
    try {
      Files.deleteIfExists(link);
      Files.createLink(link, file);
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    }
    Files.move(link, target, StandardCopyOption.ATOMIC_MOVE);
    return true;
  }

  /** What is there is kept; rules that are missing are added. */
  private static void attributes(Path folder, Set<String> names) throws IOException {
    Path file = folder.resolve(ATTRIBUTES);
    Set<String> lines =
        new LinkedHashSet<>(Files.exists(file) ? Files.readAllLines(file) : List.of());
    LFS.forEach(pattern -> lines.add(pattern + LFS_RULE));
    for (String name : names) {
      boolean covered = LFS.stream().anyMatch(pattern -> name.endsWith(pattern.substring(1)));
      if (!covered && Files.size(folder.resolve(name)) > LFS_BYTES) {
        lines.add(name + LFS_RULE);
      }
    }
    AtomicFile.write(file, (String.join("\n", lines) + "\n").getBytes(StandardCharsets.UTF_8));
  }

  private static void manifest(Path folder, Set<String> names, Progress.Display display)
      throws IOException {
    long bytes = 0;
    for (String name : names) {
      bytes += Files.size(folder.resolve(name));
    }
    StringBuilder lines = new StringBuilder();
    try (Progress progress = display.begin("hashing", bytes)) {
      for (String name : names) {
        lines
            .append(Sha256.of(folder.resolve(name), progress))
            .append("  ")
            .append(name)
            .append('\n');
      }
    }
    AtomicFile.write(
        folder.resolve(KnownHashes.MANIFEST), lines.toString().getBytes(StandardCharsets.UTF_8));
  }
}
