package dev.jneox.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.cli.LossCurve.Point;
import dev.jneox.io.StorageException;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LossCurveTest {
  private static final int SMOOTH = 0x1F5FB4;
  private static final int VALIDATION = 0xD95F0E;
  private static final int UNIGRAM = 0x6B7280;

  @TempDir private Path folder;

  @Test
  void drawsEveryLineFromLeftToRight() throws IOException {
    List<Point> training =
        IntStream.rangeClosed(1, 200)
            .mapToObj(i -> new Point(i * 4096L, 3 + 6 * Math.exp(-i / 40.0)))
            .toList();
    List<Point> validation = List.of(new Point(409_600, 3.6), new Point(819_200, 3.1));
    BufferedImage image = draw(new LossCurve("a run", training, validation, 7));
    assertThat(image.getWidth()).isEqualTo(1200);
    assertThat(image.getHeight()).isEqualTo(700);
    assertThat(columns(image, SMOOTH)).isGreaterThan(900);
    assertThat(columns(image, VALIDATION)).isBetween(450L, 700L);
    assertThat(columns(image, UNIGRAM)).isGreaterThan(500);
  }

  @Test
  void lossesThatAreNotFiniteAreLeftOut() throws IOException {
    LossCurve curve =
        new LossCurve(
            "burst",
            List.of(
                new Point(1, 9), new Point(2, Double.NaN), new Point(3, Double.POSITIVE_INFINITY)),
            List.of(),
            7);
    assertThat(curve.training()).containsExactly(new Point(1, 9));
    assertThat(draw(curve).getWidth()).isEqualTo(1200);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new LossCurve("none", List.of(new Point(1, Double.NaN)), List.of(), 7));
  }

  @Test
  void aFileThatCannotBeWrittenIsNamed() throws IOException {
    Path blocked = Files.writeString(folder.resolve("file"), "").resolve("loss.png");
    LossCurve curve = new LossCurve("a run", List.of(new Point(1, 9)), List.of(), 7);
    assertThatThrownBy(() -> curve.write(blocked))
        .isInstanceOf(StorageException.class)
        .hasMessageContaining(blocked.toString());
  }

  @Property
  void aLocalMeanStaysWithinTheValuesAndKeepsTheEnds(
      @ForAll @Size(min = 1, max = 400) List<@DoubleRange(min = -9, max = 9) Double> losses) {
    double[] values = losses.stream().mapToDouble(loss -> loss).toArray();
    double[] means = LossCurve.localMean(values);
    assertThat(means).hasSameSizeAs(values);
    assertThat(means[0]).isCloseTo(values[0], within(1e-9));
    assertThat(means[means.length - 1]).isCloseTo(values[values.length - 1], within(1e-9));
    double least = Collections.min(losses) - 1e-9;
    double most = Collections.max(losses) + 1e-9;
    assertThat(Arrays.stream(means)).allMatch(mean -> mean >= least && mean <= most);
  }

  @Test
  void aLocalMeanAveragesBothSides() {
    double[] line = IntStream.range(0, 800).mapToDouble(i -> i).toArray();
    assertThat(LossCurve.localMean(line)).containsExactly(line, within(1e-6));
    double[] spike = new double[800];
    spike[400] = 21;
    assertThat(LossCurve.localMean(spike)[390]).isCloseTo(1, within(1e-9));
    assertThat(LossCurve.localMean(spike)[389]).isZero();
  }

  private BufferedImage draw(LossCurve curve) throws IOException {
    Path png = folder.resolve("loss.png");
    curve.write(png);
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
