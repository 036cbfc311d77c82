package dev.jneox.train;

import dev.jneox.format.Manifest;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.neox.RunFolder;
import dev.jneox.io.AtomicFile;
import dev.jneox.io.AtomicFolder;
import dev.jneox.io.ByteSize;
import dev.jneox.io.FreeDisk;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.Spelling;
import dev.jneox.io.StorageException;
import dev.jneox.io.TargetLock;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Decides which checkpoint a run begins from, and keeps the folder that it saves in. The layout is
 * GPT-NeoX's: checkpoints {@code global_stepN/}, and the text file {@code latest} that names the
 * newest save.
 *
 * <p>From {@link #open} to {@link #close} no other run can use that folder. A checkpoint is written
 * under another name and renamed when it is whole, then {@code latest} is replaced: a kill at any
 * moment leaves the checkpoint before. Each save has a number, in its {@link Manifest}, and
 * retention goes by it: step numbers go back when a run does.
 */
public final class RunDirectory implements AutoCloseable {
  /** Names that a killed run may leave behind in its folder. */
  private static final String LEFTOVER =
      "\\.?(global_step\\d+|latest|metrics.*\\.csv).*\\.(partial|replaced|lock)";

  /** What a save may need beyond the tensors: headers, tokenizer, recipe. */
  private static final long SMALL_FILES = 16 << 20;

  /** How many names a message lists. */
  private static final int LISTED = 5;

  private final CheckpointSection section;
  private final Resume resume;
  private final Path save; // as the user gave it; null when the run is not saved

  /**
   * The same folder, absolute from the start: the system resolves a relative path from where the
   * working folder is now, Java from where it was.
   */
  private final Path place;

  private final TargetLock lock; // null with save
  private final List<String> notes = new ArrayList<>();

  /** Names of checkpoints that were found damaged: retention removes them first. */
  private final Set<String> damaged = new HashSet<>();

  private Path start;

  private RunDirectory(CheckpointSection section, Resume resume) {
    this.section = section;
    this.resume = resume;
    this.save = section.save().orElse(null);
    this.place = save == null ? null : real(save);
    this.lock = save == null ? null : TargetLock.take(place);
  }

  /**
   * Takes the folder that the run saves in, removes what killed saves left there, and chooses the
   * checkpoint to begin from.
   *
   * @throws InputException when the run would pass over checkpoints, or when the one to go on from
   *     is missing or damaged
   * @throws StorageException when another run has the folder, or it cannot be read or written
   */
  public static RunDirectory open(CheckpointSection section, Resume resume) {
    RunDirectory run = new RunDirectory(section, resume);
    try {
      if (run.save != null) {
        run.clear();
      }
      run.choose();
      return run;
    } catch (JneoxException e) {
      run.close();
      throw e;
    }
  }

  /** The checkpoint to begin from; empty at step 0. */
  public Optional<Path> start() {
    return Optional.ofNullable(start);
  }

  /** What the user should know about the choice, a line each. */
  public List<String> notes() {
    return List.copyOf(notes);
  }

  private void clear() {
    if (!Files.isDirectory(place)) {
      return; // made with the first thing that is written into it
    }
    try {
      for (Path left : list(place)) {
        String name = left.getFileName().toString();
        if (name.matches(LEFTOVER)) {
          Path target = place.resolve(name.substring(0, name.lastIndexOf('.')));
          if (name.endsWith(AtomicFolder.REPLACED) && !Files.exists(target)) {
            Files.move(left, target); // a save was killed between its two moves
          } else {
            AtomicFolder.delete(left);
          }
        }
      }
    } catch (IOException e) {
      throw StorageException.of(save, "cannot be written", e);
    }
  }

  private void choose() {
    Path load = section.load().orElse(null);
    boolean resumes =
        save != null && load != null && !section.finetune() && place.equals(real(load));
    RunFolder there = save == null ? null : RunFolder.of(save);
    if (there != null && !there.checkpoints().isEmpty()) {
      if (!resumes && !resume.restart()) {
        throw new InputException(
            save
                + ": has "
                + there.listing()
                + ", and this run would not go on from there: "
                + (section.finetune() ? "take finetune out and " : "")
                + "set load="
                + save
                + " to go on, add --restart to begin anew, or set save to another folder");
      }
      if (resume.restart()) {
        notes.add(
            save
                + " has "
                + there.listing()
                + ": beginning anew; they stay until keep_last_n_checkpoints removes them");
      }
    }
    if (load == null || resumes && resume.restart()) {
      return;
    }
    if (section.finetune() && isModel(load)) {
      if (save != null && place.equals(real(load))) {
        throw new InputException(
            "save: " + save + ": is the model that load names: set save to another folder");
      }
      if (Manifest.exists(load) && !resume.noVerify()) {
        Manifest.verify(load);
      }
      start = load;
    } else if (RunFolder.is(load)) {
      start = newest(RunFolder.of(load), resumes);
    } else if (resumes) {
      notes.add("no checkpoint in " + load + " yet: starting from step 0");
    } else {
      throw new InputException(
          "load: "
              + load
              + ": expected a folder with checkpoints (global_stepN), found "
              + found(load)
              + (!section.finetune() && isModel(load)
                  ? "; finetune: true begins at step 0 from the weights of this model"
                  : ""));
    }
  }

  /** Whether it is a model by itself, not the folder of a run of ours. */
  private static boolean isModel(Path load) {
    return ModelFiles.is(load)
        && !(RunFolder.is(load)
            && RunFolder.of(load).checkpoints().stream().anyMatch(Manifest::exists));
  }

  /**
   * The checkpoint that {@code latest} names, verified; the newest whole one where that is damaged
   * and may be skipped.
   */
  private Path newest(RunFolder folder, boolean resumes) {
    Path named = null;
    JneoxException problem;
    try {
      named = folder.newest();
      if (!resume.noVerify()) {
        Manifest.verify(named);
      }
      tellNewer(folder, named);
      return named;
    } catch (JneoxException e) {
      problem = e;
    }
    Path broken = named;
    if (broken != null) {
      damaged.add(broken.getFileName().toString());
    }
    Optional<Path> whole =
        bySave(folder).reversed().stream()
            .filter(checkpoint -> !checkpoint.equals(broken) && isWhole(checkpoint))
            .findFirst();
    if (resume.skipDamaged() && whole.isPresent()) {
      notes.add(
          problem.getMessage()
              + "; going on from "
              + whole.get().getFileName()
              + ", the newest whole checkpoint");
      return whole.get();
    }
    String accept =
        broken != null && !Manifest.exists(broken)
            ? "; start again with --no-verify to go on from it as it is"
            : "";
    String others =
        whole.isPresent()
            ? "; the newest whole checkpoint is "
                + whole.get().getFileName()
                + ": start again with --skip-damaged to go on from it"
            : "; no other checkpoint in "
                + folder.path()
                + " is whole"
                + (resumes ? ": --restart begins at step 0" : "");
    throw problem.withMessage(problem.getMessage() + accept + others);
  }

  private void tellNewer(RunFolder folder, Path named) {
    Path last = bySave(folder).stream().reduce(named, (earlier, later) -> later);
    if (Manifest.save(last) > Manifest.save(named)) {
      notes.add(
          folder.path().resolve(RunFolder.LATEST)
              + " names "
              + named.getFileName()
              + ", and "
              + last.getFileName()
              + " was saved after it");
    }
  }

  private boolean isWhole(Path checkpoint) {
    try {
      Manifest.verify(checkpoint);
      return true;
    } catch (JneoxException e) {
      damaged.add(checkpoint.getFileName().toString());
      return false;
    }
  }

  /** From the first save to the last; those without a number come first, by step. */
  private static List<Path> bySave(RunFolder folder) {
    return folder.checkpoints().stream().sorted(Comparator.comparingLong(Manifest::save)).toList();
  }

  /** What there is instead of checkpoints, in words. */
  private static String found(Path load) {
    Path absolute = load.toAbsolutePath().normalize();
    try {
      if (Files.isDirectory(load)) {
        if (Manifest.exists(load)) {
          return "a checkpoint: set load="
              + absolute.getParent()
              + ", whose file latest names the one to go on from";
        }
        List<String> names =
            list(load).stream().map(path -> path.getFileName().toString()).toList();
        return names.isEmpty()
            ? "an empty folder"
            : String.join(", ", names.subList(0, Math.min(LISTED, names.size())))
                + (names.size() > LISTED ? ", ..." : "");
      }
      if (Files.exists(load)) {
        return "a file";
      }
      Path parent = absolute.getParent();
      return "no such folder"
          + (parent == null || !Files.isDirectory(parent) ? "" : nearest(load, parent));
    } catch (IOException e) {
      throw StorageException.of(load, "cannot be read", e);
    }
  }

  private static String nearest(Path missing, Path parent) throws IOException {
    String name = missing.getFileName().toString();
    return list(parent).stream()
        .filter(path -> Files.isReadable(path) && RunFolder.is(path))
        .map(path -> path.getFileName().toString())
        .min(Comparator.comparingInt(other -> Spelling.edits(name, other)))
        .map(
            other ->
                "; the nearest name of one with checkpoints is " + missing.resolveSibling(other))
        .orElse("");
  }

  /** Symbolic links resolved as far as the path exists. */
  private static Path real(Path path) {
    Path absolute = path.toAbsolutePath();
    try {
      return absolute.toRealPath();
    } catch (NoSuchFileException e) {
      return absolute.getParent() == null
          ? absolute
          : real(absolute.getParent()).resolve(absolute.getFileName());
    } catch (IOException e) {
      throw StorageException.of(path, "cannot be read", e);
    }
  }

  /**
   * Saves a checkpoint, makes {@code latest} name it, and removes the oldest saves beyond {@code
   * keep_last_n_checkpoints}.
   *
   * @param bytes what the checkpoint will take, about
   * @param writer fills the folder that it is given
   * @param told gets a line when an old checkpoint could not be removed, which ends no run
   * @return the checkpoint
   */
  Path save(long iteration, long bytes, Consumer<Path> writer, Consumer<String> told) {
    Path folder = place.resolve(RunFolder.name(iteration));
    long number =
        1 + RunFolder.of(place).checkpoints().stream().mapToLong(Manifest::save).max().orElse(0);
    long free = FreeDisk.bytes(place);
    try (AtomicFolder whole = new AtomicFolder(folder)) {
      writer.accept(whole.path());
      Manifest.write(whole.path(), number);
      whole.commit();
      damaged.remove(folder.getFileName().toString());
    } catch (JneoxException e) {
      if (free >= bytes + SMALL_FILES) {
        throw e;
      }
      throw new StorageException(
          folder,
          "cannot be written",
          "a checkpoint takes %s, and %s were free; %s"
              .formatted(ByteSize.text(bytes), ByteSize.text(free), e.getMessage()),
          e);
    }
    AtomicFile.write(
        place.resolve(RunFolder.LATEST),
        folder.getFileName().toString().getBytes(StandardCharsets.UTF_8));
    section.keepLast().ifPresent(keep -> prune(folder, Math.max(1, keep), told));
    return save.resolve(folder.getFileName());
  }

  /** Removes the oldest saves until {@code keep} checkpoints are left; never {@code latest}. */
  private void prune(Path latest, int keep, Consumer<String> told) {
    List<Path> found = bySave(RunFolder.of(place));
    List<Path> old =
        found.stream()
            .filter(checkpoint -> !checkpoint.equals(latest))
            .sorted(
                Comparator.comparing(
                    checkpoint -> !damaged.contains(checkpoint.getFileName().toString())))
            .limit(Math.max(0, found.size() - keep))
            .toList();
    for (Path checkpoint : old) {
      // First the name: half a checkpoint under its own would be taken for a damaged one.
      Path gone = checkpoint.resolveSibling(checkpoint.getFileName() + ".partial");
      try {
        AtomicFolder.delete(gone);
        Files.move(checkpoint, gone);
        AtomicFolder.delete(gone);
      } catch (IOException e) {
        told.accept(checkpoint + ": cannot be removed: " + AtomicFile.reason(e));
      }
    }
  }

  private static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.sorted().toList();
    }
  }

  @Override
  public void close() {
    if (lock != null) {
      lock.close();
    }
  }
}
