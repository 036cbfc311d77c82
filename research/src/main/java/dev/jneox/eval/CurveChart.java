package dev.jneox.eval;

import dev.jneox.io.HtmlPage;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;

/** Draws a number of runs over training steps as SVG, with error bars and the level of chance. */
final class CurveChart {
  private static final int WIDTH = 400;
  private static final int HEIGHT = 240;
  private static final int LEFT = 52;
  private static final int RIGHT = 24;
  private static final int TOP = 10;
  private static final int BOTTOM = 40;

  /** Colours of the style sheet. */
  static final int COLOURS = 6;

  /** Steps that differ by such a factor stand on a logarithmic axis. */
  private static final double LOGARITHMIC = 50;

  /**
   * Is a point.
   *
   * @param error its standard error
   */
  record Point(long step, double value, OptionalDouble error) {}

  /** Is a line. */
  record Series(String name, List<Point> points) {}

  private final List<Series> series;
  private final OptionalDouble chance;
  private final boolean logarithmic;
  private final double first;
  private final double last;
  private final double low;
  private final double high;

  /** Makes a chart of series with points. */
  CurveChart(List<Series> series, OptionalDouble chance) {
    this.series = series;
    this.chance = chance;
    List<Point> all = series.stream().flatMap(each -> each.points.stream()).toList();
    long least = all.stream().mapToLong(Point::step).min().orElse(0);
    long most = all.stream().mapToLong(Point::step).max().orElse(1);
    this.logarithmic = most > LOGARITHMIC * Math.max(1, least);
    this.first = place(least);
    this.last = Math.max(place(most), first + 1e-9);
    double bottom = chance.orElse(Double.POSITIVE_INFINITY);
    double top = chance.orElse(Double.NEGATIVE_INFINITY);
    for (Point point : all) {
      bottom = Math.min(bottom, point.value - point.error.orElse(0));
      top = Math.max(top, point.value + point.error.orElse(0));
    }
    double margin = top > bottom ? (top - bottom) * 0.08 : Math.max(Math.abs(top), 1) * 0.05;
    this.low = bottom - margin;
    this.high = top + margin;
  }

  private double place(double step) {
    return logarithmic ? Math.log10(Math.max(step, 0.5)) : step;
  }

  private double x(double step) {
    return LEFT + (place(step) - first) / (last - first) * (WIDTH - LEFT - RIGHT);
  }

  private double y(double value) {
    return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
  }

  String svg(String title) {
    StringBuilder out = new StringBuilder();
    out.append(
        String.format(
            Locale.ROOT,
            "<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\""
                + " aria-label=\"%s\">%n",
            WIDTH,
            HEIGHT,
            WIDTH,
            HEIGHT,
            HtmlPage.escaped(title)));
    axes(out);
    chance.ifPresent(
        level -> line(out, "chance", LEFT, y(level), WIDTH - RIGHT, y(level), "chance"));
    for (int i = 0; i < series.size(); i++) {
      draw(out, series.get(i), "s" + i % COLOURS);
    }
    return out.append("</svg>\n").toString();
  }

  private void axes(StringBuilder out) {
    for (double tick : ticks(low, high, 4)) {
      line(out, "grid", LEFT, y(tick), WIDTH - RIGHT, y(tick), "");
      label(out, LEFT - 6, y(tick) + 4, "end", number(tick, (high - low) / 4));
    }
    int bottom = HEIGHT - BOTTOM;
    line(out, "axis", LEFT, bottom, WIDTH - RIGHT, bottom, "");
    for (double tick : stepTicks()) {
      line(out, "axis", x(tick), bottom, x(tick), bottom + 4, "");
      label(out, x(tick), bottom + 17, "middle", steps(tick));
    }
    label(out, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 5, "middle", "step");
  }

  private List<Double> stepTicks() {
    if (!logarithmic) {
      return ticks(first, last, 4);
    }
    List<Double> ticks = new ArrayList<>();
    int from = (int) Math.ceil(first - 1e-9);
    int to = (int) Math.floor(last + 1e-9);
    for (int power = from; power <= to; power++) {
      ticks.add(Math.pow(10, power));
    }
    return ticks;
  }

  /** Returns round numbers between two. */
  private static List<Double> ticks(double low, double high, int about) {
    double raw = (high - low) / about;
    double unit = Math.pow(10, Math.floor(Math.log10(raw)));
    double step = raw / unit > 5 ? 10 * unit : raw / unit > 2 ? 5 * unit : 2 * unit;
    step = raw / unit <= 1 ? unit : step;
    List<Double> ticks = new ArrayList<>();
    for (double tick = Math.ceil(low / step - 1e-9) * step;
        tick <= high + step * 1e-9;
        tick += step) {
      ticks.add(tick);
    }
    return ticks;
  }

  private static String number(double value, double distance) {
    int digits = (int) Math.clamp(Math.ceil(-Math.log10(distance)) + 1, 0, 6);
    String text = String.format(Locale.ROOT, "%." + digits + "f", value);
    text = text.contains(".") ? text.replaceFirst("0+$", "").replaceFirst("[.]$", "") : text;
    return text.equals("-0") ? "0" : text;
  }

  private static String steps(double tick) {
    return tick >= 10_000 && tick % 1000 == 0
        ? String.format(Locale.ROOT, "%.0fk", tick / 1000)
        : number(tick, tick < 1 ? 0.1 : 1);
  }

  private void draw(StringBuilder out, Series line, String colour) {
    StringBuilder points = new StringBuilder();
    for (Point point : line.points) {
      double x = x(point.step);
      points.append(String.format(Locale.ROOT, "%.1f,%.1f ", x, y(point.value)));
      if (point.error.isPresent()) {
        double error = point.error.getAsDouble();
        double top = y(point.value + error);
        double bottom = y(point.value - error);
        line(out, colour, x, top, x, bottom, "");
        line(out, colour, x - 3, top, x + 3, top, "");
        line(out, colour, x - 3, bottom, x + 3, bottom, "");
      }
      out.append(
          String.format(
              Locale.ROOT,
              "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"><title>%s step %d:"
                  + " %.4f%s</title></circle>%n",
              colour,
              x,
              y(point.value),
              HtmlPage.escaped(line.name),
              point.step,
              point.value,
              point.error.isPresent()
                  ? String.format(Locale.ROOT, " ± %.4f", point.error.getAsDouble())
                  : ""));
    }
    out.append("<polyline class=\"").append(colour).append(" line\" points=\"");
    out.append(points.toString().strip()).append("\"/>\n");
  }

  private static void line(
      StringBuilder out, String style, double x1, double y1, double x2, double y2, String title) {
    out.append(
        String.format(
            Locale.ROOT,
            "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"%s%n",
            style,
            x1,
            y1,
            x2,
            y2,
            title.isEmpty() ? "/>" : "><title>" + title + "</title></line>"));
  }

  private static void label(StringBuilder out, double x, double y, String anchor, String text) {
    out.append(
        String.format(
            Locale.ROOT,
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>%n",
            x,
            y,
            anchor,
            HtmlPage.escaped(text)));
  }
}
