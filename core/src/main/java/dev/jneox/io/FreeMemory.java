package dev.jneox.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Measures how much more memory this process may use. That is the memory which Linux calls
 * available (free memory, and cached file pages), or less where a control group limits the process.
 * On other systems the answer is empty.
 */
public final class FreeMemory {
  private static final String CGROUP = "sys/fs/cgroup/";

  private FreeMemory() {}

  /** Returns the free memory in bytes; empty where the system does not say. */
  public static OptionalLong bytes() {
    return bytes(Path.of("/"));
  }

  /**
   * Returns the free memory of a system whose {@code proc} and {@code sys} are below {@code root}.
   */
  static OptionalLong bytes(Path root) {
    OptionalLong available =
        value(root.resolve("proc/meminfo"), "MemAvailable:\\s+(\\d+) kB", 1024);
    OptionalLong group = version2(root).isPresent() ? version2(root) : version1(root);
    return available.isEmpty()
        ? group
        : group.isEmpty()
            ? available
            : OptionalLong.of(Math.min(available.getAsLong(), group.getAsLong()));
  }

  private static OptionalLong version2(Path root) {
    return left(
        value(root.resolve(CGROUP + "memory.max"), "^(\\d+)$", 1),
        value(root.resolve(CGROUP + "memory.current"), "^(\\d+)$", 1),
        value(root.resolve(CGROUP + "memory.stat"), "(?m)^inactive_file (\\d+)$", 1));
  }

  private static OptionalLong version1(Path root) {
    return left(
        value(root.resolve(CGROUP + "memory/memory.limit_in_bytes"), "^(\\d+)$", 1),
        value(root.resolve(CGROUP + "memory/memory.usage_in_bytes"), "^(\\d+)$", 1),
        value(root.resolve(CGROUP + "memory/memory.stat"), "(?m)^total_inactive_file (\\d+)$", 1));
  }

  /**
   * Subtracts used memory from a control group's limit. A group counts cached file pages as used,
   * although the system drops them under pressure, so they are added back.
   */
  private static OptionalLong left(OptionalLong limit, OptionalLong used, OptionalLong files) {
    return limit.isEmpty() || used.isEmpty()
        ? OptionalLong.empty()
        : OptionalLong.of(Math.max(0, limit.getAsLong() - used.getAsLong() + files.orElse(0)));
  }

  private static OptionalLong value(Path file, String pattern, long unit) {
    try {
      Matcher matcher = Pattern.compile(pattern).matcher(Files.readString(file).strip());
      return matcher.find()
          ? OptionalLong.of(Math.multiplyExact(Long.parseLong(matcher.group(1)), unit))
          : OptionalLong.empty();
    } catch (IOException | NumberFormatException | ArithmeticException e) {
      return OptionalLong.empty(); // no such file, or no number in it
    }
  }
}
