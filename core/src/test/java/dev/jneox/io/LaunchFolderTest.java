package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LaunchFolderTest {
  @TempDir Path dir;

  @Test
  void whatIsNotedIsReadByTheNextProcess() throws IOException {
    LaunchFolder folder = new LaunchFolder(dir);
    assertThat(folder.firstSave()).isEmpty();
    folder.firstSave(3);
    folder.firstSave(7); // of a restart
    assertThat(folder.firstSave()).hasValue(3);
    assertThat(folder.save(20)).isEmpty();
    folder.saved(new LaunchFolder.Saved(20, 1.5, 0, 2));
    folder.saved(new LaunchFolder.Saved(40, 3, 0, 4));
    folder.saved(new LaunchFolder.Saved(20, 1.25, 5, 9));
    Files.writeString(dir.resolve("saves"), "60 1 2", StandardOpenOption.APPEND); // was killed
    assertThat(folder.save(20)).contains(new LaunchFolder.Saved(20, 1.25, 5, 9));
    assertThat(folder.save(40)).contains(new LaunchFolder.Saved(40, 3, 0, 4));
    assertThat(folder.save(60)).isEmpty();
    assertThat(LaunchFolder.of(Map.of(LaunchFolder.VARIABLE, dir.toString()))).contains(folder);
    assertThat(LaunchFolder.of(Map.of())).isEmpty();
  }

  @Test
  void aLaunchEndsWithoutAFolder() {
    LaunchFolder folder = LaunchFolder.create();
    assertThat(folder.elapsed()).isBetween(0.0, 60.0);
    try (Heartbeat _ = new Heartbeat(folder.heartbeat(0))) {
      assertThat(folder.heartbeat(0)).exists();
    }
    folder.delete();
    assertThat(folder.path()).doesNotExist();
  }

  @Test
  void aHeartbeatShowsLifeProgressAndWhatIsWaitedFor() throws InterruptedException {
    Path file = new LaunchFolder(dir).heartbeat(2);
    assertThat(Heartbeat.read(file)).isEmpty();
    try (Heartbeat beat = new Heartbeat(file)) {
      beat.begin();
      Thread.sleep(50); // the first beat may still count as progress
      Heartbeat.Seen first = Heartbeat.read(file).orElseThrow();
      assertThat(first.saved()).isEqualTo(-1);
      beat.waiting("all-reduce of 12 numbers, group data");
      Heartbeat.Seen waits = Heartbeat.read(file).orElseThrow();
      assertThat(waits.waiting()).isEqualTo("all-reduce of 12 numbers, group data");
      assertThat(waits.progress()).isEqualTo(first.progress());
      beat.waiting("x".repeat(1000));
      assertThat(Heartbeat.read(file).orElseThrow().waiting()).matches("x{100,}");
      beat.waiting("");
      beat.saved(40);
      Heartbeat.Seen then = Heartbeat.read(file).orElseThrow();
      assertThat(then.waiting()).isEmpty();
      assertThat(then.saved()).isEqualTo(40);
      assertThat(then.progress()).isGreaterThan(waits.progress());
      for (int wait = 0; wait < 100; wait++) {
        if (Heartbeat.read(file).orElseThrow().alive() > then.alive()) {
          return;
        }
        Thread.sleep(100);
      }
      throw new AssertionError("no beat in 10 s");
    }
  }
}
