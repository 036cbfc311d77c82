package dev.jneox.cli.train;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.InputException;
import dev.jneox.io.StorageException;
import dev.jneox.train.LossCurve;
import dev.jneox.train.LossCurve.Point;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.nio.file.Path;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.knowm.xchart.AnnotationText;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.lines.SeriesLines;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * Draws a training run: the losses of the steps, their local mean, the validation losses, and the
 * loss of a unigram model, which knows only how often each token occurs. All losses are in nats per
 * token.
 *
 * @param title over the picture, for example the model's size and the corpus
 * @param curve values that are not finite are left out
 * @param unigramLoss the loss of the unigram model on the held-out text; empty leaves it out
 */
record LossPlot(String title, LossCurve curve, OptionalDouble unigramLoss) {
  private static final int WIDTH = 1200;
  private static final int HEIGHT = 700;

  private static final Color INK = new Color(0x2B, 0x2F, 0x36);
  private static final Color GRID = new Color(0xE6, 0xE8, 0xEB);
  private static final Color RAW = new Color(0xA9, 0xC4, 0xE8);
  private static final Color SMOOTH = new Color(0x1F, 0x5F, 0xB4);
  private static final Color VALIDATION = new Color(0xD9, 0x5F, 0x0E);
  private static final Color UNIGRAM = new Color(0x6B, 0x72, 0x80);

  LossPlot {
    curve = curve.finite();
    if (curve.training().isEmpty()) {
      throw new IllegalArgumentException("no finite training loss to draw");
    }
  }

  /**
   * Draws the picture, 1200 x 700 pixels, as a PNG file.
   *
   * @throws StorageException when the file cannot be written
   * @throws InputException when the system has no font to write labels with
   */
  void write(Path png) {
    byte[] bytes;
    try {
      bytes = BitmapEncoder.getBitmapBytes(chart(), BitmapEncoder.BitmapFormat.PNG);
    } catch (IOException | RuntimeException | LinkageError | InternalError e) {
      throw new InputException(
          png
              + ": cannot be drawn ("
              + e
              + "): install fontconfig and a font, for example fonts-dejavu-core",
          e);
    }
    AtomicFile.write(png, bytes);
  }

  private XYChart chart() {
    List<Point> training = curve.training();
    List<Point> validation = curve.validation();
    long tokens = training.get(training.size() - 1).tokens();
    Unit unit = Unit.of(tokens);
    double end = tokens / unit.size;
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle("training tokens" + unit.label)
            .yAxisTitle("loss (nats per token)")
            .build();
    style(chart.getStyler(), end);
    line(chart, "training, each step", unit.tokens(training), losses(training), RAW, 1.2f);
    line(chart, "training, mean", unit.tokens(training), curve.localMean(), SMOOTH, 2.6f);
    double least = chart.getStyler().getYAxisMin();
    double height = chart.getStyler().getYAxisMax() - chart.getStyler().getYAxisMin();
    if (!validation.isEmpty()) {
      XYSeries series = chart.addSeries("validation", unit.tokens(validation), losses(validation));
      series.setMarker(SeriesMarkers.CIRCLE).setMarkerColor(VALIDATION);
      series.setLineColor(VALIDATION).setLineStyle(new BasicStroke(2f));
      Point last = validation.get(validation.size() - 1);
      String label = String.format(Locale.ROOT, "validation %.2f", last.loss());
      chart.addAnnotation(
          new AnnotationText(
              label,
              Math.min(last.tokens() / unit.size, 0.94 * end),
              last.loss() + 0.06 * height,
              false));
    }
    XYSeries ticks = chart.addSeries("ticks", ends(end), new double[] {least, least, least});
    ticks.setMarker(SeriesMarkers.NONE).setLineStyle(SeriesLines.NONE).setShowInLegend(false);
    unigramLoss.ifPresent(loss -> addUnigram(chart, loss, end, height));
    return chart;
  }

  /**
   * Returns the ends of the axis and one uneven point between them. XChart labels the points of
   * evenly spaced data, and round numbers for other data.
   */
  private static double[] ends(double end) {
    return new double[] {0, end / Math.PI, end};
  }

  private static void addUnigram(XYChart chart, double loss, double end, double height) {
    XYSeries unigram = chart.addSeries("unigram model", ends(end), new double[] {loss, loss, loss});
    unigram.setMarker(SeriesMarkers.NONE);
    unigram
        .setLineColor(UNIGRAM)
        .setLineStyle(
            new BasicStroke(
                1.8f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_BEVEL, 1f, new float[] {9, 6}, 0));
    String label = String.format(Locale.ROOT, "unigram model %.2f", loss);
    chart.addAnnotation(new AnnotationText(label, 0.93 * end, loss + 0.03 * height, false));
  }

  private static void line(
      XYChart chart, String name, double[] x, double[] y, Color color, float width) {
    XYSeries series = chart.addSeries(name, x, y);
    series.setMarker(SeriesMarkers.NONE);
    series
        .setLineColor(color)
        .setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
  }

  private void style(XYStyler styler, double end) {
    DoubleSummaryStatistics losses =
        Stream.concat(curve.training().stream(), curve.validation().stream())
            .mapToDouble(Point::loss)
            .summaryStatistics();
    unigramLoss.ifPresent(losses::accept);
    double margin = Math.max(0.05 * (losses.getMax() - losses.getMin()), 0.01);
    styler.setYAxisMin(Math.max(0, losses.getMin() - margin));
    styler.setYAxisMax(losses.getMax() + margin);
    styler.setXAxisMin(0.0);
    styler.setXAxisMax(end);
    styler.setXAxisDecimalPattern("#,##0.##");
    styler.setXAxisTickMarkSpacingHint(100);
    styler.setYAxisDecimalPattern(decimals(losses.getMax() - losses.getMin() + 2 * margin));
    styler.setPlotContentSize(0.98);
    styler.setAnnotationTextFont(new Font(Font.SANS_SERIF, Font.PLAIN, 15));
    styler.setAnnotationTextFontColor(INK);
    styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 20));
    styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 16));
    styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14));
    styler.setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 15));
    styler.setLegendPosition(LegendPosition.OutsideS);
    styler.setLegendLayout(LegendLayout.Horizontal);
    styler.setLegendBorderColor(Color.WHITE);
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setChartFontColor(INK);
    styler.setChartPadding(18);
    styler.setPlotBorderVisible(false);
    styler.setPlotGridLinesColor(GRID);
    styler.setPlotGridLinesStroke(new BasicStroke(1f));
    styler.setAxisTickMarksColor(GRID);
    styler.setAxisTickLabelsColor(INK);
    styler.setMarkerSize(8);
  }

  /**
   * Returns a pattern for labels of the loss that all have as many decimals. XChart takes steps of
   * 1, 2 or 5 times a power of ten, about a thirteenth of the axis.
   *
   * @param height of the axis, in nats
   */
  static String decimals(double height) {
    return "0." + "0".repeat(Math.clamp((long) Math.ceil(-Math.log10(height / 9.45)), 1, 6));
  }

  /** Lists the units in which the axis counts tokens. */
  private enum Unit {
    ONES(1, ""),
    THOUSANDS(1e3, " (thousands)"),
    MILLIONS(1e6, " (millions)"),
    BILLIONS(1e9, " (billions)");

    private final double size;
    private final String label;

    Unit(double size, String label) {
      this.size = size;
      this.label = label;
    }

    static Unit of(long most) {
      return most < 10_000
          ? ONES
          : most < 2_000_000 ? THOUSANDS : most < 2_000_000_000 ? MILLIONS : BILLIONS;
    }

    double[] tokens(List<Point> points) {
      return points.stream().mapToDouble(point -> point.tokens() / size).toArray();
    }
  }

  private static double[] losses(List<Point> points) {
    return points.stream().mapToDouble(Point::loss).toArray();
  }
}
