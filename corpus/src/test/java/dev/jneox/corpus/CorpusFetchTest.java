package dev.jneox.corpus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.apache.commons.compress.archivers.ar.ArArchiveEntry;
import org.apache.commons.compress.archivers.ar.ArArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.compressors.xz.XZCompressorOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Fetches from clients that are played: each leaves the file that the real one would. */
class CorpusFetchTest {
  private static final String PIPELINE =
      """
      sources:
        - name: manuals
          path: texts/manuals.jsonl
          licence: GPL-2.0-or-later
          packages:
            - {package: debian:pages, files: usr/share/man/man*/*, except: "**/x.*", as: man}
            - {package: npm:@a/poems@1.2.3, files: package/*.json, as: poems, licence: MIT}
        - name: code
          path: texts/code.jsonl
          packages:
            - {package: "maven:g.h:a:1.0", files: "**.java", licence: Apache-2.0}
        - name: sums
          path: texts/sums.jsonl
          licence: Apache-2.0
          generator: mathematics
          documents: 3
          seed: 5
        - name: other
          path: other.jsonl
      """;

  @TempDir private Path folder;
  private Path pipeline;
  private final List<String> commands = new ArrayList<>();
  private String version = "1:2.0-1";
  private String page = ".TH LS 1\n.SH NAME\nls \\- list\n";

  @BeforeEach
  void writePipeline() throws IOException {
    pipeline = folder.resolve("small.yml");
    Files.writeString(pipeline, PIPELINE);
  }

  private PackageClient.Finished play(List<String> command, Path at) throws IOException {
    commands.add(String.join(" ", command.subList(0, command.size() - 1)));
    String what = command.toString();
    if (what.contains("apt-get")) {
      String wanted = command.getLast();
      if (wanted.contains("=") && !wanted.endsWith("=" + version)) {
        return new PackageClient.Finished(100, "W: x\nE: Version for 'pages' was not found\n");
      }
      Map<String, byte[]> files = new LinkedHashMap<>();
      files.put("./usr/share/man/man1/ls.1.gz", gzip(bytes(page)));
      files.put("./usr/share/man/man1/x.1", bytes(page));
      files.put("./usr/share/man/man1/so.1", bytes(".so ls.1\n"));
      files.put("../../../usr/share/man/man1/out.1", bytes(page));
      Files.write(at.resolve("pages_" + version.replace(":", "%3a") + "_all.deb"), deb(files));
    } else if (what.contains("npm")) {
      Files.write(
          at.resolve("a-poems-1.2.3.tgz"),
          gzip(tar(Map.of("package/p.json", bytes("[{\"title\":\"T\",\"content\":[\"x\"]}]")))));
    } else {
      Files.write(at.resolve("a-1.0-sources.jar"), jar(Map.of("g/A.java", bytes("class A {}\n"))));
    }
    return new PackageClient.Finished(0, "");
  }

  private List<CorpusFetch.Fetched> fetch(boolean updateLock, String... names) {
    return CorpusFetch.run(
        pipeline,
        null,
        List.of(names),
        updateLock,
        Progress.silent(),
        new PackageClient(this::play));
  }

  @Test
  void packagesBecomeJsonLines() throws IOException {
    List<CorpusFetch.Fetched> fetched = fetch(false);
    assertThat(fetched)
        .extracting(CorpusFetch.Fetched::name)
        .containsExactly("manuals", "code", "sums");
    assertThat(fetched.getFirst())
        .isEqualTo(
            new CorpusFetch.Fetched(
                "manuals", folder.resolve("texts/manuals.jsonl"), 2, 27, 1, true));
    assertThat(Files.readString(folder.resolve("texts/manuals.jsonl")))
        .isEqualTo(
            "{\"text\":\"LS(1)\\n"
                + "\\n"
                + "NAME\\n"
                + "\\n"
                + "ls - list\\n"
                + "\",\"meta\":{\"package\":\"debian:pages\",\"file\":\"usr/share/man/man1/ls.1.gz\",\"licence\":\"GPL-2.0-or-later\"}}\n"
                + "{\"text\":\"T\\n"
                + "x\\n"
                + "\",\"meta\":{\"package\":\"npm:@a/poems@1.2.3\",\"file\":\"package/p.json\",\"licence\":\"MIT\"}}\n");
    assertThat(Files.readString(folder.resolve("texts/code.jsonl"))).contains("class A {}");
    assertThat(Files.readAllLines(folder.resolve("texts/sums.jsonl"))).hasSize(3);
    assertThat(Files.readString(folder.resolve("small.lock")))
        .containsPattern("debian:pages 1:2.0-1 \\d+ [0-9a-f]{64}\n")
        .containsPattern("maven:g.h:a:1.0 1.0 \\d+ ")
        .containsPattern("npm:@a/poems@1.2.3 1.2.3 \\d+ ");
    assertThat(folder.resolve("texts/packages")).isDirectoryNotContaining("glob:**download-*");
  }

  @Test
  void whatIsThereIsNotMadeAgain() throws IOException {
    fetch(false);
    commands.clear();
    assertThat(fetch(false)).noneMatch(CorpusFetch.Fetched::made);
    assertThat(commands).isEmpty();
    Files.writeString(folder.resolve("texts/code.jsonl"), "cut");
    assertThat(fetch(false)).filteredOn(CorpusFetch.Fetched::made).hasSize(1);
    assertThat(commands).isEmpty();
    Files.writeString(pipeline, PIPELINE.replace("seed: 5", "seed: 6"));
    assertThat(fetch(false))
        .filteredOn(CorpusFetch.Fetched::made)
        .extracting(CorpusFetch.Fetched::name)
        .containsExactly("sums");
  }

  @Test
  void onlyTheNamedSourcesAreMade() {
    assertThat(fetch(false, "sums")).hasSize(1);
    assertThat(commands).isEmpty();
    assertThatThrownBy(() -> fetch(false, "sum"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("did you mean sums?");
  }

  @Test
  void otherBytesThanTheLockSaysAreRefusedByName() throws IOException {
    fetch(false);
    Path packages = folder.resolve("texts/packages");
    Path cached = packages.resolve("debian-pages-1_2.0-1.deb");
    Files.writeString(cached, "damaged"); // it is fetched again
    page = page + ".SH MORE\nx\n";
    String lock = Files.readString(folder.resolve("small.lock"));
    assertThatThrownBy(() -> fetch(false))
        .isInstanceOf(InputException.class)
        .hasMessageMatching("(?s).*small.lock: debian:pages 1:2.0-1: expected SHA-256 .*");
    assertThat(cached).doesNotExist();
    assertThat(folder.resolve("small.lock")).hasContent(lock);
    fetch(true);
    assertThat(Files.readString(folder.resolve("small.lock"))).isNotEqualTo(lock);
    assertThat(Files.readString(folder.resolve("texts/manuals.jsonl"))).contains("MORE");
  }

  @Test
  void aVersionThatIsGoneSaysHowToGoOn() {
    fetch(false);
    version = "1:2.0-2";
    assertThat(folder.resolve("texts/packages/debian-pages-1_2.0-1.deb").toFile().delete())
        .isTrue();
    assertThatThrownBy(() -> fetch(false))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "debian:pages 1:2.0-1: apt-get ended with code 100: E: Version for 'pages' was not"
                + " found (mirrors keep one version only: take theirs with --update-lock, or run"
                + " apt-get update first)");
    fetch(true);
    assertThat(folder.resolve("small.lock")).content().contains("debian:pages 1:2.0-2 ");
  }

  @Test
  void aMissingClientIsNamed() {
    PackageClient client =
        new PackageClient(
            (command, at) -> {
              throw new IOException("Cannot run program \"" + command.getFirst() + "\": error=2");
            });
    assertThatThrownBy(
            () ->
                CorpusFetch.run(pipeline, null, List.of("code"), false, Progress.silent(), client))
        .isInstanceOf(InputException.class)
        .hasMessage("maven:g.h:a:1.0: mvn is not on the PATH: install Maven 3.8 or newer");
  }

  @Test
  void wrongKeysAreNamedWithTheirPlace() throws IOException {
    Map<String, String> wrong =
        Map.of(
            "as: man", "as: men",
            "debian:pages", "rpm:pages",
            "usr/share/man/man*/*", "\"{a{b}\"",
            "path: texts/code.jsonl", "path: texts/code.txt",
            "generator: mathematics", "generator: physics",
            ", licence: Apache-2.0", "");
    for (Map.Entry<String, String> entry : wrong.entrySet()) {
      Files.writeString(pipeline, PIPELINE.replace(entry.getKey(), entry.getValue()));
      assertThatThrownBy(() -> fetch(false))
          .as(entry.getValue())
          .isInstanceOf(InputException.class)
          .hasMessageMatching("(?s).*small.yml: sources\\[\\d] \\(\\w+\\)\\S*: expected .*");
    }
    Files.writeString(pipeline, PIPELINE.replace("man*/*", "men*/*"));
    assertThatThrownBy(() -> fetch(false))
        .hasMessageContaining("source manuals: debian:pages: expected files");
    assertThat(folder.resolve("texts/manuals.jsonl")).doesNotExist();
  }

  @Test
  void aDamagedPackageIsNamed() throws IOException {
    Path file = folder.resolve("p.deb");
    byte[] whole = deb(Map.of("a.txt", "x".repeat(100_000).getBytes(StandardCharsets.UTF_8)));
    for (int length : new int[] {0, 10, whole.length / 2, whole.length - 30}) {
      Files.write(file, java.util.Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> PackageFiles.each(file, name -> true, (name, bytes) -> {}))
          .as("%d bytes", length)
          .isInstanceOf(InputException.class)
          .hasMessageContaining("p.deb: is no whole package");
    }
  }

  @Test
  void intoAnotherFolderWithTheirPipeline() {
    Path into = folder.resolve("elsewhere");
    CorpusFetch.run(
        pipeline, into, List.of("sums"), false, Progress.silent(), new PackageClient(this::play));
    assertThat(into.resolve("texts/sums.jsonl")).exists();
    assertThat(into.resolve("small.yml")).hasSameTextualContentAs(pipeline);
  }

  @Test
  void aBuildReadsWhatWasFetchedAndSaysHowToFetch() {
    Pipeline read = Pipeline.read(pipeline);
    assertThat(read.sources()).hasSize(4);
    assertThatThrownBy(() -> Part.of(read, 1000))
        .hasMessageContaining("no such file or folder (make it with: jneox corpus fetch ");
    fetch(false);
    assertThatThrownBy(() -> Part.of(read, 1000))
        .hasMessageMatching(".*other.jsonl: no such file or folder");
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] gzip(byte[] content) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (OutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(content);
    }
    return out.toByteArray();
  }

  private static byte[] tar(Map<String, byte[]> files) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
      for (Map.Entry<String, byte[]> file : files.entrySet()) {
        TarArchiveEntry entry = new TarArchiveEntry(file.getKey());
        entry.setSize(file.getValue().length);
        entry.setModTime(0);
        tar.putArchiveEntry(entry);
        tar.write(file.getValue());
        tar.closeArchiveEntry();
      }
    }
    return out.toByteArray();
  }

  private static byte[] deb(Map<String, byte[]> files) throws IOException {
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    try (OutputStream xz = new XZCompressorOutputStream(data)) {
      xz.write(tar(files));
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ArArchiveOutputStream ar = new ArArchiveOutputStream(out)) {
      for (Map.Entry<String, byte[]> member :
          List.of(
              Map.entry("debian-binary", bytes("2.0\n")),
              Map.entry("data.tar.xz", data.toByteArray()))) {
        ar.putArchiveEntry(
            new ArArchiveEntry(member.getKey(), member.getValue().length, 0, 0, 33188, 0));
        ar.write(member.getValue());
        ar.closeArchiveEntry();
      }
    }
    return out.toByteArray();
  }

  private static byte[] jar(Map<String, byte[]> files) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(out)) {
      for (Map.Entry<String, byte[]> file : files.entrySet()) {
        ZipEntry entry = new ZipEntry(file.getKey());
        entry.setTime(0);
        zip.putNextEntry(entry);
        zip.write(file.getValue());
      }
    }
    return out.toByteArray();
  }
}
