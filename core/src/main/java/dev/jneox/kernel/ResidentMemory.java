package dev.jneox.kernel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads how much memory of this process is resident, where Linux says it. */
public final class ResidentMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  private ResidentMemory() {}

  /** Returns the resident bytes now; empty on other systems. */
  public static OptionalLong now() {
    return read("VmRSS");
  }

  /** Returns the most bytes that were resident at a time; empty on other systems. */
  public static OptionalLong peak() {
    return read("VmHWM");
  }

  private static OptionalLong read(String name) {
    try {
      Matcher line = Pattern.compile(name + ":\\s+(\\d+) kB").matcher(Files.readString(STATUS));
      return line.find()
          ? OptionalLong.of(Long.parseLong(line.group(1)) * 1024)
          : OptionalLong.empty();
    } catch (IOException e) {
      return OptionalLong.empty(); // not Linux
    }
  }
}
