package dev.jneox.io;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FreeMemoryTest {
  @TempDir Path root;

  private void file(String name, String content) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, content);
  }

  @Test
  void isWhatTheSystemCallsAvailable() throws IOException {
    assertThat(FreeMemory.bytes(root)).isEmpty();
    file(
        "proc/meminfo", "MemTotal:       24689532 kB\nMemFree:  100 kB\nMemAvailable:   2000 kB\n");
    assertThat(FreeMemory.bytes(root)).hasValue(2_048_000);
  }

  @Test
  void isBoundedByTheControlGroupWhoseCachedFilesDoNotCount() throws IOException {
    file("proc/meminfo", "MemAvailable:   2000 kB\n");
    file("sys/fs/cgroup/memory.max", "max\n");
    file("sys/fs/cgroup/memory.current", "500000\n");
    assertThat(FreeMemory.bytes(root)).hasValue(2_048_000);
    file("sys/fs/cgroup/memory.max", "1000000\n");
    assertThat(FreeMemory.bytes(root)).hasValue(500_000);
    file("sys/fs/cgroup/memory.stat", "active_file 7\ninactive_file 100000\n");
    assertThat(FreeMemory.bytes(root)).hasValue(600_000);
  }

  @Test
  void knowsTheFirstVersionOfControlGroupsToo() throws IOException {
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000\n");
    file("sys/fs/cgroup/memory/memory.usage_in_bytes", "900\n");
    file("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 50\n");
    assertThat(FreeMemory.bytes(root)).hasValue(150);
    file("sys/fs/cgroup/memory/memory.usage_in_bytes", "2000\n");
    file("sys/fs/cgroup/memory/memory.stat", "\n");
    assertThat(FreeMemory.bytes(root)).hasValue(0);
  }

  @Test
  void isKnownOfThisMachineWhereItIsLinux() {
    if (Files.exists(Path.of("/proc/meminfo"))) {
      assertThat(FreeMemory.bytes().getAsLong()).isPositive();
    } else {
      assertThat(FreeMemory.bytes()).isEmpty();
    }
  }
}
