package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.io.Progress;
import dev.jneox.tokenizer.BpeTrainer;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Builds on a standalone cluster of Spark, a master and two workers on this machine, whose
 * executors and driver are killed: {@code mvn -Psoak -pl corpus -am verify}.
 */
@Tag("soak")
class ClusterTest {
  /**
   * Libraries of ours that no installation of Spark has: the executors get them from the driver.
   */
  private static final Pattern OURS =
      Pattern.compile("(opennlp|jwarc|jsoup|snakeyaml|picocli|progressbar|xchart|hardwood).*");

  private static final Pattern URL = Pattern.compile("spark://127\\.0\\.0\\.1:\\d+");

  @TempDir private Path folder;
  private final List<Process> processes = new ArrayList<>();
  private final List<Process> workers = new ArrayList<>();
  private Path jars; // the class path of the driver
  private Path spark; // an installation of Spark without ours
  private String master;

  @BeforeEach
  void startTheCluster() throws Exception {
    jars = Files.createDirectories(folder.resolve("lib"));
    spark = folder.resolve("spark");
    Files.createDirectories(spark.resolve("jars"));
    int number = 0;
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(entry);
      String name = path.getFileName().toString();
      if (Files.isDirectory(path)) {
        jar(path, jars.resolve("own-" + number++ + ".jar"));
      } else if (Files.exists(path)) {
        Files.createSymbolicLink(jars.resolve(name), path);
        if (!path.toString().contains("/target/") && !OURS.matcher(name).matches()) {
          Files.createSymbolicLink(spark.resolve("jars").resolve(name), path);
        }
      }
    }
    start("master", spark.resolve("jars"), "org.apache.spark.deploy.master.Master");
    Path log = folder.resolve("master.log");
    master =
        await(
            "the master's URL in " + log,
            () -> {
              Matcher matcher = URL.matcher(Files.readString(log));
              return matcher.find() ? Optional.of(matcher.group()) : Optional.empty();
            });
    for (String name : List.of("worker1", "worker2")) {
      workers.add(
          start(
              name,
              spark.resolve("jars"),
              "org.apache.spark.deploy.worker.Worker",
              "--cores",
              "1",
              "--memory",
              "1g",
              "--work-dir",
              folder.resolve(name).toString(),
              master));
    }
  }

  @AfterEach
  void stopAll() throws InterruptedException {
    for (Process process : processes.reversed()) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly().waitFor();
    }
  }

  private static void jar(Path classes, Path jar) throws IOException {
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar));
        Stream<Path> files = Files.walk(classes)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        out.putNextEntry(new JarEntry(classes.relativize(file).toString()));
        Files.copy(file, (OutputStream) out);
        out.closeEntry();
      }
    }
  }

  private Process start(String name, Path classPath, String main, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    try (InputStream conf = ClusterTest.class.getResourceAsStream("cli/launch.conf")) {
      new String(conf.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> line.startsWith("--"))
          .forEach(line -> command.addAll(List.of(line.split(" "))));
    }
    command.addAll(List.of("-Xmx512m", "-cp", classPath + "/*", main));
    if (main.startsWith("org.apache.spark.deploy")) {
      command.addAll(List.of("--host", "127.0.0.1", "--port", "0", "--webui-port", "0"));
    }
    command.addAll(List.of(arguments));
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve(name + ".log").toFile());
    builder
        .environment()
        .putAll(
            Map.of(
                "SPARK_HOME",
                spark.toString(),
                "SPARK_SCALA_VERSION",
                "2.13",
                "SPARK_LOCAL_IP",
                "127.0.0.1",
                "JAVA_HOME",
                System.getProperty("java.home")));
    Process process = builder.start();
    processes.add(process);
    return process;
  }

  private Process driver(Path pipeline, Path out) throws IOException {
    return start(
        "driver",
        jars,
        "dev.jneox.corpus.cli.CorpusMain",
        "corpus",
        "build",
        pipeline.toString(),
        "--out",
        out.toString(),
        "--master",
        master);
  }

  /** Asks until there is an answer. */
  private static <T> T await(String what, Callable<Optional<T>> question) throws Exception {
    Instant end = Instant.now().plus(Duration.ofMinutes(10));
    while (Instant.now().isBefore(end)) {
      Optional<T> answer = question.call();
      if (answer.isPresent()) {
        return answer.get();
      }
      Thread.sleep(20);
    }
    throw new AssertionError("waited for " + what);
  }

  private void awaitFile(Process driver, Path file) throws Exception {
    await(
        file.toString(),
        () -> {
          assertThat(driver.isAlive() || Files.exists(file))
              .as(Files.readString(folder.resolve("driver.log")))
              .isTrue();
          return Files.exists(file) ? Optional.of(file) : Optional.empty();
        });
  }

  /** Kills an executor of a worker. */
  private void killExecutor(int worker) throws Exception {
    ProcessHandle executor =
        await("an executor", () -> workers.get(worker).toHandle().descendants().findFirst());
    assertThat(executor.destroyForcibly()).isTrue();
  }

  @Test
  void theSameBytesWhateverIsKilled() throws Exception {
    Files.writeString(folder.resolve("a.jsonl"), CorpusBuildTest.lines(8000, 1));
    Files.writeString(folder.resolve("b.jsonl"), CorpusBuildTest.lines(4000, 2));
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(CorpusBuildTest.documents(20, 3).iterator());
    trainer.train(merges -> {}).write(folder.resolve("tokenizer.json"));
    Path pipeline =
        Files.writeString(
            folder.resolve("p.yml"),
            """
            sources:
              - {name: alpha, path: a.jsonl, weight: 1.5}
              - {name: beta, path: b.jsonl}
            steps:
              - unicode
              - language: {only: alpha}
              - exact_dedup
              - minhash_dedup: {driver_edges: 0}
            output: {format: megatron, tokenizer: tokenizer.json, held_out: 0.1}
            """);
    CorpusBuild.run(
        Spark.session("local[2]"),
        Pipeline.read(pipeline),
        new CorpusBuild.Options(folder.resolve("local"), 0, false, false),
        (task, total) -> Progress.silent());
    Map<String, String> expected = CorpusBuildTest.content(folder.resolve("local"));

    // Two executors are killed: one as it reads, one as it writes the pairs.
    Path out = folder.resolve("cluster");
    Path stages = folder.resolve(".cluster.stages");
    Process driver = driver(pipeline, out);
    awaitFile(driver, stages.resolve("00-read"));
    killExecutor(0);
    awaitFile(driver, stages.resolve("02-pairs"));
    killExecutor(1);
    assertThat(driver.waitFor()).as(Files.readString(folder.resolve("driver.log"))).isZero();
    assertThat(CorpusBuildTest.content(out)).isEqualTo(expected);

    // The driver is killed; the same command goes on.
    out = folder.resolve("again");
    stages = folder.resolve(".again.stages");
    driver = driver(pipeline, out);
    awaitFile(driver, stages.resolve("02-pairs/_SUCCESS"));
    driver.destroyForcibly().waitFor();
    assertThat(out).doesNotExist();
    driver = driver(pipeline, out);
    assertThat(driver.waitFor()).as(Files.readString(folder.resolve("driver.log"))).isZero();
    assertThat(CorpusBuildTest.content(out)).isEqualTo(expected);
    assertThat(Files.readString(folder.resolve("driver.log"))).contains(" 0.0 s of CPU  read");
    assertThat(stages).doesNotExist();
  }
}
