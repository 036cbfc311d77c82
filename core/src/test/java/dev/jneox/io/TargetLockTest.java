package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class TargetLockTest {
  @TempDir private Path dir;

  @Test
  void aSecondWriterInThisProcessIsRefusedUntilTheFirstEnds() {
    Path target = dir.resolve("data.bin");
    try (TargetLock _ = TargetLock.take(target)) {
      elsewhere(
          () ->
              assertThatThrownBy(() -> TargetLock.take(target))
                  .isInstanceOfSatisfying(
                      StorageException.class,
                      e -> {
                        assertThat(e.path()).contains(target);
                        assertThat(e.what()).isEqualTo("is being written by this process");
                        assertThat(e.reason())
                            .isEqualTo("wait for it to end, or choose another name");
                      })
                  .hasMessage(
                      target
                          + ": is being written by this process: wait for it to end, or choose"
                          + " another name"));
      TargetLock.take(dir.resolve("other")).close();
    }
    TargetLock.take(target).close();
    assertThat(dir).isEmptyDirectory();
  }

  @Test
  void aSecondProcessIsToldThePidAndTheHostOfTheFirst() throws Exception {
    Path target = dir.resolve("data.bin");
    Process owner = hold(target);
    try {
      assertThatThrownBy(() -> TargetLock.take(target))
          .isInstanceOf(StorageException.class)
          .hasMessageMatching(
              ".*data.bin: is being written by process " + owner.pid() + " on \\S+: wait for it.*");
    } finally {
      owner.destroyForcibly().waitFor();
    }
    assertThat(dir.resolve(".data.bin.lock")).exists();
    TargetLock.take(target).close();
    assertThat(dir).isEmptyDirectory();
  }

  @Test
  void aWaitingWriterFollowsTheOneThatEnds() throws Exception {
    Path target = dir.resolve("data.bin");
    Process owner = hold(target);
    List<String> waited = new ArrayList<>();
    Thread.ofPlatform()
        .start(
            () -> {
              try {
                Thread.sleep(200);
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
              owner.destroyForcibly();
            });
    try (TargetLock _ = TargetLock.await(target, name -> waited.add(name))) {
      assertThat(waited).singleElement().asString().startsWith("process " + owner.pid() + " on ");
      assertThat(owner.waitFor(5, TimeUnit.SECONDS)).isTrue();
    }
  }

  /** A link to the folder is another way to the same target. */
  @Test
  void linksLeadToOneLock() throws IOException {
    Path folder = Files.createDirectories(dir.resolve("folder"));
    Path link = Files.createSymbolicLink(dir.resolve("link"), folder);
    try (TargetLock _ = TargetLock.take(folder.resolve("run"))) {
      elsewhere(
          () ->
              assertThatThrownBy(() -> TargetLock.take(link.resolve("run")))
                  .isInstanceOf(StorageException.class));
    }
  }

  /** In a folder that others write, a link in place of the lock file would have its target cut. */
  @Test
  void aLinkInPlaceOfTheLockFileIsNotFollowed() throws IOException {
    Path precious = Files.writeString(dir.resolve("precious"), "content");
    Files.createSymbolicLink(dir.resolve(".data.bin.lock"), precious);
    assertThatThrownBy(() -> TargetLock.take(dir.resolve("data.bin")))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining("data.bin: cannot be written");
    assertThat(precious).hasContent("content");
  }

  @Test
  void onlyOneHasItAtATime() throws Exception {
    Path target = dir.resolve("counter");
    int[] value = new int[1];
    List<Future<?>> all = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
      for (int t = 0; t < 4; t++) {
        all.add(
            pool.submit(
                () -> {
                  for (int i = 0; i < 20; i++) {
                    try (TargetLock _ = TargetLock.await(target, owner -> {})) {
                      int seen = value[0];
                      Thread.yield();
                      value[0] = seen + 1;
                    }
                  }
                }));
      }
      for (Future<?> each : all) {
        each.get();
      }
    }
    assertThat(value[0]).isEqualTo(80);
  }

  /** A command takes the lock before it looks, and the writer that it calls takes it again. */
  @Test
  void theOwnersThreadTakesItAgainAndOnlyTheFirstReleasesIt() {
    Path target = dir.resolve("model");
    try (TargetLock _ = TargetLock.take(target)) {
      TargetLock.take(target).close();
      elsewhere(
          () ->
              assertThatThrownBy(() -> TargetLock.take(target))
                  .isInstanceOf(StorageException.class));
    }
    elsewhere(() -> TargetLock.take(target).close());
  }

  private static void elsewhere(Runnable act) {
    CompletableFuture.runAsync(act).join();
  }

  private static Process hold(Path target) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Holder.class.getName(),
                target.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    BufferedReader out = process.inputReader();
    assertThat(out.readLine()).isEqualTo("held");
    return process;
  }

  /** Takes a lock and keeps it until it is killed. */
  static final class Holder {
    public static void main(String[] args) throws InterruptedException {
      TargetLock lock = TargetLock.take(Path.of(args[0]));
      System.out.println("held");
      Thread.sleep(60_000);
      lock.close();
    }
  }

  /** As in /proc, where each try to make a file says that there is no such folder. */
  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aFolderWhereNoFileCanBeMadeIsAnError() {
    assertThatThrownBy(() -> TargetLock.take(Path.of("/proc/model")))
        .isInstanceOf(StorageException.class)
        .hasMessageStartingWith("/proc/model: cannot be written: ");
  }
}
