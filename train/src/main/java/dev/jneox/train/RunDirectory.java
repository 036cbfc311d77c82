package dev.jneox.train;

import dev.jneox.dist.Ranks;
import dev.jneox.format.Manifest;
import dev.jneox.format.ModelFiles;
import dev.jneox.format.hf.HfFolder;
import dev.jneox.format.neox.NeoxCheckpoint;
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
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Chooses the checkpoint that a run begins from, and saves checkpoints in its folder. The layout is
 * GPT-NeoX's: checkpoints {@code global_stepN/}, and the text file {@code latest} that names the
 * newest save.
 *
 * <p>From {@link #open} to {@link #close} no other run can use that folder. A checkpoint is written
 * under another name and renamed when it is whole, then {@code latest} is replaced. So a process
 * killed at any moment leaves the checkpoint before. Each save has a number in its {@link
 * Manifest}, by which the oldest is found: a run that goes back to an earlier step saves smaller
 * step numbers later.
 */
public final class RunDirectory implements AutoCloseable {
  /** Names of unfinished files that a killed run may leave in its folder. */
  private static final String LEFTOVER =
      "\\.?(global_step\\d+|latest|metrics.*\\.csv).*\\.(partial|replaced|lock)";

  /** Bytes that a save may need beside the tensors: headers, tokenizer, recipe. */
  private static final long SMALL_FILES = 16 << 20;

  /** How many names a message lists. */
  private static final int LISTED = 5;

  private final CheckpointSection section;
  private final Resume resume;
  private final @Nullable Target target; // null when the run is not saved
  private final List<String> notes = new ArrayList<>();

  /** Names of checkpoints that were found damaged: retention removes them first. */
  private final Set<String> damaged = new HashSet<>();

  private @Nullable Path start;
  private boolean resumes;

  /**
   * The folder that the run saves in.
   *
   * @param given the path as the user wrote it, for messages
   * @param place the same folder as an absolute path, because the working folder may be renamed
   *     during the run: the system then resolves a relative path by its new name, Java by its old
   *     one
   * @param lock keeps other runs out of the folder
   */
  private record Target(Path given, Path place, TargetLock lock) {
    static Target of(Path given) {
      Path place = real(given);
      return new Target(given, place, TargetLock.take(place));
    }
  }

  private RunDirectory(CheckpointSection section, Resume resume, @Nullable Target target) {
    this.section = section;
    this.resume = resume;
    this.target = target;
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
    RunDirectory run =
        new RunDirectory(section, resume, section.save().map(Target::of).orElse(null));
    try {
      if (run.target != null) {
        clear(run.target);
      }
      run.choose();
      return run;
    } catch (JneoxException e) {
      run.close();
      throw e;
    }
  }

  /**
   * Opens the folder for the ranks of a run: the first chooses and saves, the others begin from
   * what it chose, which they read.
   *
   * @throws JneoxException as {@link #open(CheckpointSection, Resume)}, on rank 0
   * @throws dev.jneox.io.PeerException on the other ranks, when rank 0 cannot open it
   */
  public static RunDirectory open(CheckpointSection section, Resume resume, Ranks ranks) {
    RunDirectory run =
        ranks.isFirst() ? open(section, resume) : new RunDirectory(section, resume, null);
    try {
      String kind = run.resumes() ? "=" : "+";
      String chosen = ranks.fromFirst(run.start().map(path -> kind + path).orElse(""));
      if (!ranks.isFirst() && !chosen.isEmpty()) {
        run.start = Path.of(chosen.substring(1));
        run.resumes = chosen.startsWith("=");
      }
      return run;
    } catch (JneoxException e) {
      run.close();
      throw e;
    }
  }

  /** Returns the checkpoint to begin from; empty to begin at step 0. */
  public Optional<Path> start() {
    return Optional.ofNullable(start);
  }

  /**
   * Returns whether the run goes on from {@link #start}, with its optimizer and its place in the
   * data, and does not begin from its weights alone.
   */
  boolean resumes() {
    return start != null && resumes;
  }

  /** Returns the number that the next save will have; 1 for a run that is not saved. */
  public long nextSave() {
    return target == null ? 1 : nextSave(target.place());
  }

  private static long nextSave(Path place) {
    return 1 + RunFolder.of(place).checkpoints().stream().mapToLong(Manifest::save).max().orElse(0);
  }

  /** Returns what the user should know about the choice, a line each. */
  public List<String> notes() {
    return List.copyOf(notes);
  }

  /** Removes what killed saves left in the folder. */
  private static void clear(Target target) {
    Path place = target.place();
    if (!Files.isDirectory(place)) {
      return; // made with the first thing that is written into it
    }
    try {
      for (Path left : list(place)) {
        String name = left.getFileName().toString();
        if (name.matches(LEFTOVER)) {
          Path whole = place.resolve(name.substring(0, name.lastIndexOf('.')));
          if (name.endsWith(AtomicFolder.REPLACED) && !Files.exists(whole)) {
            Files.move(left, whole); // a save was killed between its two moves
          } else {
            AtomicFolder.delete(left);
          }
        }
      }
    } catch (IOException e) {
      throw StorageException.of(target.given(), "cannot be written", e);
    }
  }

  private void choose() {
    Path load = section.load().orElse(null);
    Path save = target == null ? null : target.given();
    boolean sameFolder = target != null && load != null && target.place().equals(real(load));
    boolean goesOn = sameFolder && !section.finetune();
    boolean restart = resume.restart() || resume.since().isPresent();
    if (resume.since().isPresent() && (!goesOn || resume.restart())) {
      start = newestSince(resume.since().getAsLong());
      resumes = start != null;
      if (resumes) {
        return;
      }
    }
    RunFolder there = save == null ? null : RunFolder.of(save);
    if (there != null && !there.checkpoints().isEmpty()) {
      if (!goesOn && !restart) {
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
      if (resume.restart() && resume.since().isEmpty()) {
        notes.add(
            save
                + " has "
                + there.listing()
                + ": beginning anew; they stay until keep_last_n_checkpoints removes them");
      }
    }
    if (load == null || goesOn && resume.restart()) {
      return;
    }
    resumes = !section.finetune();
    if (section.finetune() && isModel(load)) {
      if (sameFolder) {
        throw new InputException(
            "save: " + save + ": is the model that load names: set save to another folder");
      }
      if (Manifest.exists(load) && !resume.noVerify()) {
        Manifest.verify(load);
      }
      start = load;
    } else if (RunFolder.is(load) && !hasForeign(load)) {
      start = newest(RunFolder.of(load), goesOn);
    } else if (goesOn && !isModel(load)) {
      notes.add("no checkpoint in " + load + " yet: starting from step 0");
    } else {
      throw new InputException(
          "load: "
              + load
              + ": expected a folder with checkpoints (global_stepN)"
              + (section.finetune() ? ", an HF folder or a GGUF file" : "")
              + ", found "
              + (isModel(load) ? model(load, sameFolder) : found(load)));
    }
  }

  /**
   * Returns the newest whole checkpoint of those that this run has saved; null where there is none.
   */
  private @Nullable Path newestSince(long first) {
    if (target == null) {
      return null;
    }
    List<Path> saved =
        bySave(RunFolder.of(target.given())).reversed().stream()
            .filter(checkpoint -> Manifest.save(checkpoint) >= first)
            .toList();
    for (Path checkpoint : saved) {
      Optional<JneoxException> problem = problem(checkpoint);
      if (problem.isEmpty()) {
        return checkpoint;
      }
      notes.add(problem.get().getMessage() + "; the checkpoint before is taken");
    }
    return null;
  }

  /** Returns whether there are checkpoints that GPT-NeoX saved, whose optimizer is not read. */
  private static boolean hasForeign(Path load) {
    return RunFolder.of(load).checkpoints().stream().anyMatch(NeoxCheckpoint::isStep);
  }

  /** Describes a model at {@code load}, where a run cannot go on. */
  private static String model(Path load, boolean saved) {
    String kind =
        Files.isRegularFile(load)
            ? "a GGUF file"
            : Files.exists(load.resolve(HfFolder.CONFIG))
                ? "an HF folder"
                : "a checkpoint of GPT-NeoX";
    return kind
        + "; finetune: true begins at step 0 from the weights of this model"
        + (saved ? ", with save set to another folder" : "");
  }

  /** Returns whether {@code load} is a model, and not the folder of a run that JNeoX saved. */
  private static boolean isModel(Path load) {
    return ModelFiles.is(load)
        && !(RunFolder.is(load)
            && RunFolder.of(load).checkpoints().stream().anyMatch(Manifest::exists));
  }

  /**
   * Returns the checkpoint that {@code latest} names, verified. Where it is damaged and the run
   * goes on in its own folder, or {@link Resume#skipDamaged} permits it, returns the newest whole
   * one.
   */
  private Path newest(RunFolder folder, boolean goesOn) {
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
    // One without a manifest may be good, and of an earlier version: the user decides.
    boolean unlisted = broken != null && !Manifest.exists(broken);
    if ((goesOn && !unlisted || resume.skipDamaged()) && whole.isPresent()) {
      notes.add(
          problem.getMessage()
              + "; going on from "
              + whole.get().getFileName()
              + ", the newest whole checkpoint");
      return whole.get();
    }
    String accept = unlisted ? "; start again with --no-verify to go on from it as it is" : "";
    String others =
        whole.isPresent()
            ? "; the newest whole checkpoint is "
                + whole.get().getFileName()
                + ": start again with --skip-damaged to go on from it"
            : "; no other checkpoint in "
                + folder.path()
                + " is whole"
                + (goesOn ? ": --restart begins at step 0" : "");
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
    return problem(checkpoint).isEmpty();
  }

  /** Returns what is wrong with a checkpoint; empty when it is whole. */
  private Optional<JneoxException> problem(Path checkpoint) {
    try {
      Manifest.verify(checkpoint);
      return Optional.empty();
    } catch (JneoxException e) {
      damaged.add(checkpoint.getFileName().toString());
      return Optional.of(e);
    }
  }

  /**
   * Returns the checkpoints from the first save to the last; those without a number first, by step.
   */
  private static List<Path> bySave(RunFolder folder) {
    return folder.checkpoints().stream().sorted(Comparator.comparingLong(Manifest::save)).toList();
  }

  /** Describes what is at {@code load} instead of checkpoints. */
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

  /** Returns the absolute path, with symbolic links resolved as far as it exists. */
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
   * @param bytes of the checkpoint, about
   * @param writer fills the folder that it is given
   * @param told gets a line when an old checkpoint cannot be removed; the run goes on
   * @return the checkpoint
   */
  Path save(long iteration, long bytes, Consumer<Path> writer, Consumer<String> told) {
    Target into = Objects.requireNonNull(target, "a run without save has no folder");
    Path place = into.place();
    Path folder = place.resolve(RunFolder.name(iteration));
    long number = nextSave(place);
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
    section.keepLast().ifPresent(keep -> prune(place, folder, Math.max(1, keep), told));
    return into.given().resolve(folder.getFileName());
  }

  /**
   * Removes damaged checkpoints and the oldest until {@code keep} are left; never {@code latest}.
   */
  private void prune(Path place, Path latest, int keep, Consumer<String> told) {
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
      // Renamed first: a checkpoint removed by half would be taken for a damaged one.
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
    if (target != null) {
      target.lock().close();
    }
  }
}
