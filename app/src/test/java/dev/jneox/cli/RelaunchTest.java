package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@Tag("slow")
class RelaunchTest {
  private static final String JAVA =
      Path.of(System.getProperty("java.home"), "bin", "java").toString();
  private static final String CLASS_PATH = System.getProperty("java.class.path");

  @TempDir private Path folder;

  @Test
  void aConfHasVariablesOptionsAndComments() {
    Relaunch launch = Relaunch.parse("# why\nOMP=A=B\n\n--add-modules m -Dx=Y\n-Xss2m\n");
    assertThat(launch.environment()).containsExactly(Map.entry("OMP", "A=B"));
    assertThat(launch.options()).containsExactly("--add-modules", "m", "-Dx=Y", "-Xss2m");
  }

  @Test
  void theTestsRunUnderTheLaunchersEnvironment() {
    assertThat(Relaunch.read().environment())
        .isNotEmpty()
        .allSatisfy((name, value) -> assertThat(System.getenv(name)).isEqualTo(value));
  }

  @Test
  void theBuildFilledInTheOptions() {
    assertThat(Relaunch.read().options())
        .contains(
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-Dorg.bytedeco.javacpp.maxBytes=0",
            "-Djneox.launched=true")
        .contains("-Dorg.bytedeco.javacpp.loadlibraries=false", "-XX:-CreateCoredumpOnCrash")
        .noneMatch(option -> option.contains("${"));
  }

  @Test
  void theUsersOptionsComeAfterOurs() {
    Relaunch launch = new Relaunch(Map.of(), List.of("-Xmx1g"));
    List<String> crashFiles = Relaunch.crashFiles(System.getenv(), System.getProperty("user.home"));
    assertThat(launch.command("java", List.of("-Xmx2g"), "a:b", "train", "it's"))
        .containsExactly(
            "java",
            crashFiles.get(0),
            crashFiles.get(1),
            "-XX:OnError='java' -Xshare:auto -XX:TieredStopAtLevel=1 -cp 'a:b'"
                + " dev.jneox.cli.AfterCrash '"
                + crashFiles.get(0).substring("-XX:ErrorFile=".length())
                + "' >&2",
            "-Xmx1g",
            "-Xmx2g",
            "-Djneox.relaunched=true",
            "-cp",
            "a:b",
            "dev.jneox.cli.Start",
            "train",
            "it's");
  }

  @Test
  void theArchiveBesideTheJarIsUsedWhereItHasItsChecksum() throws IOException {
    Relaunch launch = new Relaunch(Map.of(), List.of());
    String jar = folder.resolve("jneox.jar").toString();
    String option = "-XX:SharedArchiveFile=" + folder.resolve("jneox.jsa");
    assertThat(launch.command("java", List.of(), jar)).doesNotContain(option);
    Path archive = Files.writeString(folder.resolve("jneox.jsa"), "classes\n");
    assertThat(launch.command("java", List.of(), jar)).doesNotContain(option);
    Path sum = Files.writeString(folder.resolve("jneox.jsa.sum"), "1 8\n");
    assertThat(launch.command("java", List.of(), jar)).doesNotContain(option);
    Files.writeString(sum, "1268333997 8\n"); // what cksum says of it
    assertThat(launch.command("java", List.of("-Xmx2g"), jar))
        .containsSubsequence("java", option, "-Xlog:aot*=off,cds*=off", "-Xmx2g");
    assertThat(launch.command("java", List.of(), "a.jar:" + jar)).doesNotContain(option);
    Files.writeString(archive, "classfs\n");
    assertThat(launch.command("java", List.of("-Xmx2g"), jar)).doesNotContain(option);
  }

  @Test
  void aCrashLeavesItsReportInTheFolderForCachesOrElseInTheTemporaryOne() throws IOException {
    Path cache = folder.resolve("cache");
    assertThat(Relaunch.crashFiles(Map.of("XDG_CACHE_HOME", cache.toString()), "/u"))
        .containsExactly(
            "-XX:ErrorFile=" + cache + "/jneox/crash/hs_err_pid%p.log",
            "-XX:ReplayDataFile=" + cache + "/jneox/crash/replay_pid%p.log");
    assertThat(cache.resolve("jneox/crash")).isDirectory();
    assertThat(Relaunch.crashFiles(Map.of("HOME", folder.toString()), "/u").getFirst())
        .startsWith("-XX:ErrorFile=" + folder + "/.cache/jneox/crash/");
    Path file = Files.createFile(folder.resolve("file"));
    assertThat(Relaunch.crashFiles(Map.of("HOME", file.toString()), "/u").getFirst())
        .isEqualTo(
            "-XX:ErrorFile=" + Path.of(System.getProperty("java.io.tmpdir"), "hs_err_pid%p.log"));
  }

  /**
   * One that is cut short, of another JDK or of an older jar: the JVM goes on without it, and says
   * nothing.
   */
  @Test
  void aCacheThatDoesNotFitIsPassedOverInSilence() throws Exception {
    Path cache = Files.writeString(folder.resolve("jneox.jsa"), "not classes");
    List<String> command = new ArrayList<>(List.of(JAVA));
    command.addAll(Relaunch.read().options());
    command.addAll(
        List.of(
            "-XX:SharedArchiveFile=" + cache,
            "-Xlog:aot*=off,cds*=off",
            "-cp",
            CLASS_PATH,
            Start.class.getName(),
            "--version"));
    Result result = run(command);
    assertThat(result.exit).isZero();
    assertThat(result.out).startsWith("jneox ");
    assertThat(result.err.lines()).singleElement().asString().contains("incubator");
  }

  @Test
  void aJvmWithoutTheFlagsStartsOneThatHasThem() throws Exception {
    Result result = run(List.of(JAVA, "-cp", CLASS_PATH, Start.class.getName(), "--version"));
    assertThat(result.exit).isZero();
    assertThat(result.out).startsWith("jneox ");
    assertThat(result.err).contains("incubator"); // which says that the module is there
  }

  @Test
  void theExitCodeIsThatOfTheSecondJvm() throws Exception {
    Result result = run(List.of(JAVA, "-cp", CLASS_PATH, Start.class.getName(), "no-such-command"));
    assertThat(result.exit).isEqualTo(2);
    assertThat(result.err).contains("no-such-command");
  }

  @Test
  void standardErrorIsPutBackBeforeAnythingIsSaid() throws Exception {
    String script = "exec \"$0\" \"$@\" 3>&2 2>/dev/null";
    List<String> command = new ArrayList<>(List.of("sh", "-c", script, JAVA));
    command.addAll(Relaunch.read().options());
    command.addAll(
        List.of("-Djneox.stderr=3", "-cp", CLASS_PATH, Start.class.getName(), "no-such-command"));
    Result result = run(command);
    assertThat(result.exit).isEqualTo(2);
    assertThat(result.err).contains("no-such-command").doesNotContain("incubator");
  }

  private record Result(int exit, String out, String err) {}

  private Result run(List<String> command) throws IOException, InterruptedException {
    Path out = folder.resolve("out");
    Path err = folder.resolve("err");
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return new Result(process.exitValue(), Files.readString(out), Files.readString(err));
  }
}
