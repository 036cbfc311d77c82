package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stops a process that builds. */
@Tag("slow")
class StoppedBuildTest {
  @TempDir private Path folder;

  private Process build() throws IOException {
    List<String> command =
        new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin/java").toString()));
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(option -> option.startsWith("--"))
        .forEach(command::add);
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            "dev.jneox.corpus.cli.CorpusMain",
            "corpus",
            "build",
            "--master",
            "local[1]",
            "--out",
            folder.resolve("out").toString(),
            folder.resolve("p.yml").toString()));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("log").toFile())
        .start();
  }

  private List<String> hidden() throws IOException {
    try (Stream<Path> list = Files.list(folder)) {
      return list.map(path -> path.getFileName().toString())
          .filter(name -> name.startsWith(".") || name.contains(".partial"))
          .toList();
    }
  }

  @Test
  void whatIsStoppedLeavesItsFinishedStagesAndSaysSo() throws Exception {
    Files.writeString(folder.resolve("a.jsonl"), CorpusBuildTest.lines(2000, 1));
    Files.writeString(
        folder.resolve("p.yml"),
        "sources: [{name: a, path: a.jsonl}]\nsteps: [exact_dedup, minhash_dedup]\n");
    Files.createDirectories(folder.resolve(".out.spark123/of/a/killed/build"));
    Process process = build();
    try {
      Path stage = folder.resolve(".out.stages/00-read/_SUCCESS");
      long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(3);
      while (!Files.exists(stage) && process.isAlive() && System.nanoTime() < end) {
        Thread.sleep(10);
      }
      process.destroy();
      assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
    } finally {
      process.destroyForcibly();
    }
    assertThat(Files.readString(folder.resolve("log")))
        .contains("the same command goes on from the stages that are finished, kept in");
    assertThat(process.exitValue()).isEqualTo(143);
    assertThat(hidden()).containsExactly(".out.stages");
    Process again = build();
    try {
      assertThat(again.waitFor(5, TimeUnit.MINUTES)).isTrue();
    } finally {
      again.destroyForcibly();
    }
    assertThat(Files.readString(folder.resolve("log")))
        .contains("went on from stages of an earlier run: read");
    assertThat(again.exitValue()).isZero();
    assertThat(hidden()).isEmpty();
  }
}
