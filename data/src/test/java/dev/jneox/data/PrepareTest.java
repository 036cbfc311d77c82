package dev.jneox.data;

import static dev.jneox.data.Fixtures.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.jimfs.Configuration;
import com.google.common.jimfs.Jimfs;
import dev.jneox.data.Prepare.Count;
import dev.jneox.data.Prepare.Options;
import dev.jneox.data.Prepare.Result;
import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PrepareTest {
  @TempDir Path folder;

  private static Result prepare(Path input, Path out, Options options) {
    return Prepare.run(List.of(input), new ByteTokenizer(), out, options, Progress.silent());
  }

  private static Options options(int threads) {
    return new Options(threads, "<|endoftext|>", false, 1);
  }

  private Path corpus(int documents, int longest) throws IOException {
    Random random = new Random(3);
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < documents; i++) {
      lines.append(
          "{\"text\":\"%d%s\",\"meta\":{\"pile_set_name\":\"%s\"}}%n"
              .formatted(i, "x".repeat(random.nextInt(longest)), i % 3 == 0 ? "third" : "rest"));
    }
    return Files.writeString(folder.resolve("corpus.jsonl"), lines);
  }

  @Test
  void endsEveryDocumentAndCountsWhatItDid() throws IOException {
    Path input =
        Files.writeString(
            folder.resolve("in.jsonl"),
            """
            {"text": "ab", "meta": {"pile_set_name": "A"}}
            {"text": ""}
            {"text": "é"}
            {"text": "c", "meta": {"pile_set_name": "A"}}
            """);
    Result result = prepare(input, folder.resolve("out"), options(2));
    IndexedDataset data = IndexedDataset.open(folder.resolve("out"));
    assertThat(data.sequences()).isEqualTo(3);
    assertThat(data.get(0)).containsExactly('a', 'b', ByteTokenizer.END);
    assertThat(data.get(1)).containsExactly(0xC3, 0xA9, ByteTokenizer.END);
    assertThat(result.documents()).isEqualTo(3);
    assertThat(result.tokens()).isEqualTo(8);
    assertThat(result.bytes()).isEqualTo(Files.size(input));
    assertThat(result.shorter()).isEqualTo(1);
    assertThat(result.sets()).isEqualTo(Map.of("A", new Count(2, 5)));
  }

  @Test
  void leavesOutTheEndAndShortDocumentsOnRequest() throws IOException {
    Path input =
        Files.writeString(
            folder.resolve("in.jsonl"), "{\"text\": \"ab\"}\n{\"text\": \"c\"}\nnothing\n");
    Result result = prepare(input, folder.resolve("out"), new Options(1, null, true, 2));
    assertThat(IndexedDataset.open(folder.resolve("out")).get(0)).containsExactly('a', 'b');
    assertThat(result.documents()).isEqualTo(1);
    assertThat(result.shorter()).isEqualTo(1);
    assertThat(result.skipped().bad()).isEqualTo(1);
  }

  @Tag("slow")
  @Test
  void writesTheSameFilesWithAnyNumberOfThreads() throws IOException {
    Path input = corpus(5000, 900);
    Result one = prepare(input, folder.resolve("one"), options(1));
    Result many = prepare(input, folder.resolve("many"), options(7));
    assertThat(bytes(folder.resolve("many.bin"))).isEqualTo(bytes(folder.resolve("one.bin")));
    assertThat(bytes(folder.resolve("many.idx"))).isEqualTo(bytes(folder.resolve("one.idx")));
    assertThat(many.sets()).isEqualTo(one.sets()).hasSize(2);
    IndexedDataset data = IndexedDataset.open(folder.resolve("many"));
    for (int i = 0; i < 5000; i++) {
      assertThat(new ByteTokenizer().decode(data.get(i))).startsWith(i + "");
    }
  }

  @Test
  void passesOnTheFirstErrorAndLeavesNothing() throws IOException {
    Path input = corpus(3000, 900);
    List<String> lines = Files.readAllLines(input);
    lines.set(700, "broken");
    lines.set(2900, "broken too");
    Files.write(input, lines);
    assertThatThrownBy(() -> prepare(input, folder.resolve("out"), options(3)))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(input + ": line 701, column ");
    assertThat(names(folder)).containsExactly("corpus.jsonl");
    assertThat(prepare(input, folder.resolve("out"), new Options(3, null, true, 1)).skipped().bad())
        .isEqualTo(2);
  }

  @Test
  void saysWhenTheTokenizerHasNoSuchEnd() throws IOException {
    Path input = corpus(1, 5);
    assertThatThrownBy(
            () -> prepare(input, folder.resolve("out"), new Options(1, "</s>", false, 1)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("no token </s>");
    assertThat(names(folder)).containsExactly("corpus.jsonl");
  }

  @Test
  void leavesNothingOnAFullDisk() throws IOException {
    Path input = corpus(3000, 900);
    Configuration disk = Configuration.unix().toBuilder().setMaxSize(1 << 20).build();
    try (FileSystem files = Jimfs.newFileSystem(disk)) {
      Path out = files.getPath("/disk/data");
      assertThatThrownBy(() -> prepare(input, out, options(2)))
          .isInstanceOf(StorageException.class)
          .hasMessage("/disk/data.bin: cannot be written: out of disk space");
      assertThat(names(files.getPath("/work"))).isEmpty();
    }
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }
}
