package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import dev.jneox.format.Manifest;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The folder of a run, with small texts for checkpoints. */
class RunDirectoryTest {
  private static final Resume SKIP_DAMAGED = new Resume(false, true, false);
  private static final Resume NO_VERIFY = new Resume(false, false, true);

  @TempDir Path dir;
  private Path run;

  @BeforeEach
  void name() {
    run = dir.resolve("run");
  }

  private static CheckpointSection section(Path save, Path load, boolean finetune, int keep) {
    return new CheckpointSection(
        Optional.ofNullable(save),
        Optional.ofNullable(load),
        finetune,
        1,
        false,
        Set.of(),
        keep == 0 ? OptionalInt.empty() : OptionalInt.of(keep),
        true);
  }

  private static RunDirectory open(Path save, Path load, Resume resume) {
    return RunDirectory.open(section(save, load, false, 0), resume);
  }

  /** Opens, saves the steps, closes; returns the notes. */
  private List<String> saves(Resume resume, int keep, int... steps) {
    try (RunDirectory directory = RunDirectory.open(section(run, run, false, keep), resume)) {
      for (int step : steps) {
        save(directory, step);
      }
      return directory.notes();
    }
  }

  private static Path save(RunDirectory directory, int step) {
    return directory.save(
        step,
        10,
        folder -> {
          try {
            Files.writeString(folder.resolve("training.json"), "step " + step);
          } catch (IOException e) {
            throw new InputException(folder + ": " + e, e);
          }
        },
        told -> {});
  }

  private Path start(Path save, Path load, Resume resume) {
    try (RunDirectory directory = open(save, load, resume)) {
      return directory.start().orElse(null);
    }
  }

  private List<String> entries() throws IOException {
    try (Stream<Path> entries = Files.list(run)) {
      return entries.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  private void damage(String checkpoint) throws IOException {
    Files.writeString(
        run.resolve(checkpoint).resolve("training.json"),
        "Step" + " " + checkpoint.replaceAll("\\D", ""));
  }

  // Retention.

  @Test
  void theOldestSavesGoFirst() throws IOException {
    saves(Resume.DEFAULT, 2, 5, 10, 15, 20);
    assertThat(entries()).containsExactly("global_step15", "global_step20", "latest");
    assertThat(run.resolve("latest")).hasContent("global_step20");
  }

  @Test
  void aRunThatWentBackKeepsWhatItSaves() throws IOException {
    saves(Resume.DEFAULT, 3, 10, 20, 30);
    Files.writeString(run.resolve("latest"), "global_step10");
    saves(Resume.DEFAULT, 2, 12);
    assertThat(entries()).containsExactly("global_step12", "global_step30", "latest");
    assertThat(run.resolve("latest")).hasContent("global_step12");
    saves(Resume.DEFAULT, 1, 14);
    assertThat(entries()).containsExactly("global_step14", "latest");
  }

  @Test
  void aSecondRunInTheFolderKeepsWhatItSaves() throws IOException {
    saves(Resume.DEFAULT, 2, 100, 200);
    saves(Resume.RESTART, 2, 5);
    assertThat(entries()).containsExactly("global_step200", "global_step5", "latest");
    assertThat(run.resolve("latest")).hasContent("global_step5");
  }

  @Test
  void theOrderOfSavingSurvivesFileTimesAndReplacement() throws IOException {
    saves(Resume.DEFAULT, 0, 1, 2, 3);
    saves(Resume.DEFAULT, 0, 1);
    for (String name : List.of("global_step1", "global_step2", "global_step3")) {
      Files.setLastModifiedTime(run.resolve(name), java.nio.file.attribute.FileTime.fromMillis(0));
    }
    saves(Resume.DEFAULT, 2, 4);
    assertThat(entries()).containsExactly("global_step1", "global_step4", "latest");
  }

  @Test
  void checkpointsWithoutANumberGoFirst() throws IOException {
    saves(Resume.DEFAULT, 0, 10, 20);
    Files.delete(run.resolve("global_step20/manifest.crc32c"));
    Files.writeString(run.resolve("latest"), "global_step10");
    saves(Resume.DEFAULT, 2, 15);
    assertThat(entries()).containsExactly("global_step10", "global_step15", "latest");
  }

  @Test
  void whatKilledSavesLeftIsCleared() throws IOException {
    saves(Resume.DEFAULT, 0, 5, 10);
    for (String left :
        List.of(
            "global_step15.partial",
            "global_step15.42-1.partial",
            ".global_step15.partial",
            "global_step10.replaced")) {
      Files.createDirectories(run.resolve(left).resolve("configs"));
    }
    Files.writeString(run.resolve("latest.partial"), "");
    Files.move(run.resolve("global_step5"), run.resolve("global_step5.replaced"));
    Files.createDirectory(run.resolve("mine.partial"));
    saves(Resume.DEFAULT, 0);
    assertThat(entries())
        .containsExactly("global_step10", "global_step5", "latest", "mine.partial");
  }

  // What a run begins from.

  @Test
  void theFirstStartOfAResumableRunSaysSo() throws IOException {
    Files.createSymbolicLink(dir.resolve("link"), dir);
    assertThat(saves(Resume.DEFAULT, 0))
        .containsExactly("no checkpoint in " + run + " yet: starting from step 0");
    assertThat(saves(Resume.DEFAULT, 0)).hasSize(1);
    assertThat(start(run, dir.resolve("link/run"), Resume.DEFAULT)).isNull();
    saves(Resume.DEFAULT, 0, 5);
    assertThat(saves(Resume.DEFAULT, 0)).isEmpty();
    assertThat(start(dir.resolve("link/run"), run, Resume.DEFAULT))
        .isEqualTo(run.resolve("global_step5"));
  }

  @Test
  void aFolderToLoadWithoutCheckpointsStops() throws IOException {
    saves(Resume.DEFAULT, 0, 5);
    Path missing = dir.resolve("rum");
    assertThatThrownBy(() -> open(null, missing, Resume.DEFAULT))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "load: "
                + missing
                + ": expected a folder with checkpoints (global_stepN), found no such folder; "
                + "the nearest name of one with checkpoints is "
                + run);
    Path empty = Files.createDirectory(dir.resolve("empty"));
    assertThatThrownBy(() -> open(dir.resolve("other"), empty, Resume.DEFAULT))
        .hasMessageContaining(empty + ": ")
        .hasMessageEndingWith("an empty folder");
    Files.writeString(empty.resolve("config.json"), "{}");
    assertThatThrownBy(() -> open(null, empty, Resume.DEFAULT))
        .hasMessageEndingWith(
            "found an HF folder; finetune: true begins at step 0 from the weights of this model");
    try (RunDirectory finetune = RunDirectory.open(section(null, empty, true, 0), Resume.DEFAULT)) {
      assertThat(finetune.start()).contains(empty);
    }
    assertThatThrownBy(() -> open(null, empty.resolve("config.json"), Resume.DEFAULT))
        .hasMessageEndingWith("found a file");
    assertThatThrownBy(() -> open(null, run.resolve("global_step5"), Resume.DEFAULT))
        .hasMessageEndingWith(
            "found a checkpoint: set load="
                + run
                + ", whose file latest names the one to go on from");
    assertThatThrownBy(() -> RunDirectory.open(section(empty, empty, true, 0), Resume.DEFAULT))
        .hasMessage(
            "save: " + empty + ": is the model that load names: set save to another folder");
    assertThat(empty.resolveSibling(".empty.lock")).doesNotExist();
    assertThatThrownBy(() -> RunDirectory.open(section(empty, empty, false, 0), Resume.DEFAULT))
        .as("a run that would begin anew in the folder of a model")
        .hasMessageEndingWith(
            "found an HF folder; finetune: true begins at step 0 from the weights of this model,"
                + " with save set to another folder");
    Path gguf = Files.writeString(dir.resolve("m.gguf"), "");
    assertThatThrownBy(() -> open(null, gguf, Resume.DEFAULT))
        .hasMessageContaining("found a GGUF file; finetune: true begins");
    Path neox = Files.createDirectories(dir.resolve("neox/global_step7"));
    Files.writeString(neox.resolve("layer_00-model_00-model_states.pt"), "");
    Files.writeString(neox.resolveSibling("latest"), "global_step7");
    assertThatThrownBy(() -> open(null, neox.getParent(), Resume.DEFAULT))
        .hasMessageContaining("found a checkpoint of GPT-NeoX; finetune: true begins");
    for (Path wrong : List.of(dir.resolve("absent"), Files.createDirectory(dir.resolve("bare")))) {
      assertThatThrownBy(() -> RunDirectory.open(section(null, wrong, true, 0), Resume.DEFAULT))
          .hasMessageStartingWith(
              "load: "
                  + wrong
                  + ": expected a folder with checkpoints (global_stepN), an HF folder or a GGUF"
                  + " file, found ");
    }
  }

  @Test
  void aMissingOrWrongLatestIsToldWithWhatIsThere() throws IOException {
    saves(Resume.DEFAULT, 0, 5, 10);
    Path other = dir.resolve("new"); // a run that begins elsewhere asks first
    for (String wrong : List.of("global_step7", "", "global step10", "../run")) {
      Files.writeString(run.resolve("latest"), wrong);
      assertThatThrownBy(() -> open(other, run, Resume.DEFAULT))
          .isInstanceOf(InputException.class)
          .hasMessageStartingWith(run.resolve("latest") + ": ")
          .hasMessageContaining("global_step5, global_step10")
          .hasMessageEndingWith(
              "; the newest whole checkpoint is global_step10: start again with --skip-damaged to"
                  + " go on from it");
      assertThat(start(other, run, SKIP_DAMAGED)).isEqualTo(run.resolve("global_step10"));
      assertThat(start(run, run, Resume.DEFAULT)).isEqualTo(run.resolve("global_step10"));
    }
    Files.delete(run.resolve("latest"));
    assertThatThrownBy(() -> open(null, run, Resume.DEFAULT))
        .hasMessageContaining(
            "found none; there is global_step5, global_step10: write one of these names");
  }

  /**
   * Someone deleted the checkpoints: a run that wants to go on must not start over, and a new one
   * has nothing to pass over.
   */
  @Test
  void aLatestWithoutAnyCheckpointStopsOnlyARunThatGoesOn() throws IOException {
    Files.createDirectories(run);
    Files.writeString(run.resolve("latest"), "global_step5");
    assertThatThrownBy(() -> open(run, run, Resume.DEFAULT))
        .hasMessageStartingWith(run.resolve("latest") + ": ")
        .hasMessageContaining("there is no checkpoint")
        .hasMessageEndingWith("--restart begins at step 0");
    assertThat(start(run, null, Resume.DEFAULT)).isNull();
    assertThat(start(run, run, Resume.RESTART)).isNull();
  }

  /** Of a damaged checkpoint and the whole one before it, the whole one is worth keeping. */
  @Test
  void retentionRemovesTheDamagedOnesFirst() throws IOException {
    saves(Resume.DEFAULT, 0, 5, 10);
    Files.writeString(run.resolve("global_step10/training.json"), "damaged");
    try (RunDirectory directory = RunDirectory.open(section(run, run, false, 2), SKIP_DAMAGED)) {
      assertThat(directory.start()).contains(run.resolve("global_step5"));
      save(directory, 8);
    }
    assertThat(run.resolve("global_step10")).doesNotExist();
    assertThat(run.resolve("global_step5")).exists();
    assertThat(run.resolve("global_step8")).exists();
  }

  /** {@code link/..} is the folder above that of the link's target, for every file of the run. */
  @Test
  void dotsBehindALinkLeadWhereTheSystemSays() throws IOException {
    Path far = Files.createDirectories(dir.resolve("far/sub"));
    Path link = Files.createSymbolicLink(dir.resolve("link"), far);
    Path save = link.resolve("../run");
    try (RunDirectory directory = open(save, save, Resume.DEFAULT)) {
      save(directory, 5);
    }
    assertThat(dir.resolve("far/run/latest")).hasContent("global_step5");
    assertThat(dir.resolve("far/run/global_step5")).isDirectory();
    assertThat(dir.resolve("run")).doesNotExist();
    assertThat(start(save, save, Resume.DEFAULT)).isEqualTo(save.resolve("global_step5"));
  }

  @Test
  void checkpointsAreNotPassedOver() {
    saves(Resume.DEFAULT, 0, 5, 10);
    String message =
        run
            + ": has global_step5, global_step10, and this run would not go on from there: set"
            + " load="
            + run
            + " to go on, add --restart to begin anew, or set save to another folder";
    assertThatThrownBy(() -> open(run, null, Resume.DEFAULT))
        .isInstanceOf(InputException.class)
        .hasMessage(message);
    assertThatThrownBy(() -> open(run, dir.resolve("elsewhere"), Resume.DEFAULT))
        .hasMessage(message);
    assertThatThrownBy(() -> RunDirectory.open(section(run, run, true, 0), Resume.DEFAULT))
        .hasMessage(message.replace("set load=", "take finetune out and set load="));
    assertThat(start(run, null, Resume.RESTART)).isNull();
    assertThat(start(run, run, Resume.RESTART)).isNull();
    try (RunDirectory finetune = RunDirectory.open(section(run, run, true, 0), Resume.RESTART)) {
      assertThat(finetune.start()).contains(run.resolve("global_step10"));
      assertThat(finetune.notes()).singleElement().asString().contains("beginning anew");
    }
    assertThat(start(dir.resolve("new"), run, Resume.DEFAULT))
        .isEqualTo(run.resolve("global_step10"));
  }

  @Test
  void anOlderSaveThatLatestNamesIsTold() throws IOException {
    saves(Resume.DEFAULT, 0, 30, 10);
    assertThat(saves(Resume.DEFAULT, 0)).isEmpty();
    Files.writeString(run.resolve("latest"), "global_step30");
    assertThat(saves(Resume.DEFAULT, 0))
        .containsExactly(
            run.resolve("latest") + " names global_step30, and global_step10 was saved after it");
    assertThat(start(run, run, Resume.DEFAULT)).isEqualTo(run.resolve("global_step30"));
  }

  // Damage.

  @Test
  void damageIsNamedAndTheNewestWholeCheckpointIsTaken() throws IOException {
    saves(Resume.DEFAULT, 0, 30, 10, 20, 15);
    damage("global_step15");
    damage("global_step20");
    Path file = run.resolve("global_step15/training.json");
    Path other = dir.resolve("new"); // a run that begins elsewhere asks first
    assertThatThrownBy(() -> open(other, run, Resume.DEFAULT))
        .isInstanceOf(InputException.class)
        .hasMessageMatching(
            java.util.regex.Pattern.quote(file + ": damaged: expected CRC-32C ")
                + "[0-9a-f]{8}, found [0-9a-f]{8}; the newest whole checkpoint is global_step10:"
                + " start again with --skip-damaged to go on from it");
    assertThat(start(other, run, SKIP_DAMAGED)).isEqualTo(run.resolve("global_step10"));
    assertThat(start(run, run, Resume.DEFAULT)).isEqualTo(run.resolve("global_step10"));
    assertThat(saves(Resume.DEFAULT, 0))
        .singleElement()
        .asString()
        .startsWith(file + ": damaged: ")
        .endsWith("; going on from global_step10, the newest whole checkpoint");
    assertThat(start(run, run, NO_VERIFY)).isEqualTo(run.resolve("global_step15"));
  }

  @Test
  void whereNothingIsWholeEvenSkippingStops() throws IOException {
    saves(Resume.DEFAULT, 0, 10, 20);
    damage("global_step10");
    damage("global_step20");
    for (Resume resume : List.of(Resume.DEFAULT, SKIP_DAMAGED)) {
      assertThatThrownBy(() -> open(run, run, resume))
          .hasMessageEndingWith(
              "; no other checkpoint in " + run + " is whole: --restart begins at step 0");
    }
  }

  @Test
  void aCheckpointWithoutAManifestNeedsTheUsersWord() throws IOException {
    saves(Resume.DEFAULT, 0, 10);
    Files.delete(run.resolve("global_step10/manifest.crc32c"));
    assertThatThrownBy(() -> open(run, run, Resume.DEFAULT))
        .hasMessageStartingWith(
            run.resolve("global_step10/manifest.crc32c")
                + ": is missing, so the checkpoint cannot be verified; "
                + "start again with --no-verify to go on from it as it is; no other checkpoint");
    assertThat(start(run, run, NO_VERIFY)).isEqualTo(run.resolve("global_step10"));
  }

  /** What a supervisor starts again goes on from its own saves, not from those of a run before. */
  @Test
  void aRestartTakesTheSavesOfItsLaunchAlone() throws IOException {
    saves(Resume.DEFAULT, 0, 10, 20);
    Resume since = new Resume(true, false, false, OptionalLong.of(3));
    try (RunDirectory first = open(run, null, Resume.RESTART)) {
      assertThat(first.nextSave()).isEqualTo(3);
    }
    assertThat(start(run, null, since)).as("nothing saved yet").isNull();
    try (RunDirectory first = open(run, null, Resume.RESTART)) {
      save(first, 5);
      save(first, 15);
    }
    assertThat(start(run, null, since)).isEqualTo(run.resolve("global_step15"));
    damage("global_step15");
    try (RunDirectory again = open(run, null, since)) {
      assertThat(again.start()).contains(run.resolve("global_step5"));
      assertThat(again.resumes()).isTrue();
      assertThat(again.notes())
          .singleElement()
          .asString()
          .startsWith(run.resolve("global_step15/training.json") + ": damaged: ")
          .endsWith("; the checkpoint before is taken");
    }
    damage("global_step5");
    assertThat(start(run, null, since)).as("nothing whole").isNull();
  }

  // Two runs, and a full disk.

  @Test
  void aSecondRunInTheFolderStops() {
    try (RunDirectory first = open(run, run, Resume.DEFAULT)) {
      CompletableFuture.runAsync(
              () ->
                  assertThatThrownBy(() -> open(run, run, Resume.DEFAULT))
                      .isInstanceOf(StorageException.class)
                      .hasMessageContaining("is being written by"))
          .join();
      save(first, 5);
    }
    assertThat(start(run, run, Resume.DEFAULT)).isEqualTo(run.resolve("global_step5"));
  }

  @Test
  void aFullDiskIsToldInNumbersAndTheCheckpointBeforeIsWhole() throws IOException {
    try (FileSystem disk =
        Jimfs.newFileSystem(
            Configuration.unix().toBuilder().setMaxSize(1 << 20).setBlockSize(4096).build())) {
      Path full = disk.getPath("/disk/run");
      try (RunDirectory directory = open(full, full, Resume.DEFAULT)) {
        Path good = save(directory, 5);
        assertThatThrownBy(
                () ->
                    directory.save(
                        10,
                        20_000_000,
                        folder -> {
                          try {
                            Files.write(folder.resolve("model.safetensors"), new byte[2 << 20]);
                          } catch (IOException e) {
                            throw new InputException(folder + ": " + e.getMessage(), e);
                          }
                        },
                        told -> {}))
            .isInstanceOf(StorageException.class)
            .hasMessageMatching(
                "/disk/run/global_step10: cannot be written: a checkpoint takes 20\\.0 MB, and"
                    + " 1\\.0 MB were free; .*");
        Manifest.verify(good);
        try (Stream<Path> entries = Files.list(full)) {
          assertThat(entries.map(path -> path.getFileName().toString()))
              .containsExactlyInAnyOrder("global_step5", "latest");
        }
      }
    }
  }
}
