package dev.jneox.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsCsvTest {
  @TempDir Path dir;
  private Path path;

  @BeforeEach
  void name() {
    path = dir.resolve("run").resolve("metrics.csv");
  }

  private void write(long lastStep, long from, long to) {
    try (MetricsCsv csv = MetricsCsv.open(path, List.of("loss", "lr"), lastStep)) {
      for (long step = from; step <= to; step++) {
        csv.write(step, List.of(1.0 / step, 1e-3));
      }
    }
  }

  @Test
  void aRowAStepUnderAHeader() throws IOException {
    write(0, 1, 3);
    assertThat(Files.readString(path)).isEqualTo("step,loss,lr\n1,1.0,0.001\n2,0.5,0.001\n3,0.3333333333333333,0.001\n");
  }

  @Test
  void aRowIsInTheFileWhenTheCallReturnsAndMayHaveGaps() throws IOException {
    try (MetricsCsv csv = MetricsCsv.open(path, List.of("loss", "valid"), 0)) {
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
  void aNewRunStartsAnew() throws IOException {
    Files.createDirectories(path.getParent());
    Files.writeString(path, "something else");
    write(0, 1, 1);
    assertThat(Files.readAllLines(path)).containsExactly("step,loss,lr", "1,1.0,0.001");
  }

  @Test
  void aTableOfOtherColumnsIsNotTouched() throws IOException {
    write(0, 1, 3);
    String before = Files.readString(path);
    assertThatThrownBy(() -> MetricsCsv.open(path, List.of("loss"), 2))
        .isInstanceOf(InputException.class)
        .hasMessage(path + ": line 1: expected the columns step,loss, found step,loss,lr: move the file away or log elsewhere");
    assertThat(Files.readString(path)).isEqualTo(before);
    Files.writeString(path, "step,loss,lr\n1,2,3\nx,y,z\n");
    assertThatThrownBy(() -> MetricsCsv.open(path, List.of("loss", "lr"), 2))
        .hasMessage(path + ": line 3: expected a step number, found x");
  }

  @Test
  void aRowHasAValueForEveryColumn() {
    try (MetricsCsv csv = MetricsCsv.open(path, List.of("loss"), 0)) {
      assertThatThrownBy(() -> csv.write(1, List.of(1.0, 2.0))).isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Property(tries = 200)
  void whateverTheFileHoldsItOpensOrIsNamed(@ForAll String text) throws IOException {
    Path file = Files.createTempFile("metrics", ".csv");
    try {
      Files.writeString(file, "step,loss\n" + text);
      MetricsCsv.open(file, List.of("loss"), 5).close();
      assertThat(Files.readAllLines(file)).first().isEqualTo("step,loss");
    } catch (InputException e) {
      assertThat(e.getMessage()).contains("line ");
    } catch (java.nio.charset.CharacterCodingException unpairedSurrogate) {
      // not a text at all
    } finally {
      Files.delete(file);
    }
  }
}
