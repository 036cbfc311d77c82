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
    String[] head = {"prepare", "--tokenizer", tokenizer, "--out", folder.resolve("data").toString()};
    return Output.of(IntStream.range(0, head.length + rest.length)
        .mapToObj(i -> i < head.length ? head[i] : rest[i - head.length]).toArray(String[]::new));
  }

  @Test
  void writesTheIdsAndSaysHowMany() throws IOException {
    Path lines = file("a.jsonl", "{\"text\": \"" + TEXT + "\", \"meta\": {\"pile_set_name\": \"Cats\"}}\n{\"text\": \"\"}\n");
    Path text = file("b.txt", "the mat");
    Output output = prepare(text.toString(), lines.toString());
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
    assertThat(prepare("--no-append-eod", text).code()).isZero();
    assertThat(IndexedDataset.open(folder.resolve("data")).size(0)).isEqualTo(with - 1);
  }

  @Test
  void saysInOneLineWhatIsWrongAndLeavesNothing() throws IOException {
    Path bad = file("a.jsonl", "{\"text\": \"fine\"}\n{\"txt\": 1}\n");
    Output output = prepare(bad.toString());
    assertThat(output.code()).isEqualTo(1);
    assertThat(output.err()).contains("jneox: " + bad + ": line 2: expected the key \"text\", found an object without it");
    assertThat(prepare("--eod", "</s>", bad.toString()).err()).contains("jneox: the tokenizer has no token </s>");
    assertThat(folder.resolve("data.bin")).doesNotExist();
    assertThat(folder.resolve("data.idx")).doesNotExist();
    assertThat(prepare("--skip-bad", bad.toString()).out()).contains("\"bad\" : 1");
  }
}
