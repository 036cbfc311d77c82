package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs {@code ./jneox} in a house of cardboard: a fake JDK whose java prints what it got, and a fake Maven. */
class LauncherTest {
  private static final Path LAUNCHER = Path.of("..", "jneox").toAbsolutePath().normalize();

  @TempDir private Path folder;
  private Path house;
  private Path bin;

  @BeforeEach
  void build() throws IOException {
    folder = folder.toRealPath();
    house = Files.createDirectories(folder.resolve("a house"));
    bin = Files.createDirectories(folder.resolve("bin"));
    script(house.resolve("jneox"), Files.readString(LAUNCHER));
    write("app/target/classes/dev/jneox/cli/launch.conf", "# why\nJNEOX_TEST_VARIABLE=ours:a=b\n-XX:+One --two three\n\n-Dfour=4\n");
    write("app/target/jneox.jar", "old");
    Files.createDirectories(house.resolve("app/target/lib"));
    jdk("jdk-25", "25.0.3");
  }

  @Test
  void javaGetsTheOptionsThenTheUsersThenTheArguments() throws Exception {
    Result result = run(Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_JAVA_OPTS", "-Xmx8g -Dfour=5"), "train", "it's a file.yml", "");
    assertThat(result.err).isEmpty();
    assertThat(result.out.lines())
        .containsExactly(
            jdk("jdk-25") + "/bin/java", "variable ours:a=b", "locale C.UTF-8", "-XX:+One", "--two", "three", "-Dfour=4", "-Xmx8g", "-Dfour=5", "-cp",
            house + "/app/target/jneox.jar", "dev.jneox.cli.Start", "train", "it's a file.yml", "");
  }

  @Test
  void whatTheUserSetInTheEnvironmentStays() throws Exception {
    Result result = run(Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_TEST_VARIABLE", ""), "x");
    assertThat(result.out).contains("\nvariable \n");
  }

  /** In a locale without an encoding the JVM would make question marks of an argument's umlauts. */
  @Test
  void theUsersEncodingReachesJavaAndWhereThereIsNoneItIsUtf8() throws Exception {
    String jdk = jdk("jdk-25");
    assertThat(run(Map.of("JAVA_HOME", jdk, "LC_ALL", "de_DE.UTF-8"), "x").out).contains("\nlocale de_DE.UTF-8\n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "LANG", "de_DE.UTF-8"), "x").out).contains("\nlocale \n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "LC_ALL", "POSIX", "LANG", "de_DE.UTF-8"), "x").out).contains("\nlocale C.UTF-8\n");
  }

  @Test
  void theCommandShownDoesWhatTheLauncherDoes() throws Exception {
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_JAVA_OPTS", "-Xmx8g");
    Result shown = run(environment, "--show-command", "train", "it's a $file.yml", "", "*");
    assertThat(shown.out).startsWith("JNEOX_TEST_VARIABLE=ours:a=b LC_ALL=C.UTF-8 " + jdk("jdk-25") + "/bin/java -XX:+One --two three ");
    Result pasted = start(Map.of(), "sh", "-c", shown.out).end();
    assertThat(pasted.out).isEqualTo(run(environment, "train", "it's a $file.yml", "", "*").out);
  }

  @Test
  void worksThroughSymbolicLinksFromAnywhere() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("a house/jneox"));
    Path second = Files.createSymbolicLink(bin.resolve("jneox"), link);
    Result result = start(Map.of("JAVA_HOME", jdk("jdk-25")), second.toString(), "x").end();
    assertThat(result.out).contains(house + "/app/target/jneox.jar");
  }

  @Test
  void anOldJavaHomeIsPassedOverForTheJavaOnThePath() throws Exception {
    jdk("jdk-17", "17.0.15");
    jdk("jdk-26", "26");
    Files.createSymbolicLink(bin.resolve("java"), Path.of("../jdk-26/bin/java"));
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-17")), "x").out).startsWith(jdk("jdk-26") + "/bin/java\n");
  }

  @Test
  void aJavaOfTheOldNumberingIsOld() throws Exception {
    jdk("jdk-8", "1.8.0_292");
    Result result = run(Map.of("JNEOX_JAVA_HOME", jdk("jdk-8")), "x");
    assertThat(result.exit).isEqualTo(1);
    assertThat(result.err).isEqualTo("jneox: JNEOX_JAVA_HOME=" + jdk("jdk-8") + " is no JDK 25 or newer: point it to one or unset it\n");
  }

  @Test
  void theChosenJdkComesFirst() throws Exception {
    jdk("jdk-26", "26");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_JAVA_HOME", jdk("jdk-26")), "x").out).startsWith(jdk("jdk-26") + "/bin/java\n");
  }

  @Test
  void theWarningOfTheJvmIsNotSeenAndRealErrorsAre() throws Exception {
    script(folder.resolve("jdk-25/bin/java"), "echo warning >&2; echo $1 real >&3\n");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25")), "x").err).isEqualTo("-Djneox.stderr=3 real\n");
    script(folder.resolve("jdk-25/bin/java"), "echo unknown option >&2\n");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_JAVA_OPTS", "-Xfoo"), "x").err).isEqualTo("unknown option\n");
  }

  @Test
  void aClosedStreamKeepsItsNumberFromOtherFiles() throws Exception {
    script(folder.resolve("jdk-25/bin/java"), "link=$(readlink /proc/$$/fd/1); echo \"$link\" >&3; exit 5\n");
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));
    Result result = start(environment, "sh", "-c", "exec '" + house + "/jneox' x >&-").end();
    assertThat(result).extracting(r -> r.exit, r -> r.out, r -> r.err).containsExactly(5, "", "/dev/null\n");
    script(folder.resolve("jdk-25/bin/java"), "echo out\n");
    Result silent = start(environment, "sh", "-c", "exec '" + house + "/jneox' x 2>&-").end();
    assertThat(silent).extracting(r -> r.exit, r -> r.out).containsExactly(0, "out\n");
  }

  @Test
  void aMessageThatIsLostDoesNotStopTheBuild() throws Exception {
    addSources();
    maven("echo '[INFO] Building JNeoX core'; echo new >app/target/jneox.jar");
    Result result = start(Map.of("JAVA_HOME", jdk("jdk-25")), "sh", "-c", "exec '" + house + "/jneox' x 2>/dev/full").end();
    assertThat(result.exit).isZero();
    assertThat(result.out).endsWith("\nx\n");
  }

  @Test
  void buildsOnceWhenASourceIsNewerAlsoWhenTwoStartTogether() throws Exception {
    addSources();
    maven("sleep 1; echo built >>builds; echo '[INFO] Building JNeoX core'; echo new >app/target/jneox.jar");
    Running first = start(Map.of("JAVA_HOME", jdk("jdk-25")), house + "/jneox", "x");
    Running second = start(Map.of("JAVA_HOME", jdk("jdk-25")), house + "/jneox", "x");
    assertThat(first.end().out).isEqualTo(second.end().out).endsWith("\nx\n");
    assertThat(first.end().err + second.end().err).contains("building (a source is newer than the jar)", "waiting for the build of process");
    assertThat(Files.readString(house.resolve("builds"))).isEqualTo("built\n");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25")), "x").err).isEmpty();
    assertThat(house.resolve("app/target")).isDirectoryNotContaining("glob:**/build.lock*");
  }

  @Test
  void modulesAndLargeDownloadsAreShown() throws Exception {
    addSources();
    maven(
        """
        echo '[INFO] Building JNeoX core 0.1.0'
        echo '[INFO] Downloaded from there: https://example.org/a/b-1.jar (9 kB at 1 MB/s)'
        echo '[INFO] Downloaded from there: https://example.org/a/c-1.jar (160 MB at 21 MB/s)'
        echo new >app/target/jneox.jar
        """);
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25")), "x").err)
        .isEqualTo("jneox: building (a source is newer than the jar)\n  Building JNeoX core 0.1.0\n  fetched c-1.jar (160 MB at 21 MB/s)\n");
  }

  @Test
  void anEditMadeDuringTheBuildIsBuiltNextTime() throws Exception {
    addSources();
    maven("sleep 1; echo >>core/src/main/java/A.java; sleep 1; echo new >app/target/jneox.jar");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25")), "x").err).contains("building");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25")), "x").err).contains("building");
  }

  @Test
  void aLockLeftByAKilledBuildIsRemoved() throws Exception {
    addSources();
    maven("echo new >app/target/jneox.jar");
    Process gone = new ProcessBuilder("true").start();
    gone.waitFor();
    write("app/target/build.lock", gone.pid() + "\n");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25")), "x").exit).isZero();
  }

  @Test
  void aFailedBuildShowsMavensErrorsAndStartsNothing() throws Exception {
    addSources();
    maven("echo '[INFO] much'; echo '[ERROR] A.java:[1,2] no'; echo '[ERROR] Failed to execute goal x'; echo '[ERROR] [Help 1]'; exit 1");
    Result result = run(Map.of("JAVA_HOME", jdk("jdk-25")), "x");
    assertThat(result.exit).isEqualTo(1);
    assertThat(result.out).isEmpty();
    assertThat(result.err)
        .isEqualTo(
            """
            jneox: building (a source is newer than the jar)
            [ERROR] A.java:[1,2] no
            [ERROR] Failed to execute goal x
            jneox: the build failed
            """);
    assertThat(house.resolve("app/target")).isDirectoryNotContaining("glob:**/build.lock*");
  }

  @Test
  void aMissingMavenIsSaidPlainly() throws Exception {
    addSources();
    Files.delete(house.resolve("app/target/jneox.jar"));
    for (String tool : List.of("find", "head", "readlink", "dirname", "mkdir")) {
      script(bin.resolve(tool), "PATH=/usr/bin:/bin exec " + tool + " \"$@\"\n");
    }
    Result result = start(Map.of("JAVA_HOME", jdk("jdk-25"), "PATH", bin.toString()), house + "/jneox", "x").end();
    assertThat(result.exit).isEqualTo(1);
    assertThat(result.err).contains("mvn is not on the PATH");
  }

  @Test
  void aCacheOfClassesIsMadeOnceAndThenUsed() throws Exception {
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));
    script(
        folder.resolve("jdk-25/bin/java"),
        "for a; do case $a in -XX:ArchiveClassesAtExit=*) echo classes >\"${a#*=}\"; echo made >>'" + folder + "/made' ;; esac; done\n"
            + "printf '%s\\n' \"$@\"\n");
    assertThat(run(environment, "x").out).doesNotContain("Archive");
    Path cache = house.resolve("app/target/jneox.jsa");
    await(() -> Files.size(cache) > 0);
    assertThat(run(environment, "x").out).contains("-XX:SharedArchiveFile=" + cache + "\n-Xlog:aot*=off,cds*=off\n-XX:+One\n");
    assertThat(run(environment, "--show-command", "x").out).contains("'-XX:SharedArchiveFile=" + cache + "' '-Xlog:aot*=off,cds*=off' -XX:+One");
    assertThat(folder.resolve("made")).hasContent("made\n");
    Files.setLastModifiedTime(house.resolve("app/target/jneox.jar"), FileTime.from(Instant.now().plusSeconds(5)));
    run(environment, "x");
    await(() -> Files.size(cache) > 0);
    assertThat(folder.resolve("made")).hasContent("made\nmade\n");
    assertThat(house.resolve("app/target")).isDirectoryNotContaining("glob:**/jneox.jsa.*");
  }

  /** An empty file, which the launcher passes over and the JVM would. */
  @Test
  void aCacheThatCouldNotBeMadeIsNotTriedAgain() throws Exception {
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));
    script(
        folder.resolve("jdk-25/bin/java"),
        "for a; do case $a in -XX:ArchiveClassesAtExit=*) echo tried >>'" + folder + "/tried'; exit 1 ;; esac; done\nprintf '%s\\n' \"$@\"\n");
    run(environment, "x");
    await(() -> Files.exists(folder.resolve("tried")));
    Result result = run(environment, "x");
    assertThat(result.out).doesNotContain("Archive");
    assertThat(result.err).isEmpty();
    assertThat(folder.resolve("tried")).hasContent("tried\n");
  }

  @Test
  void whereNothingCanBeWrittenThereIsNoCache() throws Exception {
    // A file in the way: root may write into any directory.
    Files.createDirectories(house.resolve("app/target/jneox.jsa/in the way"));
    Result result = run(Map.of("JAVA_HOME", jdk("jdk-25")), "x");
    assertThat(result.exit).isZero();
    assertThat(result.err).isEmpty();
    assertThat(result.out).doesNotContain("Archive");
  }

  private interface Condition {
    boolean holds() throws IOException;
  }

  private static void await(Condition condition) throws IOException, InterruptedException {
    for (int i = 0; i < 600 && !condition.holds(); i++) {
      Thread.sleep(50);
    }
    assertThat(condition.holds()).isTrue();
  }

  private void addSources() throws IOException {
    FileTime now = FileTime.from(Instant.now());
    Files.setLastModifiedTime(house.resolve("app/target/jneox.jar"), FileTime.from(now.toInstant().minusSeconds(100)));
    write("pom.xml", "");
    write("core/src/main/java/A.java", "");
  }

  private void maven(String body) throws IOException {
    script(bin.resolve("mvn"), "cd '" + house + "'\n" + body + "\n");
  }

  private String jdk(String name) {
    return folder.resolve(name).toString();
  }

  private void jdk(String name, String version) throws IOException {
    Path jdk = Files.createDirectories(folder.resolve(name).resolve("bin"));
    script(jdk.resolve("java"), "echo \"$0\"\necho \"variable $JNEOX_TEST_VARIABLE\"\necho \"locale $LC_ALL\"\n"
        + "for a in \"$@\"; do case $a in -Djneox.stderr=3) ;; *) printf '%s\\n' \"$a\" ;; esac; done\n");
    script(jdk.resolve("javac"), "");
    Files.writeString(folder.resolve(name).resolve("release"), "IMPLEMENTOR=\"Nobody\"\nJAVA_VERSION=\"" + version + "\"\n");
  }

  private void write(String file, String text) throws IOException {
    Path path = house.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  private static void script(Path file, String text) throws IOException {
    Files.writeString(file, text.startsWith("#!") ? text : "#!/bin/sh\n" + text);
    assertThat(file.toFile().setExecutable(true)).isTrue();
  }

  private Result run(Map<String, String> environment, String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(house + "/jneox"));
    command.addAll(List.of(arguments));
    return start(environment, command.toArray(String[]::new)).end();
  }

  private Running start(Map<String, String> environment, String... command) throws IOException {
    Path out = Files.createTempFile(folder, "out", "");
    Path err = Files.createTempFile(folder, "err", "");
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile()).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().clear();
    builder.environment().put("PATH", bin + ":/usr/bin:/bin");
    builder.environment().putAll(environment);
    return new Running(builder.start(), out, err);
  }

  private record Result(int exit, String out, String err) {}

  private record Running(Process process, Path out, Path err) {
    Result end() throws IOException, InterruptedException {
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      return new Result(process.exitValue(), Files.readString(out), Files.readString(err));
    }
  }
}
