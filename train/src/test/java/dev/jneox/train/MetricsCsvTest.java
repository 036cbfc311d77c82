package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Tag;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsCsvTest {
  @TempDir Path dir;
  private Path path;
  private final List<String> notes = new ArrayList<>();

  @BeforeEach
  void name() {
    path = dir.resolve("run").resolve("metrics.csv");
  }

  private void write(long lastStep, long from, long to) {
    try (MetricsCsv csv = MetricsCsv.open(path, List.of("loss", "lr"), lastStep, notes::add)) {
      for (long step = from; step <= to; step++) {
        csv.write(step, List.of(1.0 / step, 1e-3));
      }
    }
  }

  @Test
  void aRowAStepUnderAHeader() throws IOException {
    write(0, 1, 3);
    assertThat(Files.readString(path))
        .isEqualTo("step,loss,lr\n1,1.0,0.001\n2,0.5,0.001\n3,0.3333333333333333,0.001\n");
  }

  @Test
  void aRowIsInTheFileWhenTheCallReturnsAndMayHaveGaps() throws IOException {
    try (MetricsCsv csv = MetricsCsv.open(path, List.of("loss", "valid"), 0, notes::add)) {
      csv.write(1, Arrays.asList(Double.NaN, null));
      assertThat(Files.readString(path)).isEqualTo("step,loss,valid\n1,NaN,\n");
    }
  }

  @Test
  void resumingDropsTheRowsAfterTheCheckpoint() throws IOException {
    write(0, 1, 10);
    String straight = Files.readString(path);
    write(6, 7, 10);
    assertThat(Files.readString(path)).isEqualTo(straight);
    write(6, 7, 6);
    assertThat(Files.readString(path)).isEqualTo(straight.substring(0, straight.indexOf("7,")));
  }

  @Test
  void aRowThatACrashCutOffIsDropped() throws IOException {
    write(0, 1, 3);
    Files.writeString(path, "4,0.2", StandardOpenOption.APPEND);
    write(10, 11, 11);
    assertThat(Files.readAllLines(path)).hasSize(5).last().asString().startsWith("11,");
  }

  @Test
  void aNewRunStartsAnewAndKeepsTheOldTables() throws IOException {
    write(0, 1, 3);
    String first = Files.readString(path);
    write(0, 1, 2);
    write(0, 1, 1);
    assertThat(Files.readAllLines(path)).containsExactly("step,loss,lr", "1,1.0,0.001");
    assertThat(path.resolveSibling("metrics-1.csv")).hasContent(first);
    assertThat(path.resolveSibling("metrics-2.csv"))
        .hasContent(first.substring(0, first.indexOf("3,")));
    assertThat(notes)
        .containsExactly(
            path + ": is of an earlier run: it is now " + path.resolveSibling("metrics-1.csv"),
            path + ": is of an earlier run: it is now " + path.resolveSibling("metrics-2.csv"));
  }

  @Test
  void goodRowsOfADamagedTableAreKeptAndTheTableToo() throws IOException {
    String damaged =
        "step,loss,lr\n1,2.0,3.0\nx,y,z\n3,1.0\n4,1.0,0.5\n4,1.0,0.5\n5,0.5,\n9,0.5,0.1\n";
    Files.createDirectories(path.getParent());
    Files.writeString(path, damaged);
    write(6, 7, 7);
    assertThat(Files.readAllLines(path))
        .containsExactly(
            "step,loss,lr", "1,2.0,3.0", "4,1.0,0.5", "5,0.5,", "7,0.14285714285714285,0.001");
    Path aside = path.resolveSibling("metrics-1.csv");
    assertThat(aside).hasContent(damaged);
    assertThat(notes)
        .containsExactly(
            path
                + ": line 3 is damaged: the good rows are kept, and the file as it was is now "
                + aside);
  }

  @Test
  void aTableOfOtherColumnsIsKeptBesideTheNewOne() throws IOException {
    write(0, 1, 3);
    String before = Files.readString(path);
    MetricsCsv.open(path, List.of("loss"), 2, notes::add).close();
    assertThat(Files.readString(path)).isEqualTo("step,loss\n");
    assertThat(path.resolveSibling("metrics-1.csv")).hasContent(before);
    assertThat(notes).singleElement().asString().startsWith(path + ": line 1 is damaged");
  }

  @Test
  void aRowHasAValueForEveryColumn() {
    try (MetricsCsv csv = MetricsCsv.open(path, List.of("loss"), 0, notes::add)) {
      assertThatThrownBy(() -> csv.write(1, List.of(1.0, 2.0)))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Tag("slow")
  @Property(tries = 200)
  void whateverTheFileHoldsItOpensAndNothingIsLost(@ForAll byte[] bytes) throws IOException {
    Path file = Files.createTempDirectory("metrics").resolve("metrics.csv");
    List<String> told = new ArrayList<>();
    Files.write(file, bytes);
    MetricsCsv.open(file, List.of("loss"), 5, told::add).close();
    assertThat(Files.readString(file)).isEqualTo("step,loss\n");
    assertThat(file.resolveSibling("metrics-1.csv")).hasBinaryContent(bytes);
    assertThat(told).hasSize(1);
    Files.delete(file.resolveSibling("metrics-1.csv"));
    Files.delete(file);
    Files.delete(file.getParent());
  }
}
