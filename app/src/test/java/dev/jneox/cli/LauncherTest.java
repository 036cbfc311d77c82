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
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Runs {@code ./jneox} in a house of cardboard: a fake JDK whose java prints what it got, and a
 * fake Maven.
 */
@Tag("slow")
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
    write(
        "app/target/classes/dev/jneox/cli/launch.conf",
        "# why\nJNEOX_TEST_VARIABLE=ours:a=b\n-XX:+One --two three\n\n-Dfour=4\n");
    write("app/target/jneox.jar", "old");
    Files.createDirectories(house.resolve("app/target/lib"));
    jdk("jdk-25", "25.0.3");
  }

  @Test
  void javaGetsTheOptionsThenTheUsersThenTheArguments() throws Exception {
    Path crash = folder.resolve("a home/.cache/jneox/crash");
    Result result =
        run(
            Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_JAVA_OPTS", "-Xmx8g -Dfour=5"),
            "train",
            "it's a file.yml",
            "");
    assertThat(result.err).isEmpty();
    assertThat(result.out.lines())
        .containsExactly(
            jdk("jdk-25") + "/bin/java",
            "variable ours:a=b",
            "locale C.UTF-8",
            "-XX:ErrorFile=" + crash + "/hs_err_pid%p.log",
            "-XX:ReplayDataFile=" + crash + "/replay_pid%p.log",
            "-XX:OnError='"
                + jdk("jdk-25")
                + "/bin/java' -Xshare:auto -XX:TieredStopAtLevel=1 -cp '"
                + house
                + "/app/target/jneox.jar' dev.jneox.cli.AfterCrash '"
                + crash
                + "/hs_err_pid%p.log' >&2",
            "-Djneox.models=" + house + "/models",
            "-XX:+One",
            "--two",
            "three",
            "-Dfour=4",
            "-Xmx8g",
            "-Dfour=5",
            "-cp",
            house + "/app/target/jneox.jar",
            "dev.jneox.cli.Start",
            "train",
            "it's a file.yml",
            "");
  }

  @Test
  void whatTheUserSetInTheEnvironmentStays() throws Exception {
    Result result = run(Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_TEST_VARIABLE", ""), "x");
    assertThat(result.out).contains("\nvariable \n");
  }

  /**
   * In a locale without an encoding, or one that is named and not installed, the JVM would make
   * question marks of an argument's umlauts.
   */
  @Test
  void theUsersEncodingReachesJavaAndWhereThereIsNoneItIsUtf8() throws Exception {
    String jdk = jdk("jdk-25");
    script(
        bin.resolve("locale"),
        "case ${LC_ALL:-${LANG:-}} in de_DE.UTF-8) echo UTF-8 ;; *) echo ANSI_X3.4-1968 ;; esac\n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "LANG", "en_US.UTF-8"), "x").out)
        .contains("\nlocale C.UTF-8\n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "LC_ALL", "en_US.UTF-8"), "x").out)
        .contains("\nlocale C.UTF-8\n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "LC_ALL", "de_DE.UTF-8"), "x").out)
        .contains("\nlocale de_DE.UTF-8\n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "LANG", "de_DE.UTF-8"), "x").out)
        .contains("\nlocale \n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "LC_ALL", "POSIX", "LANG", "de_DE.UTF-8"), "x").out)
        .contains("\nlocale C.UTF-8\n");
  }

  @Test
  void theCommandShownDoesWhatTheLauncherDoes() throws Exception {
    Map<String, String> environment =
        Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_JAVA_OPTS", "-Xmx8g");
    Result shown = run(environment, "--show-command", "train", "it's a $file.yml", "", "*");
    assertThat(shown.out)
        .startsWith(
            "JNEOX_TEST_VARIABLE=ours:a=b LC_ALL=C.UTF-8 "
                + jdk("jdk-25")
                + "/bin/java '-XX:ErrorFile=")
        .contains(" -XX:+One --two three ");
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
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-17")), "x").out)
        .startsWith(jdk("jdk-26") + "/bin/java\n");
  }

  @Test
  void aJavaOfTheOldNumberingIsOld() throws Exception {
    jdk("jdk-8", "1.8.0_292");
    Result result = run(Map.of("JNEOX_JAVA_HOME", jdk("jdk-8")), "x");
    assertThat(result.exit).isEqualTo(1);
    assertThat(result.err)
        .isEqualTo(
            "jneox: JNEOX_JAVA_HOME="
                + jdk("jdk-8")
                + " is no JDK or JRE 25 or newer: point it to one or unset it\n");
  }

  @Test
  void theChosenJdkComesFirst() throws Exception {
    jdk("jdk-26", "26");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_JAVA_HOME", jdk("jdk-26")), "x").out)
        .startsWith(jdk("jdk-26") + "/bin/java\n");
  }

  @Test
  void theWarningOfTheJvmIsNotSeenAndRealErrorsAre() throws Exception {
    script(
        folder.resolve("jdk-25/bin/java"),
        "echo 'WARNING: Using incubator modules: jdk.incubator.vector' >&2; echo $1 real >&3\n");
    assertThat(run(Map.of("JAVA_HOME", jdk("jdk-25")), "x").err)
        .isEqualTo("-Djneox.stderr=3 real\n");
    script(
        folder.resolve("jdk-25/bin/java"),
        "echo 'WARNING: Using incubator modules: jdk.incubator.vector' >&2\n"
            + "echo 'Error: Could not find or load main class' >&2; printf 'no\\\\end' >&2; exit"
            + " 1\n");
    for (String options : List.of("", "-Xfoo")) {
      Map<String, String> environment =
          Map.of("JAVA_HOME", jdk("jdk-25"), "JNEOX_JAVA_OPTS", options);
      // A pipe, because the last lines may come when java has ended already.
      Result result = start(environment, "sh", "-c", "'" + house + "/jneox' x 2>&1 | cat").end();
      assertThat(result.out).isEqualTo("Error: Could not find or load main class\nno\\end\n");
    }
    assertThat(folder.resolve("a home/.cache/jneox/crash")).isEmptyDirectory();
  }

  /** An image has its own Java, which goes before all others, and builds nothing. */
  @Test
  void inAnImageTheLauncherTakesItsJavaAndItsJars() throws Exception {
    Path image = Files.createDirectories(folder.resolve("an image"));
    script(
        Files.createDirectories(image.resolve("bin")).resolve("jneox"), Files.readString(LAUNCHER));
    Files.createDirectories(image.resolve("app"));
    Files.writeString(image.resolve("app/launch.conf"), "-Dfour=4\n");
    Files.writeString(image.resolve("app/jneox.jar"), "");
    Path link = Files.createSymbolicLink(bin.resolve("jneox"), image.resolve("bin/jneox"));
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));

    Result without = start(environment, link.toString(), "x").end();
    assertThat(without.exit).isEqualTo(1);
    assertThat(without.err)
        .isEqualTo(
            "jneox: "
                + image
                + " is not whole: it has no Java 25 in jre/; unpack it again, or set"
                + " JNEOX_JAVA_HOME\n");

    jdk("an image/jre", "25.0.3");
    Files.writeString(
        image.resolve("jre/release"),
        "JAVA_VERSION=\"25.0.3\"\nMODULES=\"java.base jdk.incubator.vector\"\n");
    Files.delete(image.resolve("jre/bin/javac"));
    Result result = start(environment, link.toString(), "x").end();
    assertThat(result.err).isEmpty();
    assertThat(result.out)
        .startsWith(image + "/jre/bin/java\n")
        .endsWith(
            "\n-Djneox.models="
                + image
                + "/share/models\n-Dfour=4\n-Djneox.command=jneox\n-cp\n"
                + image
                + "/app/jneox.jar\ndev.jneox.cli.Start\nx\n");
  }

  @Test
  void aColonInThePathIsSaidBecauseJavaSplitsThere() throws Exception {
    Path colon = Files.move(house, folder.resolve("a:house"));
    Result result = start(Map.of("JAVA_HOME", jdk("jdk-25")), colon + "/jneox", "x").end();
    assertThat(result.exit).isEqualTo(1);
    assertThat(result.err)
        .isEqualTo(
            "jneox: "
                + colon
                + ": java splits a class path at colons: move it to a path without one\n");
  }

  @Test
  void aRuntimeWithoutCompilerDoesOnceItIsBuilt() throws Exception {
    Path jre = folder.resolve("jre-25");
    jdk("jre-25", "25.0.3");
    Files.delete(jre.resolve("bin/javac"));
    Map<String, String> environment = Map.of("JNEOX_JAVA_HOME", jre.toString());
    assertThat(run(environment, "x").err).contains("is no JDK or JRE 25 or newer");
    Files.writeString(
        jre.resolve("release"),
        "JAVA_VERSION=\"25.0.3\"\nMODULES=\"java.base jdk.incubator.vector\"\n");
    assertThat(run(environment, "x").out).startsWith(jre + "/bin/java\n").endsWith("\nx\n");
    addSources();
    assertThat(run(environment, "x").err).contains("is no JDK 25 or newer");
  }

  @Test
  void aClosedStreamKeepsItsNumberFromOtherFiles() throws Exception {
    script(
        folder.resolve("jdk-25/bin/java"),
        "link=$(readlink /proc/$$/fd/1); echo \"$link\" >&3; exit 5\n");
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));
    Result result = start(environment, "sh", "-c", "exec '" + house + "/jneox' x >&-").end();
    assertThat(result)
        .extracting(r -> r.exit, r -> r.out, r -> r.err)
        .containsExactly(5, "", "/dev/null\n");
    script(folder.resolve("jdk-25/bin/java"), "echo out\n");
    Result silent = start(environment, "sh", "-c", "exec '" + house + "/jneox' x 2>&-").end();
    assertThat(silent).extracting(r -> r.exit, r -> r.out).containsExactly(0, "out\n");
    script(folder.resolve("jdk-25/bin/java"), "readlink /proc/$$/fd/0\n");
    Result unread = start(environment, "sh", "-c", "exec '" + house + "/jneox' x <&-").end();
    assertThat(unread).extracting(r -> r.exit, r -> r.out).containsExactly(0, "/dev/null\n");
  }

  @Test
  void aMessageThatIsLostDoesNotStopTheBuild() throws Exception {
    addSources();
    maven("echo '[INFO] Building JNeoX core'; echo new >app/target/jneox.jar");
    Result result =
        start(
                Map.of("JAVA_HOME", jdk("jdk-25")),
                "sh",
                "-c",
                "exec '" + house + "/jneox' x 2>/dev/full")
            .end();
    assertThat(result.exit).isZero();
    assertThat(result.out).endsWith("\nx\n");
  }

  @Test
  void buildsOnceWhenASourceIsNewerAlsoWhenTwoStartTogether() throws Exception {
    addSources();
    maven(
        "sleep 1; echo built >>builds; echo '[INFO] Building JNeoX core'; echo new"
            + " >app/target/jneox.jar");
    Running first = start(Map.of("JAVA_HOME", jdk("jdk-25")), house + "/jneox", "x");
    Running second = start(Map.of("JAVA_HOME", jdk("jdk-25")), house + "/jneox", "x");
    assertThat(first.end().out).isEqualTo(second.end().out).endsWith("\nx\n");
    assertThat(first.end().err + second.end().err)
        .contains("building (a source is newer than the jar)", "waiting for the build of process");
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
        .isEqualTo(
            "jneox: building (a source is newer than the jar)\n"
                + "  Building JNeoX core 0.1.0\n"
                + "  fetched c-1.jar (160 MB at 21 MB/s)\n");
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

  /** The second would remove the lock of the first, which it takes for the old one. */
  @Test
  void ofSeveralThatFindTheLockOfAKilledBuildOneBuilds() throws Exception {
    addSources();
    maven("sleep 1; echo built >>builds; echo new >app/target/jneox.jar");
    Process gone = new ProcessBuilder("true").start();
    gone.waitFor();
    // Looks like the real one, and lets all look at the lock before one removes it.
    script(
        bin.resolve("rm"),
        "case \"$*\" in *build.lock) sleep 0.$(($$ % 10)) ;; esac; exec /bin/rm \"$@\"\n");
    write("app/target/build.lock", gone.pid() + "\n");
    List<Running> all = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      all.add(start(Map.of("JAVA_HOME", jdk("jdk-25")), house + "/jneox", "x"));
    }
    for (Running one : all) {
      assertThat(one.end().exit).isZero();
    }
    assertThat(Files.readString(house.resolve("builds"))).isEqualTo("built\n");
    assertThat(house.resolve("app/target")).isDirectoryNotContaining("glob:**/build.lock*");
  }

  @Test
  void aFailedBuildShowsMavensErrorsAndStartsNothing() throws Exception {
    addSources();
    maven(
        "echo '[INFO] much'; echo '[ERROR] A.java:[1,2] no'; echo '[ERROR] Failed to execute goal"
            + " x'; echo '[ERROR] [Help 1]'; exit 1");
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
    Result result =
        start(Map.of("JAVA_HOME", jdk("jdk-25"), "PATH", bin.toString()), house + "/jneox", "x")
            .end();
    assertThat(result.exit).isEqualTo(1);
    assertThat(result.err).contains("mvn is not on the PATH");
  }

  @Test
  void anArchiveOfClassesIsMadeOnceAndThenUsed() throws Exception {
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));
    archiver("echo classes >\"${a#*=}\"");
    assertThat(run(environment, "x").out).doesNotContain("Archive");
    Path archive = awaitArchive();
    assertThat(run(environment, "x").out)
        .contains("-XX:SharedArchiveFile=" + archive + "\n-Xlog:aot*=off,cds*=off\n-XX:ErrorFile=");
    assertThat(run(environment, "--show-command", "x").out)
        .contains(
            "'-XX:SharedArchiveFile=" + archive + "' '-Xlog:aot*=off,cds*=off' '-XX:ErrorFile=");
    assertThat(folder.resolve("made")).hasContent("made\n");
    // The archive is older than the jar.
    Files.setLastModifiedTime(archive, FileTime.from(Instant.now().minusSeconds(5)));
    Files.setLastModifiedTime(house.resolve("app/target/jneox.jar"), FileTime.from(Instant.now()));
    assertThat(run(environment, "x").out).doesNotContain("SharedArchive");
    awaitArchive();
    assertThat(folder.resolve("made")).hasContent("made\nmade\n");
    assertThat(names(house.resolve("app/target")))
        .contains("jneox.jsa", "jneox.jsa.sum")
        .noneMatch(name -> name.matches("jneox\\.jsa\\.(try)?\\d.*"));
  }

  /** The JVM takes no archive of another class path: the training part brings jars to an image. */
  @Test
  void anArchiveIsMadeAnewWhenAJarHasComeToTheOthers() throws Exception {
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));
    archiver("echo classes >\"${a#*=}\"");
    run(environment, "x");
    Path archive = awaitArchive();
    Files.setLastModifiedTime(archive, FileTime.from(Instant.now().minusSeconds(5)));
    Files.setLastModifiedTime(
        house.resolve("app/target/jneox.jar"), FileTime.from(Instant.now().minusSeconds(10)));
    Files.writeString(house.resolve("app/target/lib/train.jar"), "");
    assertThat(run(environment, "x").out).doesNotContain("SharedArchive");
    awaitArchive();
    assertThat(folder.resolve("made")).hasContent("made\nmade\n");
    assertThat(run(environment, "x").out).contains("SharedArchive");
  }

  /** The JVM would crash on most of them. */
  @Test
  void aDamagedArchiveIsNotUsedAndMadeAnew() throws Exception {
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));
    archiver("echo classes >\"${a#*=}\"");
    run(environment, "x");
    Path archive = awaitArchive();
    Path sum = house.resolve("app/target/jneox.jsa.sum");
    List<ThrowingRunnable> damages =
        List.of(
            () -> Files.writeString(archive, "classfs\n"),
            () -> Files.writeString(archive, ""),
            () -> Files.writeString(archive, "class"),
            () -> Files.delete(sum),
            () -> Files.writeString(sum, ""));
    for (ThrowingRunnable damage : damages) {
      damage.run();
      Result result = run(environment, "x");
      assertThat(result.out).doesNotContain("SharedArchive");
      assertThat(result.err).isEmpty();
      awaitArchive();
      assertThat(run(environment, "x").out).contains("SharedArchive");
    }
    assertThat(Files.readAllLines(folder.resolve("made"))).hasSize(6);
  }

  @Test
  void anArchiveThatCouldNotBeMadeIsTriedThreeTimesABuild() throws Exception {
    Map<String, String> environment = Map.of("JAVA_HOME", jdk("jdk-25"));
    archiver("exit 1");
    for (String built : List.of("jneox.jar", "lib")) {
      Files.setLastModifiedTime(
          house.resolve("app/target").resolve(built),
          FileTime.from(Instant.now().minusSeconds(1000)));
    }
    for (int start = 1; start <= 5; start++) {
      int tries = Math.min(start, 3);
      Result result = run(environment, "x");
      assertThat(result.out).doesNotContain("Archive");
      assertThat(result.err).isEmpty();
      await(
          () ->
              Files.exists(folder.resolve("made"))
                  && Files.readAllLines(folder.resolve("made")).size() == tries);
      run(environment, "x"); // within the same minute
      assertThat(house.resolve("app/target/jneox.jsa")).doesNotExist();
      // A while later.
      for (int n = 1; n <= tries; n++) {
        Files.setLastModifiedTime(
            house.resolve("app/target/jneox.jsa.try" + n),
            FileTime.from(Instant.now().minusSeconds(600)));
      }
    }
    assertThat(Files.readAllLines(folder.resolve("made"))).hasSize(3);
    Files.setLastModifiedTime(house.resolve("app/target/jneox.jar"), FileTime.from(Instant.now()));
    run(environment, "x");
    await(() -> Files.readAllLines(folder.resolve("made")).size() == 4);
  }

  /** The JVM may end well without having written the archive. */
  @Test
  void anArchiveThatIsEmptyOrMissingDoesNotCount() throws Exception {
    for (String write : List.of(":", ": >\"${a#*=}\"")) {
      archiver(write);
      run(Map.of("JAVA_HOME", jdk("jdk-25")), "x");
      await(() -> Files.exists(folder.resolve("made")));
      await(
          () ->
              names(house.resolve("app/target")).stream()
                  .noneMatch(name -> name.matches("jneox\\.jsa\\.\\d.*")));
      assertThat(house.resolve("app/target/jneox.jsa")).doesNotExist();
      Files.deleteIfExists(house.resolve("app/target/jneox.jsa.try1"));
      Files.delete(folder.resolve("made"));
    }
  }

  /** The terminal is closed while the archive is made; an earlier one was killed before that. */
  @Test
  void theArchiveOutlivesTheTerminalAndLeftoversGo() throws Exception {
    archiver("kill -HUP $PPID; sleep 0.2; echo classes >\"${a#*=}\"");
    write("app/target/jneox.jsa.123", "half");
    run(Map.of("JAVA_HOME", jdk("jdk-25")), "x");
    awaitArchive();
    assertThat(house.resolve("app/target/jneox.jsa.123")).doesNotExist();
  }

  @Test
  void ofManyStartsAtOnceOneMakesTheArchive() throws Exception {
    archiver("sleep 1; echo classes >\"${a#*=}\"");
    List<Running> all = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      all.add(start(Map.of("JAVA_HOME", jdk("jdk-25")), house + "/jneox", "x"));
    }
    for (Running each : all) {
      assertThat(each.end().exit).isZero();
    }
    awaitArchive();
    assertThat(folder.resolve("made")).hasContent("made\n");
  }

  @Test
  void whereNothingCanBeWrittenThereIsNoArchive() throws Exception {
    // A file in the way: root may write into any directory.
    Files.createDirectories(house.resolve("app/target/jneox.jsa/in the way"));
    Result result = run(Map.of("JAVA_HOME", jdk("jdk-25")), "x");
    assertThat(result.exit).isZero();
    assertThat(result.err).isEmpty();
    assertThat(result.out).doesNotContain("Archive");
  }

  @Test
  void aCrashLeavesItsReportInTheFolderForCachesOrElseInTheTemporaryOne() throws Exception {
    Files.createDirectories(folder.resolve("a home"));
    String jdk = jdk("jdk-25");
    assertThat(run(Map.of("JAVA_HOME", jdk), "x").out)
        .contains("-XX:ErrorFile=" + folder + "/a home/.cache/jneox/crash/hs_err_pid%p.log\n");
    assertThat(folder.resolve("a home/.cache/jneox/crash")).isDirectory();
    assertThat(run(Map.of("JAVA_HOME", jdk, "XDG_CACHE_HOME", folder + "/xdg"), "x").out)
        .contains("-XX:ErrorFile=" + folder + "/xdg/jneox/crash/hs_err_pid%p.log\n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "XDG_CACHE_HOME", "xdg"), "x").out)
        .contains("=" + folder + "/a home/.cache/jneox/crash/replay_pid");
    Files.createFile(folder.resolve("file"));
    assertThat(run(Map.of("JAVA_HOME", jdk, "HOME", folder + "/file"), "x").out)
        .contains("-XX:ErrorFile=/tmp/hs_err_pid%p.log\n");
    assertThat(run(Map.of("JAVA_HOME", jdk, "HOME", "/proc", "TMPDIR", folder.toString()), "x").out)
        .contains("-XX:ErrorFile=" + folder + "/hs_err_pid%p.log\n");
  }

  /**
   * A java that, asked for an archive of classes, leaves a line in a file and runs a command for
   * which $a is the option.
   */
  private void archiver(String command) throws IOException {
    script(
        folder.resolve("jdk-25/bin/java"),
        "for a; do case $a in -XX:ArchiveClassesAtExit=*) echo made >>'"
            + folder
            + "/made'; "
            + command
            + " ;; esac; done\n"
            + "printf '%s\\n' \"$@\"\n");
  }

  private Path awaitArchive() throws IOException, InterruptedException {
    Path target = house.resolve("app/target");
    await(
        () ->
            names(target).contains("jneox.jsa")
                && names(target).stream().noneMatch(name -> name.contains(".try")));
    return target.resolve("jneox.jsa");
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      return all.map(path -> path.getFileName().toString()).toList();
    }
  }

  private interface ThrowingRunnable {
    void run() throws IOException;
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
    Files.setLastModifiedTime(
        house.resolve("app/target/jneox.jar"), FileTime.from(now.toInstant().minusSeconds(100)));
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
    script(
        jdk.resolve("java"),
        "echo \"$0\"\n"
            + "echo \"variable $JNEOX_TEST_VARIABLE\"\n"
            + "echo \"locale $LC_ALL\"\n"
            + "for a in \"$@\"; do case $a in -Djneox.stderr=3) ;; *) printf '%s\\n"
            + "' \"$a\" ;; esac; done\n");
    script(jdk.resolve("javac"), "");
    Files.writeString(
        folder.resolve(name).resolve("release"),
        "IMPLEMENTOR=\"Nobody\"\nJAVA_VERSION=\"" + version + "\"\n");
  }

  private void write(String file, String text) throws IOException {
    Path path = house.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  private static void script(Path file, String text) throws IOException {
    Files.deleteIfExists(file); // the background try for an archive may be running the old one
    Files.writeString(file, text.startsWith("#!") ? text : "#!/bin/sh\n" + text);
    assertThat(file.toFile().setExecutable(true)).isTrue();
  }

  private Result run(Map<String, String> environment, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(house + "/jneox"));
    command.addAll(List.of(arguments));
    return start(environment, command.toArray(String[]::new)).end();
  }

  private Running start(Map<String, String> environment, String... command) throws IOException {
    Path out = Files.createTempFile(folder, "out", "");
    Path err = Files.createTempFile(folder, "err", "");
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectOutput(out.toFile())
            .redirectError(err.toFile());
    builder.environment().clear();
    builder.environment().put("PATH", bin + ":/usr/bin:/bin");
    builder.environment().put("HOME", folder + "/a home");
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
