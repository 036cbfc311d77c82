package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jneox.data.IndexedDataset;
import dev.jneox.tokenizer.BpeTrainer;
import dev.jneox.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PrepareCommandTest {
  private static final String TEXT = "the cat sat on the mat, the cat sat on the hat";

  @TempDir Path folder;

  private String tokenizer;

  @BeforeEach
  void trainATokenizer() {
    BpeTrainer trainer = new BpeTrainer(300);
    trainer.count(List.of(TEXT).iterator());
    tokenizer = folder.resolve("tokenizer.json").toString();
    trainer.train(n -> {}).write(Path.of(tokenizer));
  }

  private Path file(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }

  private Output prepare(String... rest) {
    String[] head = {
      "prepare", "--tokenizer", tokenizer, "--out", folder.resolve("data").toString()
    };
    return Output.of(
        IntStream.range(0, head.length + rest.length)
            .mapToObj(i -> i < head.length ? head[i] : rest[i - head.length])
            .toArray(String[]::new));
  }

  @Test
  void writesTheIdsAndSaysHowMany() throws IOException {
    Path lines =
        file(
            "a.jsonl",
            "{\"text\": \""
                + TEXT
                + "\", \"meta\": {\"pile_set_name\": \"Cats\"}}\n{\"text\": \"\"}\n");
    Path text = file("b.txt", "the mat");
    Output output = prepare("--json", text.toString(), lines.toString());
    assertThat(output.code()).isZero();
    assertThat(output.err()).startsWith("tokenising: ");
    IndexedDataset data = IndexedDataset.open(folder.resolve("data"));
    try (Tokenizer loaded = Tokenizer.load(Path.of(tokenizer))) {
      int end = loaded.id("<|endoftext|>").orElseThrow();
      assertThat(data.get(0)).endsWith(end).startsWith(loaded.encode("the mat"));
      assertThat(data.get(1)).endsWith(end).startsWith(loaded.encode(TEXT));
    }
    JsonNode report = new ObjectMapper().readTree(output.out());
    assertThat(report.get("documents").asLong()).isEqualTo(2);
    assertThat(report.get("tokens").asLong()).isEqualTo(data.tokens());
    assertThat(report.get("empty_or_short").asLong()).isEqualTo(1);
    assertThat(report.get("sets").get("Cats").get("documents").asLong()).isEqualTo(1);
  }

  @Test
  void leavesOutTheEndOnRequest() throws IOException {
    String text = file("b.txt", TEXT).toString();
    assertThat(prepare("--append-eod", text).code()).isZero();
    int with = IndexedDataset.open(folder.resolve("data")).size(0);
    assertThat(prepare("--force", "--no-append-eod", text).code()).isZero();
    assertThat(IndexedDataset.open(folder.resolve("data")).size(0)).isEqualTo(with - 1);
  }

  @Test
  void saysInOneLineWhatIsWrongAndLeavesNothing() throws IOException {
    Path bad = file("a.jsonl", "{\"text\": \"fine\"}\n{\"txt\": 1}\n");
    Output output = prepare(bad.toString());
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.err())
        .contains(
            "jneox: " + bad + ": line 2: expected the key \"text\", found an object without it");
    assertThat(prepare("--eod", "</s>", bad.toString()).err())
        .contains("jneox: the tokenizer has no token </s>");
    assertThat(folder.resolve("data.bin")).doesNotExist();
    assertThat(folder.resolve("data.idx")).doesNotExist();
    assertThat(prepare("--json", "--skip-bad", bad.toString()).out()).contains("\"bad\" : 1");
  }

  @Test
  void nothingLeftIsOneLineThatSaysWhyAndTheTargetStays() throws IOException {
    assertThat(prepare(file("good.txt", TEXT).toString()).code()).isZero();
    byte[] before = Files.readAllBytes(folder.resolve("data.bin"));
    Path empty = Files.createDirectory(folder.resolve("empty"));
    nothing(": folder: expected files that end in .jsonl", empty.toString());
    Files.createFile(empty.resolve("a.txt"));
    nothing(
        ": expected text, found none: 1 file, 1 document, 0 skipped as bad, 1 empty",
        empty.toString());
    Files.createFile(empty.resolve("b.jsonl"));
    Files.writeString(
        empty.resolve("c.jsonl"), "{\"text\": \"\"}\n{\"text\": \"short\"}\nno JSON\n");
    Files.createFile(empty.resolve("d.png"));
    nothing(
        ": expected text, found none: 3 files, 4 documents, 1 skipped as bad, 3 shorter than 6"
            + " characters; 1 file of another kind",
        "--skip-bad",
        "--min-chars",
        "6",
        empty.toString());
    nothing(
        ": expected text, found none: 4 files, 5 documents, 2 skipped as bad, 3 shorter",
        "--skip-bad",
        "--min-chars",
        "6",
        empty.toString(),
        file("bad.jsonl", "{}\n").toString());
    Path archive = folder.resolve("images.zip");
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(archive))) {
      zip.putNextEntry(new ZipEntry("a.png"));
      zip.write(new byte[] {(byte) 0x89, 'P', 'N', 'G', 0, 1, 2});
    }
    nothing(
        ": expected text, found none: 1 file, 0 documents, 0 skipped as bad, 0 empty; 1 binary"
            + " member of archives",
        archive.toString());
    assertThat(folder.resolve("data.bin")).hasBinaryContent(before);
    assertThat(
            prepare("--json", "--force", "--skip-bad", "--min-chars", "5", empty.toString()).out())
        .contains("\"documents\" : 1");
  }

  @Test
  void aDataSetThatIsThereIsReplacedOnRequestOnly() throws IOException {
    String text = file("b.txt", TEXT).toString();
    Output first = prepare(text);
    assertThat(first.code()).isZero();
    assertThat(first.out().lines())
        .satisfiesExactly(
            line -> assertThat(line).startsWith(folder + "/data.bin and .idx: "),
            line -> assertThat(line).matches("read .* bytes in .* s, .* tokens/s"),
            line ->
                assertThat(line)
                    .startsWith("next: jneox train ")
                    .contains("data_path=" + folder + "/data", "vocab_file=" + tokenizer));
    Files.delete(folder.resolve("data.bin"));
    Output second = prepare(text);
    assertThat(second.code()).isEqualTo(1);
    assertThat(second.err())
        .isEqualTo(
            "jneox: "
                + folder
                + "/data.idx: exists already: choose another name, or replace it with --force\n");
    assertThat(prepare("--force", text).code()).isZero();
    assertThat(folder.resolve("data.bin")).exists();
  }

  private void nothing(String message, String... rest) {
    Output output =
        prepare(Stream.concat(Stream.of("--force"), Stream.of(rest)).toArray(String[]::new));
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.out()).isEmpty();
    assertThat(output.err().lines().filter(line -> line.startsWith("jneox: ")))
        .singleElement()
        .asString()
        .contains(message);
  }
}
