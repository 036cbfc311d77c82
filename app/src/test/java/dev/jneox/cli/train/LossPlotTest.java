package dev.jneox.cli.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.StorageException;
import dev.jneox.train.LossCurve;
import dev.jneox.train.LossCurve.Point;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LossPlotTest {
  private static final int SMOOTH = 0x1F5FB4;
  private static final int VALIDATION = 0xD95F0E;
  private static final int UNIGRAM = 0x6B7280;

  @TempDir private Path folder;

  @Tag("slow")
  @Test
  void drawsEveryLineFromLeftToRight() throws IOException {
    List<Point> training =
        IntStream.rangeClosed(1, 200)
            .mapToObj(i -> new Point(i * 4096L, 3 + 6 * Math.exp(-i / 40.0)))
            .toList();
    List<Point> validation = List.of(new Point(409_600, 3.6), new Point(819_200, 3.1));
    BufferedImage image =
        draw(new LossPlot("a run", new LossCurve(training, validation), OptionalDouble.of(7)));
    assertThat(image.getWidth()).isEqualTo(1200);
    assertThat(image.getHeight()).isEqualTo(700);
    assertThat(columns(image, SMOOTH)).isGreaterThan(900);
    assertThat(columns(image, VALIDATION)).isBetween(450L, 700L);
    assertThat(columns(image, UNIGRAM)).isGreaterThan(500);
  }

  @ParameterizedTest
  @CsvSource({"9.4, 0.0", "1, 0.0", "0.9, 0.00", "0.3, 0.00", "0.05, 0.000", "0.02, 0.000"})
  void labelsOfTheLossHaveAsManyDecimalsAsTheirSteps(double height, String pattern) {
    assertThat(LossPlot.decimals(height)).isEqualTo(pattern);
  }

  @Test
  void lossesThatAreNotFiniteAreLeftOut() throws IOException {
    LossPlot plot =
        new LossPlot(
            "burst",
            new LossCurve(
                List.of(
                    new Point(1, 9),
                    new Point(2, Double.NaN),
                    new Point(3, Double.POSITIVE_INFINITY)),
                List.of()),
            OptionalDouble.of(7));
    assertThat(plot.curve().training()).containsExactly(new Point(1, 9));
    assertThat(draw(plot).getWidth()).isEqualTo(1200);
    assertThatIllegalArgumentException().isThrownBy(() -> plot(new Point(1, Double.NaN)));
  }

  @Test
  void aFileThatCannotBeWrittenIsNamed() throws IOException {
    Path blocked = Files.writeString(folder.resolve("file"), "").resolve("loss.png");
    LossPlot plot = plot(new Point(1, 9));
    assertThatThrownBy(() -> plot.write(blocked))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining(blocked.toString());
  }

  private static LossPlot plot(Point point) {
    return new LossPlot("a run", new LossCurve(List.of(point), List.of()), OptionalDouble.empty());
  }

  private BufferedImage draw(LossPlot plot) throws IOException {
    Path png = folder.resolve("loss.png");
    plot.write(png);
    return ImageIO.read(png.toFile());
  }

  /** In how many columns of the picture this colour occurs. */
  private static long columns(BufferedImage image, int colour) {
    return IntStream.range(0, image.getWidth())
        .filter(
            x ->
                IntStream.range(0, image.getHeight() * 9 / 10)
                    .anyMatch(y -> (image.getRGB(x, y) & 0xFFFFFF) == colour))
        .count();
  }
}
