package dev.jneox.io;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A folder in which a launcher and the processes of a run that it starts tell each other how the
 * run goes. It lives as long as the launcher, across restarts.
 *
 * @param path of the folder, which exists
 */
public record LaunchFolder(Path path) {
  /** The environment variable by which a process finds the folder. */
  public static final String VARIABLE = "JNEOX_LAUNCH";

  private static final String STARTED = "started";
  private static final String FIRST_SAVE = "first-save";
  private static final String SAVES = "saves";

  /**
   * A checkpoint that the run has saved since its launch.
   *
   * @param step of the checkpoint
   * @param productive seconds of the steps up to it that the launch has made, each counted once
   * @param lost seconds that failures had cost until then
   * @param at when it was saved, in seconds since the launch
   */
  public record Saved(long step, double productive, double lost, double at) {}

  /** Makes the folder of a launch that begins now. */
  public static LaunchFolder create() {
    try {
      LaunchFolder folder = new LaunchFolder(Files.createTempDirectory("jneox-launch"));
      folder.write(STARTED, System.currentTimeMillis());
      return folder;
    } catch (IOException e) {
      throw new StorageException(
          Path.of(System.getProperty("java.io.tmpdir")),
          "cannot be written",
          AtomicFile.reason(e) + ": set TMPDIR to a folder that can",
          e);
    }
  }

  /** Returns the folder of the launcher that started this process; empty where there is none. */
  public static Optional<LaunchFolder> of(Map<String, String> environment) {
    return Optional.ofNullable(environment.get(VARIABLE))
        .map(path -> new LaunchFolder(Path.of(path)))
        .filter(folder -> Files.isDirectory(folder.path));
  }

  /** Returns the file of a rank's {@link Heartbeat}. */
  public Path heartbeat(int rank) {
    return path.resolve("rank-" + rank);
  }

  /** Returns the seconds since the launch. */
  public double elapsed() {
    long started = read(STARTED).orElse(System.currentTimeMillis());
    return (System.currentTimeMillis() - started) / 1e3;
  }

  /** Notes the number that the first save of this launch will have, unless one is noted. */
  public void firstSave(long number) {
    if (!Files.exists(path.resolve(FIRST_SAVE))) {
      write(FIRST_SAVE, number);
    }
  }

  /** Returns the number of the first save of this launch; empty before the run has begun. */
  public OptionalLong firstSave() {
    return read(FIRST_SAVE);
  }

  /** Notes a checkpoint. */
  public void saved(Saved save) {
    Path file = path.resolve(SAVES);
    String line = save.step + " " + save.productive + " " + save.lost + " " + save.at + "\n";
    try {
      Files.writeString(file, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be written", e);
    }
  }

  /** Returns the last note of the checkpoint of a step; empty when this launch has not saved it. */
  public Optional<Saved> save(long step) {
    Path file = path.resolve(SAVES);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    List<Saved> saves = new ArrayList<>();
    try {
      String text = Files.readString(file);
      text.substring(0, text.lastIndexOf('\n') + 1)
          .lines()
          .map(line -> line.split(" "))
          .filter(words -> words.length == 4 && words[0].equals("" + step))
          .forEach(
              words ->
                  saves.add(
                      new Saved(
                          step,
                          Double.parseDouble(words[1]),
                          Double.parseDouble(words[2]),
                          Double.parseDouble(words[3]))));
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
    return saves.isEmpty() ? Optional.empty() : Optional.of(saves.getLast());
  }

  private void write(String name, long number) {
    AtomicFile.write(path.resolve(name), ("" + number).getBytes(StandardCharsets.UTF_8));
  }

  private OptionalLong read(String name) {
    Path file = path.resolve(name);
    try {
      return Files.exists(file)
          ? OptionalLong.of(Long.parseLong(Files.readString(file).strip()))
          : OptionalLong.empty();
    } catch (IOException e) {
      throw StorageException.of(file, "cannot be read", e);
    }
  }

  /** Deletes the folder. */
  public void delete() {
    try {
      AtomicFolder.delete(path);
    } catch (IOException e) {
      return; // a process that was not ended still writes there; the system empties its folder
    }
  }
}
