package dev.jneox.train;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.jneox.dist.Mesh;
import dev.jneox.io.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Records what a rank does in some steps, and writes what all ranks did as a trace in the form that
 * Chrome (chrome://tracing) and Perfetto (ui.perfetto.dev) show: JSON with a list {@code
 * traceEvents}, times in microseconds. Each rank is a process with three rows: what it computes,
 * when it waits for others, and the exchanges under way. What is empty in the first row of a stage
 * of a pipeline is its bubble.
 */
final class StepTrace {
  /** Names what takes time. */
  enum Span {
    /** A whole step. */
    STEP,
    /** Forward and backward pass of a micro-batch. */
    GRADIENT,
    /** Forward pass of a micro-batch through a stage. */
    FORWARD,
    /** Backward pass of a micro-batch through a stage. */
    BACKWARD,
    /** The optimizer's update. */
    UPDATE,
    /** Waiting for an exchange. */
    WAIT,
    /** An exchange, from its begin until it was awaited. */
    ALL_REDUCE,
    /** See {@link #ALL_REDUCE}. */
    REDUCE_SCATTER,
    /** See {@link #ALL_REDUCE}. */
    ALL_GATHER,
    /** See {@link #ALL_REDUCE}. */
    BROADCAST,
    /** See {@link #ALL_REDUCE}. */
    SEND,
    /** See {@link #ALL_REDUCE}. */
    RECEIVE,
    /** See {@link #ALL_REDUCE}. */
    BARRIER;

    private boolean isExchange() {
      return compareTo(WAIT) > 0;
    }

    private String text() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  /** Numbers of an event: the span, its start and end in seconds, and its detail. */
  private static final int WIDTH = 4;

  private final List<double[]> events = new ArrayList<>();
  private boolean on;
  private long zero;

  /** Begins to record; all ranks do so at once. */
  void begin() {
    zero = System.nanoTime();
    on = true;
  }

  boolean isOn() {
    return on;
  }

  /**
   * Records what is done now.
   *
   * @param start by {@link System#nanoTime}
   * @param detail the micro-batch from 0, the bytes of an exchange, or the step
   */
  void add(Span span, long start, long detail) {
    if (on) {
      double end = (System.nanoTime() - zero) / 1e9;
      events.add(new double[] {span.ordinal(), (start - zero) / 1e9, end, detail});
    }
  }

  /** Stops recording, and returns the events of this rank as numbers. */
  double[] end() {
    on = false;
    double[] all = events.stream().flatMapToDouble(Arrays::stream).toArray();
    events.clear();
    return all;
  }

  /**
   * Writes the events of all ranks.
   *
   * @param byRank those of each rank, as {@link #end} returned them, with zeros behind
   */
  static byte[] json(double[][] byRank, Mesh mesh) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (JsonGenerator json = JsonObject.JSON.createGenerator(out)) {
      json.writeStartObject();
      json.writeStringField("displayTimeUnit", "ms");
      json.writeArrayFieldStart("traceEvents");
      int id = 0;
      for (int rank = 0; rank < byRank.length; rank++) {
        Mesh.Place place = mesh.place(rank);
        name(
            json,
            "process_name",
            rank,
            0,
            "rank %d: data %d, pipeline %d, tensor %d"
                .formatted(rank, place.data(), place.pipeline(), place.tensor()));
        name(json, "thread_name", rank, 0, "computation");
        name(json, "thread_name", rank, 1, "waiting");
        name(json, "thread_name", rank, 2, "exchanges");
        double[] events = byRank[rank];
        for (int e = 0; e + WIDTH <= events.length && events[e + 2] > 0; e += WIDTH) {
          Span span = Span.values()[(int) events[e]];
          long detail = (long) events[e + 3];
          if (span.isExchange()) { // those that are under way at once would not nest
            id++;
            event(json, "b", span, rank, events[e + 1], detail, id);
            event(json, "e", span, rank, events[e + 2], detail, id);
          } else {
            json.writeStartObject();
            head(json, "X", span, rank, events[e + 1], detail);
            json.writeNumberField("dur", micros(events[e + 2] - events[e + 1]));
            json.writeEndObject();
          }
        }
      }
      json.writeEndArray();
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory alone
    }
    return out.toByteArray();
  }

  private static void name(JsonGenerator json, String what, int rank, int row, String name)
      throws IOException {
    json.writeStartObject();
    json.writeStringField("ph", "M");
    json.writeStringField("name", what);
    json.writeNumberField("pid", rank);
    json.writeNumberField("tid", row);
    json.writeObjectFieldStart("args");
    json.writeStringField("name", name);
    json.writeEndObject();
    json.writeEndObject();
  }

  private static void event(
      JsonGenerator json, String phase, Span span, int rank, double at, long detail, int id)
      throws IOException {
    json.writeStartObject();
    head(json, phase, span, rank, at, detail);
    json.writeNumberField("id", id);
    json.writeEndObject();
  }

  private static void head(
      JsonGenerator json, String phase, Span span, int rank, double at, long detail)
      throws IOException {
    String unit =
        switch (span) {
          case STEP -> "step";
          case GRADIENT, FORWARD, BACKWARD -> "micro_batch";
          case UPDATE, WAIT -> "";
          default -> "bytes";
        };
    json.writeStringField("ph", phase);
    json.writeStringField(
        "cat", span.isExchange() ? "exchange" : span == Span.WAIT ? "wait" : "computation");
    json.writeStringField(
        "name", unit.isEmpty() || unit.equals("bytes") ? span.text() : span.text() + " " + detail);
    json.writeNumberField("pid", rank);
    json.writeNumberField("tid", span.isExchange() ? 2 : span == Span.WAIT ? 1 : 0);
    json.writeNumberField("ts", micros(at));
    if (!unit.isEmpty()) {
      json.writeObjectFieldStart("args");
      json.writeNumberField(unit, detail);
      json.writeEndObject();
    }
  }

  private static double micros(double seconds) {
    return Math.round(seconds * 1e9) / 1e3;
  }
}
