package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.Command;

/** Runs commands on class paths with a bad {@link CommandModule}, and on ones that lack a jar. */
@Tag("slow")
class BrokenClassPathTest {
  @TempDir private Path dir;

  /** Cannot be instantiated. */
  public static final class FailingModule implements CommandModule {
    public FailingModule() {
      throw new IllegalStateException("no licence");
    }

    @Override
    public List<Entry> commands() {
      return List.of();
    }
  }

  /** Cannot list its commands, as when a jar that they need is missing. */
  public static final class UnlinkedModule implements CommandModule {
    @Override
    public List<Entry> commands() {
      throw new NoClassDefFoundError("com/example/Base");
    }
  }

  /** Has the name of a command of another module, and one of its own. */
  public static final class SecondModule implements CommandModule {
    @Override
    public List<Entry> commands() {
      return List.of(
          new Entry(Section.TRAINING, Schedule.class, List.of()),
          new Entry(Section.TRAINING, Own.class, List.of()));
    }
  }

  @Command(name = "schedule", description = "A second one.")
  static final class Schedule implements Runnable {
    @Override
    public void run() {
      System.out.println("second schedule");
    }
  }

  @Command(name = "own", description = "One of its own.")
  static final class Own implements Runnable {
    @Override
    public void run() {
      System.out.println("own runs");
    }
  }

  private record Result(int exit, String out, List<String> err) {}

  private Result run(String classPath, String... arguments) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                classPath,
                Start.class.getName()));
    command.addAll(List.of(arguments));
    Path out = dir.resolve("out");
    Path err = dir.resolve("err");
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(dir.toFile())
            .redirectOutput(out.toFile())
            .redirectError(err.toFile());
    builder.environment().put("JNEOX_NATIVES", dir.resolve("natives").toString());
    Process process = builder.start();
    process.getOutputStream().close();
    int exit = process.waitFor();
    return new Result(
        exit,
        Files.readString(out),
        Files.readString(err)
            .lines()
            .filter(line -> !line.startsWith("WARNING: Using incubator modules"))
            .toList());
  }

  private static String classPath() {
    return System.getProperty("java.class.path");
  }

  private static String classPathWithout(String pattern) {
    String rest =
        Arrays.stream(classPath().split(File.pathSeparator))
            .filter(entry -> !entry.matches(pattern))
            .collect(Collectors.joining(File.pathSeparator));
    assertThat(rest).hasSizeLessThan(classPath().length());
    return rest;
  }

  /** The class path of this test and, behind it, a folder that registers a module. */
  private String classPathWith(String provider) throws IOException {
    Path file = dir.resolve("jar/META-INF/services/" + CommandModule.class.getName());
    Files.createDirectories(file.getParent());
    Files.writeString(file, provider + "\n");
    return dir.resolve("jar") + File.pathSeparator + classPath();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "com.example.Missing",
        "dev.jneox.cli.BrokenClassPathTest$FailingModule",
        "dev.jneox.cli.BrokenClassPathTest$UnlinkedModule",
        "dev.jneox.cli.BrokenClassPathTest" // is no CommandModule
      })
  void aBrokenModuleIsLeftOutInOneLine(String provider) throws Exception {
    String classPath = classPathWith(provider);
    Result help = run(classPath, "--help");
    assertThat(help.err)
        .singleElement()
        .asString()
        .startsWith("jneox: warning: ")
        .contains(provider, "left out", "remove its jar from the class path");
    assertThat(help.exit).isZero();
    assertThat(help.out).containsPattern("(?m)^  train  ").containsPattern("(?m)^  generate  ");
    Result schedule = run(classPath, "schedule", "--lr", "1", "--decay-iters", "9", "--at", "0");
    assertThat(schedule.exit).isZero();
    assertThat(schedule.err).hasSize(1);
  }

  @Test
  void theSecondCommandOfANameIsLeftOutInOneLine() throws Exception {
    String classPath = classPathWith(SecondModule.class.getName());
    Result help = run(classPath, "--help");
    assertThat(help.err)
        .singleElement()
        .asString()
        .startsWith("jneox: warning: the command schedule of ")
        .contains(
            SecondModule.class.getName(),
            "dev.jneox.cli.train.TrainingCommands",
            "remove one of the two jars");
    assertThat(help.exit).isZero();
    assertThat(help.out.lines().filter(line -> line.startsWith("  schedule  "))).hasSize(1);
    assertThat(run(classPath, "own").out).isEqualTo("own runs\n");
  }

  @ParameterizedTest
  @CsvSource({"snakeyaml, train run.yml", "picocli, --help", "jackson-core, inspect model"})
  void aMissingJarIsOneLine(String jar, String arguments) throws Exception {
    Files.writeString(dir.resolve("run.yml"), "train_iters: 1\n");
    Files.createDirectories(dir.resolve("model"));
    Files.writeString(dir.resolve("model/config.json"), "{\"model_type\": \"gpt_neox\"}");
    String classPath = classPathWithout(".*[/\\\\]" + jar + "-[^/\\\\]*[.]jar");
    Result result = run(classPath, arguments.split(" "));
    assertThat(result.err)
        .singleElement()
        .asString()
        .startsWith("jneox: the class path has no class ")
        .endsWith("the jar that holds it is missing or damaged; build or unpack JNeoX again");
    assertThat(result.exit).isEqualTo(1);
  }

  @Test
  void missingNativeLibrariesAreOneLine() throws Exception {
    String classPath =
        classPathWithout(".*[/\\\\]pytorch-[^/\\\\]*-(linux|macosx|windows)-.*[.]jar");
    Result result = run(classPath, "doctor");
    assertThat(result.err).noneMatch(line -> line.startsWith("\tat "));
    assertThat(result.err)
        .filteredOn(line -> line.startsWith("jneox: "))
        .singleElement()
        .asString()
        .startsWith("jneox: the class path has no native library jnitorch of ")
        .endsWith("build or unpack JNeoX again");
    assertThat(result.exit).isEqualTo(1);
  }
}
