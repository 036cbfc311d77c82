package dev.jneox.infer;

import dev.jneox.io.InputException;
import dev.jneox.io.Progress;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.Importance;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Measures the {@link Importance} of a model's columns over a text, by {@link Taps}. */
public final class ImportanceProbe implements Taps {
  /**
   * Sums up the squares at one point.
   *
   * @param norm whose result it is before its weights; null where it is not a norm's
   * @param readers the matrices that read it
   */
  private record Point(@Nullable PackedNorm norm, List<ParamId> readers, double[] squares) {}

  private final Map<String, Point> points = new HashMap<>();
  private float[] row = {};

  private ImportanceProbe(PackedModel model) {
    for (int l = 0; l < model.layers.size(); l++) {
      PackedModel.Layer layer = model.layers.get(l);
      List<Part> queryKeyValue = List.of(Part.QUERY, Part.KEY, Part.VALUE);
      List<Part> feedForward = List.of(Part.GATE, Part.UP);
      add(l, HookPoint.LN1_NORMALIZED, layer.attentionNorm(), model.spec().width(), queryKeyValue);
      if (layer.feedForwardNorm() == null) {
        add(l, HookPoint.LN1_NORMALIZED, layer.attentionNorm(), model.spec().width(), feedForward);
      } else {
        add(
            l,
            HookPoint.LN2_NORMALIZED,
            layer.feedForwardNorm(),
            model.spec().width(),
            feedForward);
      }
      add(l, HookPoint.Z, null, layer.attentionOut().weight().in(), List.of(Part.ATTENTION_OUT));
      add(
          l,
          HookPoint.MLP_POST,
          null,
          layer.feedForward().down().weight().in(),
          List.of(Part.DOWN));
    }
  }

  private void add(
      int layer, HookPoint point, @Nullable PackedNorm norm, int width, List<Part> parts) {
    Point old = points.get(point.in(layer));
    List<ParamId> readers =
        Stream.concat(
                old == null ? Stream.empty() : old.readers.stream(),
                parts.stream().map(part -> ParamId.weight(layer, part)))
            .toList();
    points.put(point.in(layer), new Point(norm, readers, new double[width]));
  }

  /**
   * Runs a text through a model.
   *
   * @param engine of that model; it reads windows of the context's length, each apart
   * @param ids two or more
   * @param progress counts the ids
   * @throws InputException if an id is past the vocabulary, or the model gives no numbers
   */
  public static Importance measure(PackedModel model, Engine engine, int[] ids, Progress progress) {
    ModelSpec spec = model.spec();
    Generation.checkIds(ids, spec);
    ImportanceProbe probe = new ImportanceProbe(model);
    long tokens = 0;
    // A file may state a context near the largest int, and the sums below would overflow.
    int context = Math.clamp(ids.length, 1, spec.maxPositions());
    for (int start = 0; start < ids.length - 1; start += context) {
      // The last id of a request is not read: one more than the context has room.
      int end = Math.min(start + context + 1, ids.length);
      GenerationRequest request =
          GenerationRequest.builder(Arrays.copyOfRange(ids, start, end))
              .maxTokens(0)
              .promptLogprobs(0)
              .scoreFrom(end - start - 1)
              .taps(probe)
              .build();
      Scorer.scores(engine.submit(request));
      tokens += end - start - 1;
      progress.step(end - start - 1);
    }
    return probe.importance(tokens);
  }

  @Override
  public boolean wants(String name) {
    return points.containsKey(name);
  }

  @Override
  public void apply(String name, float[] values, int at, int width, long sequence, int position) {
    Point point = Objects.requireNonNull(points.get(name));
    row = row.length < width ? new float[width] : row;
    System.arraycopy(values, at, row, 0, width);
    if (point.norm != null) {
      point.norm.finish(row, 0);
    }
    for (int i = 0; i < width; i++) {
      point.squares[i] += (double) row[i] * row[i];
    }
  }

  private Importance importance(long tokens) {
    Map<ParamId, float[]> columns = new HashMap<>();
    for (Point point : points.values()) {
      float[] means = new float[point.squares.length];
      for (int i = 0; i < means.length; i++) {
        means[i] = (float) (point.squares[i] / tokens);
        if (!Float.isFinite(means[i])) {
          throw new InputException(
              "the model's activations are not finite numbers: its weights are broken; verify"
                  + " names the tensor");
        }
      }
      point.readers.forEach(id -> columns.put(id, means));
    }
    return new Importance(columns, tokens);
  }
}
