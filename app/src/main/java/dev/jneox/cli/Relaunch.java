package dev.jneox.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How a JVM of JNeoX must start, as {@code launch.conf} says, and the way there for one that did
 * not: {@code java -jar jneox.jar} starts a second JVM with the flags and the environment that only
 * the start of a process can set, and stands for it until it ends.
 *
 * @param environment variables to set unless they are set already
 * @param options options for {@code java}
 */
record Relaunch(Map<String, String> environment, List<String> options) {
  /** The options set this property; a JVM that has it was started by the launcher or by us. */
  static final String MARKER = "jneox.launched";

  /** Set in the JVM we start, so that it never starts another. */
  static final String GUARD = "jneox.relaunched";

  /** Reads the {@code launch.conf} beside this class. */
  static Relaunch read() {
    try (InputStream in = Relaunch.class.getResourceAsStream("launch.conf")) {
      return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Lines {@code NAME=VALUE}, lines of options separated by spaces, comments from {@code #} on. */
  static Relaunch parse(String conf) {
    Map<String, String> environment = new LinkedHashMap<>();
    List<String> options = new ArrayList<>();
    for (String line : conf.lines().toList()) {
      if (line.matches("[A-Z].*=.*")) {
        int equals = line.indexOf('=');
        environment.put(line.substring(0, equals), line.substring(equals + 1));
      } else if (!line.isBlank() && !line.startsWith("#")) {
        options.addAll(words(line));
      }
    }
    return new Relaunch(environment, options);
  }

  /** Whether this process lacks a flag or a variable that only a new one can have. */
  boolean isNeeded() {
    boolean complete =
        Boolean.getBoolean(MARKER) && System.getenv().keySet().containsAll(environment.keySet());
    return !complete && !Boolean.getBoolean(GUARD);
  }

  /**
   * The command that does what this process was asked to, with our options first and the user's own
   * ({@code JNEOX_JAVA_OPTS}, those of this JVM) after them, so that the user's win.
   */
  List<String> command(String java, List<String> userOptions, String classPath, String... args) {
    List<String> command = new ArrayList<>();
    command.add(java);
    List<String> crashFiles = crashFiles(System.getenv(), System.getProperty("user.home"));
    command.addAll(crashFiles);
    command.addAll(afterCrash(java, classPath, crashFiles.getFirst()));
    command.addAll(options);
    command.addAll(archive(classPath));
    command.addAll(userOptions);
    command.add("-D" + GUARD + "=true");
    command.addAll(List.of("-cp", classPath, Start.class.getName()));
    command.addAll(List.of(args));
    return command;
  }

  /** As in the launcher, which makes the archive beside the jar and has the reasons. */
  private static List<String> archive(String classPath) {
    Path archive = Path.of(classPath).resolveSibling("jneox.jsa");
    // Of a list of several there is no such file.
    boolean sound = classPath.endsWith("jneox.jar") && isSound(archive);
    return sound
        ? List.of("-XX:SharedArchiveFile=" + archive, "-Xlog:aot*=off,cds*=off")
        : List.of();
  }

  /**
   * Whether a file is this user's and has the checksum that {@code cksum} gave when it was written.
   */
  private static boolean isSound(Path archive) {
    try {
      if (!Files.isRegularFile(archive)
          || !Files.getOwner(archive).getName().equals(System.getProperty("user.name"))) {
        return false;
      }
      String expected =
          Files.readString(archive.resolveSibling(archive.getFileName() + ".sum")).strip();
      Process cksum =
          new ProcessBuilder("cksum")
              .redirectInput(archive.toFile())
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      return new String(cksum.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
          .strip()
          .equals(expected);
    } catch (IOException e) {
      // No sum, or no cksum on this system: a start without the archive is only slower.
      return false;
    }
  }

  /**
   * Where a crash leaves its report: in the user's folder for caches, or else in the system's
   * temporary folder.
   */
  static List<String> crashFiles(Map<String, String> environment, String userHome) {
    Path home = Path.of(environment.getOrDefault("HOME", userHome)).toAbsolutePath();
    String caches = environment.getOrDefault("XDG_CACHE_HOME", "");
    Path mac = home.resolve("Library/Caches");
    Path folder =
        (caches.startsWith("/")
                ? Path.of(caches)
                : Files.isDirectory(mac) ? mac : home.resolve(".cache"))
            .resolve("jneox/crash");
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      folder = Path.of(System.getProperty("java.io.tmpdir"));
    }
    return List.of(
        "-XX:ErrorFile=" + folder.resolve("hs_err_pid%p.log"),
        "-XX:ReplayDataFile=" + folder.resolve("replay_pid%p.log"));
  }

  /**
   * Has the JVM start {@link AfterCrash} when it has written its report. It cuts the command at
   * semicolons and fills in percent signs, so that some paths cannot be in it.
   */
  private static List<String> afterCrash(String java, String classPath, String errorFile) {
    String paths = java + classPath + errorFile.replace("%p", "");
    if (!paths.matches("[ -~&&[^;%'\"\\\\]]+")) {
      return List.of();
    }
    String report = errorFile.substring(errorFile.indexOf('=') + 1);
    return List.of(
        "-XX:OnError='%s' -Xshare:auto -XX:TieredStopAtLevel=1 -cp '%s' %s '%s' >&2"
            .formatted(java, classPath, AfterCrash.class.getName(), report));
  }

  /**
   * Runs the command line anew and returns its exit code. When this process is asked to end, the
   * new one ends first.
   */
  int run(String... args) {
    List<String> userOptions =
        new ArrayList<>(words(System.getenv().getOrDefault("JNEOX_JAVA_OPTS", "")));
    userOptions.addAll(ownOptions());
    ProcessBuilder builder = process(userOptions, List.of(args)).inheritIO();
    try {
      Process process = builder.start();
      Thread endFirst = new Thread(() -> end(process));
      Runtime.getRuntime().addShutdownHook(endFirst);
      return process.waitFor();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Returns the options that this JVM was started with. */
  static List<String> ownOptions() {
    return ManagementFactory.getRuntimeMXBean().getInputArguments();
  }

  /**
   * Prepares another process of JNeoX on the Java of this one.
   *
   * @param userOptions after ours, so that they win
   * @param args its command line
   */
  ProcessBuilder process(List<String> userOptions, List<String> args) {
    String java =
        ProcessHandle.current()
            .info()
            .command()
            .orElse(System.getProperty("java.home") + "/bin/java");
    String classPath = System.getProperty("java.class.path");
    ProcessBuilder builder =
        new ProcessBuilder(command(java, userOptions, classPath, args.toArray(String[]::new)));
    environment.forEach(builder.environment()::putIfAbsent);
    return builder;
  }

  private static void end(Process process) {
    process.destroy();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      process.destroyForcibly();
    }
  }

  private static List<String> words(String line) {
    return line.isBlank() ? List.of() : List.of(line.strip().split("\\s+"));
  }
}
