package dev.jneox.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.io.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataFolderTest {
  @TempDir private Path folder;

  private static final TaskSpec TASK =
      new TaskCatalog(List.of()).select(List.of("arc_easy")).tasks().getFirst();

  private DataFolder.Split read(String split) {
    return new DataFolder(folder).read(TASK, split);
  }

  @Test
  void readsLinesAndRecordsTheirHash() throws IOException {
    Path file = Toys.write(folder, "arc_easy", "test", "{\"a\": 1, \"b\": [\"é\", null]}", "");
    DataFolder.Split split = read("test");
    assertThat(split.documents().getFirst().fields())
        .isEqualTo(Map.of("a", 1L, "b", Arrays.asList("é", null)));
    assertThat(split.documents().getFirst().source()).isEqualTo(file + ": line 1");
    assertThat(split.hash()).isEqualTo(Sha256.of(file, Progress.silent()));
  }

  /** The file was written by pyarrow 25, with Snappy; build/fixtures/parquet.py makes it. */
  @Test
  void readsParquet() throws IOException {
    Path file = Files.createDirectories(folder.resolve("arc_easy")).resolve("test.parquet");
    try (InputStream made = DataFolderTest.class.getResourceAsStream("arc.parquet")) {
      Files.copy(made, file);
    }
    DataFolder.Split split = read("test");
    assertThat(split.documents()).hasSize(2);
    assertThat(split.documents().getFirst().fields())
        .isEqualTo(
            Map.of(
                "question",
                "Why is é?",
                "choices",
                Map.of("text", List.of("x", "y"), "label", List.of("A", "B")),
                "answerKey",
                "B",
                "label",
                1L,
                "weight",
                0.5,
                "right",
                true));
    assertThat(split.documents().get(1).fields()).containsEntry("answerKey", null);
  }

  @Test
  void whatIsMissingIsSaidWithItsPlace() throws IOException {
    assertThatThrownBy(() -> read("test"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(folder.resolve("arc_easy/test.jsonl") + ": no such file")
        .hasMessageContaining("task arc_easy needs its split test (allenai/ai2_arc on the hub)");
    Path file = Toys.write(folder, "arc_easy", "test", "{\"a\": 1, \"b\": 2}", "{\"b\": 1}");
    assertThatThrownBy(() -> read("test"))
        .hasMessageStartingWith(file + ": line 2: expected the field 'a'");
    Toys.write(folder, "arc_easy", "test", "{\"a\": 1}", "{\"a\": ");
    assertThatThrownBy(() -> read("test"))
        .hasMessageStartingWith(file + ": line 2: expected an object of JSON");
    Toys.write(folder, "arc_easy", "test", "[1]");
    assertThatThrownBy(() -> read("test"))
        .hasMessage(file + ": line 1: expected an object of JSON, found [1]");
    for (String half : List.of("{\"a\": [\"\\ud800\"]}", "{\"\\udc00\": 1}")) {
      Toys.write(folder, "arc_easy", "test", half);
      assertThatThrownBy(() -> read("test"))
          .hasMessage(file + ": line 1: expected Unicode, found half of a surrogate pair");
    }
    Toys.write(folder, "arc_easy", "test", "");
    assertThatThrownBy(() -> read("test")).hasMessageContaining("expected the records of split");
    assertThatThrownBy(() -> new DataFolder(null).read(TASK, "test"))
        .hasMessageContaining("expected --data DIR with arc_easy/test.jsonl or .parquet");
  }

  @Test
  void aByteOrderMarkIsNoPartOfTheFirstRecord() throws IOException {
    Toys.write(folder, "arc_easy", "test", "\uFEFF{\"a\": \"\\ud83d\\ude00\"}");
    assertThat(read("test").documents().getFirst().text("a")).isEqualTo("\uD83D\uDE00");
  }

  @Test
  void anEmptyFolderIsSaidToBeEmpty() throws IOException {
    Files.createDirectories(folder.resolve("arc_easy"));
    assertThatThrownBy(() -> read("test"))
        .hasMessageEndingWith("; " + folder.resolve("arc_easy") + " is empty");
  }

  @Test
  void aBrokenParquetFileIsOneLine() throws IOException {
    Path file = Files.createDirectories(folder.resolve("arc_easy")).resolve("test.parquet");
    Files.writeString(file, "PAR1 is not all");
    assertThatThrownBy(() -> read("test"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(file.toString());
    try (InputStream made = DataFolderTest.class.getResourceAsStream("arc.parquet")) {
      byte[] bytes = made.readAllBytes();
      Arrays.fill(bytes, 10, bytes.length / 2, (byte) 0xff);
      Files.write(file, bytes);
    }
    assertThatThrownBy(() -> read("test"))
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(file.toString());
  }
}
