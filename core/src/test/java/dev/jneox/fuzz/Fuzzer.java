package dev.jneox.fuzz;

import com.sun.management.ThreadMXBean;
import dev.jneox.io.JneoxException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Gives readers changed inputs and looks at what comes of it: success or a {@link JneoxException}
 * in one line that names the file, within bounds of time and memory, with no file left over.
 * Anything else is a fault. An input is made from one number, so that a fault can be repeated.
 */
public final class Fuzzer implements AutoCloseable {
  /** The most seconds of CPU for an input. */
  private static final double MOST_SECONDS = 2;

  /** Seconds after which a reader is said to hang, and is left behind. */
  private static final int HANGS = 20;

  private static final int LONGEST_MESSAGE = 4000;
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /**
   * Describes a fault of a reader, and how to repeat it.
   *
   * @param what kind of the fault: the same for inputs that fail in the same way
   * @param input number that makes the input; 0 for one from a file
   * @param files a smaller input that fails in the same way
   */
  public record Fault(
      String reader, String what, String message, long input, int times, Input files) {
    @Override
    public String toString() {
      return reader
          + ": "
          + what
          + ", "
          + times
          + " times; -Dfuzz.reader="
          + reader
          + " -Dfuzz.input="
          + input
          + "\n    "
          + message;
    }
  }

  /** Counts the inputs of a reader. */
  static final class Count {
    long inputs;
    long used;
    long refused;
    long nanos;
  }

  /** The result of an input; {@code what} is null when it was read or refused as documented. */
  private record Outcome(String what, String message, boolean used) {}

  private final Path root;
  private final Map<String, Count> counts = new LinkedHashMap<>();
  private final Map<String, Fault> faults = new LinkedHashMap<>();

  private Map<String, byte[]> written = Map.of();
  private Path folder;

  /** When the input began that is being read, of {@link System#nanoTime}; 0 for none. */
  private volatile long began;

  private volatile Input reading;
  private volatile String readerName = "";

  /** Works in memory where the system has such a folder. */
  public Fuzzer() {
    try {
      Path memory = Path.of("/dev/shm");
      root =
          Files.isWritable(memory)
              ? Files.createTempDirectory(memory, "jneox-fuzz")
              : Files.createTempDirectory("jneox-fuzz");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    folder = root.resolve("none");
  }

  public Map<String, Fault> faults() {
    return faults;
  }

  Count count(Reader reader) {
    return counts.computeIfAbsent(reader.name(), name -> new Count());
  }

  /** The number of the n-th input of a reader in the run of a seed. */
  static long input(long seed, Reader reader, long n) {
    return new SplittableRandom(seed ^ (long) reader.name().hashCode() << 32 ^ n).nextLong();
  }

  static Input made(Reader reader, long input) {
    SplittableRandom random = new SplittableRandom(input);
    List<Input> seeds = reader.seeds().get();
    Input changed = Mutation.of(seeds.get(random.nextInt(seeds.size())), seeds, random);
    return random.nextBoolean() ? reader.repair().repaired(changed) : changed;
  }

  /** Checks the seeds themselves: they are read with success. */
  void seeds(Reader reader) {
    for (Input seed : reader.seeds().get()) {
      // The first time tables and classes are loaded, which is no memory of the input.
      tried(reader, seed);
    }
    for (Input seed : reader.seeds().get()) {
      Outcome outcome = tried(reader, seed);
      if (outcome.what == null && !outcome.used) {
        throw new AssertionError("a seed of " + reader.name() + " is refused: " + outcome.message);
      }
      keep(reader, outcome, 0, seed);
    }
  }

  /** Tries an input of a file. */
  void past(Reader reader, Input input) {
    keep(reader, tried(reader, input), 0, input);
  }

  /** Tries the input of a number. */
  void input(Reader reader, long input) {
    Input files = made(reader, input);
    keep(reader, tried(reader, files), input, files);
  }

  private void keep(Reader reader, Outcome outcome, long input, Input files) {
    Count count = count(reader);
    count.inputs++;
    if (outcome.what == null) {
      count.used += outcome.used ? 1 : 0;
      count.refused += outcome.used ? 0 : 1;
      return;
    }
    String key = reader.name() + ": " + outcome.what;
    Fault old = faults.get(key);
    faults.put(
        key,
        old == null
            ? new Fault(
                reader.name(),
                outcome.what,
                outcome.message,
                input,
                1,
                smaller(reader, outcome.what, files))
            : new Fault(old.reader, old.what, old.message, old.input, old.times + 1, old.files));
  }

  /** Cuts an input as long as it fails alike, for some seconds. */
  private Input smaller(Reader reader, String what, Input whole) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(what.contains("seconds") ? 0 : 4);
    Input small = whole;
    for (String name : whole.files().keySet()) {
      Input without = small.with(name, (byte[]) null);
      if (System.nanoTime() < end && what.equals(tried(reader, without).what)) {
        small = without;
        continue;
      }
      for (int piece = small.files().get(name).length / 2; piece > 0; piece /= 2) {
        for (int at = 0; at < small.files().get(name).length && System.nanoTime() < end; ) {
          byte[] bytes = small.files().get(name);
          int to = Math.min(bytes.length, at + piece);
          byte[] cut = Arrays.copyOf(bytes, bytes.length - (to - at));
          System.arraycopy(bytes, to, cut, at, bytes.length - to);
          Input shorter = small.with(name, cut);
          if (what.equals(tried(reader, shorter).what)) {
            small = shorter;
          } else {
            at = to;
          }
        }
      }
    }
    return small;
  }

  private Outcome tried(Reader reader, Input input) {
    place(reader, input);
    readerName = reader.name();
    reading = input;
    long cpu = THREADS.getCurrentThreadCpuTime();
    long bytes = THREADS.getCurrentThreadAllocatedBytes();
    began = System.nanoTime();
    Throwable thrown = null;
    try {
      reader.reading().read(folder);
    } catch (Throwable e) {
      thrown = e;
    }
    began = 0;
    bytes = THREADS.getCurrentThreadAllocatedBytes() - bytes;
    long nanos = THREADS.getCurrentThreadCpuTime() - cpu;
    count(reader).nanos += nanos;
    Outcome outcome = judged(input, thrown);
    if (outcome.what != null) {
      return outcome;
    }
    if (nanos > MOST_SECONDS * 1e9) {
      return new Outcome("took seconds", nanos / 1e9 + " s", false);
    }
    if (bytes > Reader.MOST_BYTES) {
      return new Outcome("took much memory", (bytes >> 20) + " MiB", false);
    }
    String left = reader.writes() ? null : left(input);
    if (left != null) {
      return new Outcome("left a file", left, false);
    }
    return outcome;
  }

  private Outcome judged(Input input, Throwable thrown) {
    if (thrown == null) {
      return new Outcome(null, null, true);
    }
    if (!(thrown instanceof JneoxException)) {
      return new Outcome(
          thrown.getClass().getName() + " at " + place(thrown), shortened(thrown), false);
    }
    String message = String.valueOf(thrown.getMessage());
    if (message.length() > LONGEST_MESSAGE) {
      return new Outcome("long message at " + place(thrown), shortened(thrown), false);
    }
    if (message.chars().anyMatch(Character::isISOControl)) {
      return new Outcome("control character at " + place(thrown), shortened(thrown), false);
    }
    boolean named =
        message.contains(folder.toString())
            || input.files().keySet().stream().anyMatch(message::contains);
    if (!named) {
      return new Outcome("names no file at " + place(thrown), shortened(thrown), false);
    }
    return new Outcome(null, message, false);
  }

  /** The first line of our own code. */
  private static String place(Throwable thrown) {
    StackTraceElement[] frames = thrown.getStackTrace();
    return Stream.of(frames)
        .filter(frame -> frame.getClassName().startsWith("dev.jneox."))
        .filter(frame -> !frame.getClassName().startsWith("dev.jneox.io."))
        .map(frame -> frame.getFileName() + ":" + frame.getLineNumber())
        .findFirst()
        .orElse(frames.length == 0 ? "nowhere" : frames[0].toString());
  }

  private static String shortened(Throwable thrown) {
    String text = String.valueOf(thrown.getMessage()).replaceAll("\\p{Cntrl}", "?");
    return text.length() < 400 ? text : text.substring(0, 400) + "...";
  }

  /** Puts the files of an input into the folder; those that are there already stay. */
  private void place(Reader reader, Input input) {
    try {
      Path next = root.resolve(reader.name());
      if (!next.equals(folder) || written.isEmpty()) {
        clear();
        folder = next;
        Files.createDirectories(folder);
      }
      for (String name : written.keySet()) {
        if (!input.files().containsKey(name)) {
          Files.deleteIfExists(folder.resolve(name));
        }
      }
      for (Map.Entry<String, byte[]> file : input.files().entrySet()) {
        byte[] old = written.get(file.getKey());
        if (old != file.getValue()) {
          Path path = folder.resolve(file.getKey());
          // A new file: the old one may still be mapped.
          Files.deleteIfExists(path);
          if (file.getKey().contains("/")) {
            Files.createDirectories(path.getParent());
          }
          Files.write(path, file.getValue());
        }
      }
      written = reader.writes() ? Map.of() : input.files();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A file in the folder that is not of the input; null where there is none. */
  private String left(Input input) {
    List<String> others = new ArrayList<>();
    try {
      Files.walkFileTree(
          folder,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
              String name = folder.relativize(file).toString();
              if (!input.files().containsKey(name)) {
                others.add(name);
              }
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (others.isEmpty()) {
      return null;
    }
    clear();
    return others.getFirst();
  }

  private void clear() {
    written = Map.of();
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> walk = Files.walk(folder)) {
      for (Path path : walk.toList().reversed()) {
        Files.delete(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Runs work on a thread of its own and watches it. A reader that hangs is a fault, and ends the
   * work: Java cannot stop a thread.
   */
  void watched(Runnable work) {
    Throwable[] failure = new Throwable[1];
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .name("fuzz")
            .unstarted(
                () -> {
                  try {
                    work.run();
                  } catch (Throwable e) {
                    failure[0] = e;
                  }
                });
    thread.start();
    try {
      long hung = 0;
      while (!thread.join(java.time.Duration.ofMillis(200))) {
        long since = began;
        if (since == 0
            || since == hung
            || System.nanoTime() - since < TimeUnit.SECONDS.toNanos(HANGS)) {
          continue;
        }
        hung = since;
        StackTraceElement[] frames = thread.getStackTrace();
        Throwable where = new Throwable("hangs");
        where.setStackTrace(frames);
        if (!thread.join(java.time.Duration.ofSeconds(HANGS)) && began == since) {
          faults.put(
              readerName + ": hangs",
              new Fault(readerName, "hangs at " + place(where), "", 0, 1, reading));
          return;
        }
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    if (failure[0] instanceof Error e) {
      throw e;
    }
    if (failure[0] instanceof RuntimeException e) {
      throw e;
    }
  }

  /** A table of readers, and the faults. */
  String report() {
    StringBuilder text = new StringBuilder();
    text.append(row("reader", "inputs", "read", "refused", "inputs/s", "faults"));
    long inputs = 0;
    long nanos = 0;
    for (Map.Entry<String, Count> entry : counts.entrySet()) {
      Count count = entry.getValue();
      inputs += count.inputs;
      nanos += count.nanos;
      text.append(
          row(
              entry.getKey(),
              count.inputs,
              count.used,
              count.refused,
              Math.round(count.inputs / Math.max(1e-9, count.nanos / 1e9)),
              faults.values().stream().filter(f -> f.reader.equals(entry.getKey())).count()));
    }
    text.append(
        row(
            "all",
            inputs,
            "",
            "",
            Math.round(inputs / Math.max(1e-9, nanos / 1e9)),
            faults.size()));
    faults.values().forEach(fault -> text.append(fault).append('\n'));
    return text.toString();
  }

  private static String row(Object... cells) {
    return String.format(Locale.ROOT, "%-28s %10s %10s %10s %10s %7s%n", cells);
  }

  /** Writes the smaller inputs of faults, in a folder for each reader. */
  void save(Path target) {
    int n = 0;
    for (Fault fault : faults.values()) {
      try {
        Path to = target.resolve(fault.reader).resolve("fault-" + ++n);
        Files.createDirectories(to);
        fault.files.write(to);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  @Override
  public void close() {
    try (Stream<Path> walk = Files.walk(root)) {
      for (Path path : walk.toList().reversed()) {
        Files.delete(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
