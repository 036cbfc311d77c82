package dev.jneox.infer;

import dev.jneox.kernel.InputRows;
import dev.jneox.model.Attention;
import dev.jneox.model.HeadLayout;
import dev.jneox.model.Residual;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Runs layers of a {@link Forward} one operation at a time, where {@link Taps} look inside. Sums
 * are taken in the same order as in the fused regions, so that taps which change nothing change no
 * bit.
 */
final class TappedPass {
  /**
   * What a linear map adds to the residual stream.
   *
   * @param computed {@code [rows, width]}; empty where no tap looks
   * @param left the same as taps left it
   */
  private record Addend(PackedLinear linear, InputRows x, float[] computed, float[] left) {}

  private final Forward pass;
  private final Taps taps;
  private final List<Map<HookPoint, String>> wanted = new ArrayList<>(); // by layer
  private final Map<HookPoint, String> wantedOfModel = new EnumMap<>(HookPoint.class);
  private float[] line = {};
  private Map<HookPoint, String> names = Map.of(); // of the layer that is running

  /** Asks taps which points of a pass they want. */
  TappedPass(Forward pass, Taps taps, int layers) {
    this.pass = pass;
    this.taps = taps;
    for (int l = 0; l < layers; l++) {
      wanted.add(new EnumMap<>(HookPoint.class));
    }
    for (HookPoint point : HookPoint.values()) {
      if (!point.isOfLayer()) {
        ask(point, 0, wantedOfModel);
      }
      for (int l = 0; l < layers && point.isOfLayer(); l++) {
        ask(point, l, wanted.get(l));
      }
    }
  }

  private void ask(HookPoint point, int layer, Map<HookPoint, String> into) {
    String name = point.in(layer);
    if (taps.wants(name)) {
      into.put(point, name);
    }
  }

  /** Shows all rows of {@code [rows, width]} at a point of the model or of a layer. */
  void rows(HookPoint point, int layer, float[] values) {
    names = point.isOfLayer() ? wanted.get(layer) : wantedOfModel;
    rows(point, values, pass.width, pass.width);
  }

  private void rows(HookPoint point, float[] values, int ld, int width) {
    String name = names.get(point);
    if (name != null) {
      pass.forEachRow(
          (row, sequence, position) ->
              taps.apply(name, values, row * ld, width, sequence.id(), position));
    }
  }

  /** Returns whether taps want a point inside a layer, so that {@link #run} has to run it. */
  boolean looksInside(int layer) {
    return wanted.get(layer).keySet().stream()
        .anyMatch(point -> point != HookPoint.RESID_PRE && point != HookPoint.RESID_POST);
  }

  /** Runs a layer, from {@link HookPoint#RESID_PRE} to {@link HookPoint#RESID_POST}. */
  void run(int index, Forward.Layer layer) {
    names = wanted.get(index);
    PackedModel.Layer weights = layer.weights();
    normAll(
        weights.attentionNorm(),
        HookPoint.LN1_SCALE,
        HookPoint.LN1_NORMALIZED,
        layer.forAttention());
    attend(layer);
    Addend attention = addend(weights.attentionOut(), layer.forOut(), HookPoint.ATTN_OUT);
    boolean serial =
        switch (layer.residual()) {
          case Residual.Serial _ -> true;
          case Residual.Parallel _, Residual.ParallelOneNorm _ -> false;
        };
    if (serial) {
      addToResidual(attention);
      rows(HookPoint.RESID_MID, pass.x, pass.width, pass.width);
    }
    if (weights.feedForwardNorm() != null) {
      normAll(
          weights.feedForwardNorm(),
          HookPoint.LN2_SCALE,
          HookPoint.LN2_NORMALIZED,
          layer.forFeedForward());
    }
    computeInner(layer);
    Addend feedForward = addend(weights.feedForward().down(), layer.forDown(), HookPoint.MLP_OUT);
    if (!serial) {
      addToResidual(attention);
    }
    addToResidual(feedForward);
  }

  private void normAll(PackedNorm norm, HookPoint scale, HookPoint normalized, InputRows into) {
    int width = pass.width;
    pass.forEachRow(
        (row, sequence, position) ->
            norm(
                norm,
                row * width,
                row * width,
                names.get(scale),
                names.get(normalized),
                sequence,
                position));
    into.set(pass.normed, 0, width, pass.rows());
  }

  /**
   * Norms one row.
   *
   * @param scaleName the point of the scale, or null where it is not wanted
   * @param normalizedName the point of the normalised row, or null
   */
  private void norm(
      PackedNorm norm,
      int at,
      int toAt,
      @Nullable String scaleName,
      @Nullable String normalizedName,
      KvSequence sequence,
      int position) {
    float mean = norm.mean(pass.x, at);
    double scale = norm.scale(pass.x, at, mean);
    if (scaleName != null) {
      float[] shown = {(float) scale};
      taps.apply(scaleName, shown, 0, 1, sequence.id(), position);
      scale = shown[0] == (float) scale ? scale : shown[0];
    }
    norm.normalize(pass.x, at, mean, (float) (1 / scale), pass.normed, toAt);
    if (normalizedName != null) {
      taps.apply(normalizedName, pass.normed, toAt, pass.width, sequence.id(), position);
    }
    norm.finish(pass.normed, toAt);
  }

  /** Norms the row of one position for the head. */
  void finalNorm(PackedNorm norm, int row, int toRow) {
    Forward.Piece piece =
        pass.pieces.stream().filter(p -> row - p.row() < p.rows()).findFirst().orElseThrow();
    norm(
        norm,
        row * pass.width,
        toRow * pass.width,
        wantedOfModel.get(HookPoint.LN_FINAL_SCALE),
        wantedOfModel.get(HookPoint.LN_FINAL_NORMALIZED),
        piece.sequence(),
        piece.past() + row - piece.row());
  }

  /** Attention up to what its output projection reads. */
  private void attend(Forward.Layer layer) {
    QueryKeyValue maps = layer.weights().queryKeyValue();
    float[] qkv = pass.qkv;
    int ld = layer.qkvWidth();
    pass.workers.claim(
        maps.blocks(),
        (from, to, thread) -> maps.multiply(from, to, layer.forAttention(), qkv, ld));
    Attention spec = layer.weights().spec().attention();
    HeadLayout layout = maps.layout();
    heads(HookPoint.Q, layer, spec.heads(), layout::queryAt);
    heads(HookPoint.K, layer, spec.kvHeads(), layout::keyAt);
    heads(HookPoint.V, layer, spec.kvHeads(), layout::valueAt);
    PagedAttention core = layer.attention();
    if (spec.rotary().isPresent()) {
      pass.forEachRow((row, sequence, position) -> core.rotate(qkv, row * ld, position));
      heads(HookPoint.ROT_Q, layer, spec.heads(), layout::queryAt);
      heads(HookPoint.ROT_K, layer, spec.kvHeads(), layout::keyAt);
    }
    pass.forEachRow((row, sequence, position) -> core.store(qkv, row * ld, sequence, position));
    float[] z = pass.normed; // as in the fused pass: its rows have been read
    int ldz = layer.attendedWidth();
    if (names.containsKey(HookPoint.ATTN_SCORES) || names.containsKey(HookPoint.PATTERN)) {
      pass.forEachRow(
          (row, sequence, position) ->
              core.attend(
                  qkv,
                  row * ld,
                  sequence,
                  position,
                  z,
                  row * ldz,
                  pass.scratch[0],
                  (scores, stride) ->
                      keys(HookPoint.ATTN_SCORES, scores, stride, spec, sequence, position),
                  (scores, stride) ->
                      keys(HookPoint.PATTERN, scores, stride, spec, sequence, position)));
    } else {
      pass.workers.claim(
          pass.pieces.size(),
          (task, thread) -> {
            Forward.Piece piece = pass.pieces.get(task);
            core.attend(
                0,
                spec.kvHeads(),
                qkv,
                piece.row() * ld,
                ld,
                piece.rows(),
                piece.sequence(),
                piece.past(),
                z,
                piece.row() * ldz,
                ldz,
                pass.scratch[thread]);
          });
    }
    rows(HookPoint.Z, z, ldz, ldz);
    layer.forOut().set(z, 0, ldz, pass.rows());
  }

  /** Shows the heads of all rows of {@code qkv} that begin at {@code start}, side by side. */
  private void heads(HookPoint point, Forward.Layer layer, int heads, IntUnaryOperator start) {
    String name = names.get(point);
    if (name == null) {
      return;
    }
    int dims = layer.weights().spec().attention().headDim();
    float[] side = line(heads * dims);
    pass.forEachRow(
        (row, sequence, position) -> {
          int at = row * layer.qkvWidth();
          for (int h = 0; h < heads; h++) {
            System.arraycopy(pass.qkv, at + start.applyAsInt(h), side, h * dims, dims);
          }
          taps.apply(name, side, 0, heads * dims, sequence.id(), position);
          for (int h = 0; h < heads; h++) {
            System.arraycopy(side, h * dims, pass.qkv, at + start.applyAsInt(h), dims);
          }
        });
  }

  /** Shows what a position has for each key, all heads side by side. */
  private void keys(
      HookPoint point,
      float[] scores,
      int stride,
      Attention spec,
      KvSequence sequence,
      int position) {
    String name = names.get(point);
    if (name == null) {
      return;
    }
    int n = position + 1;
    float[] side = line(spec.heads() * n);
    for (int h = 0; h < spec.heads(); h++) {
      System.arraycopy(scores, h * stride, side, h * n, n);
    }
    taps.apply(name, side, 0, spec.heads() * n, sequence.id(), position);
    for (int h = 0; h < spec.heads(); h++) {
      System.arraycopy(side, h * n, scores, h * stride, n);
    }
  }

  private float[] line(int n) {
    line = line.length < n ? new float[n] : line;
    return line;
  }

  /** The feed-forward layer up to what its last map reads. */
  private void computeInner(Forward.Layer layer) {
    PackedFeedForward maps = layer.weights().feedForward();
    int width = maps.down().weight().in();
    int ld = pass.innerWidth;
    InputRows x = layer.forFeedForward();
    switch (maps) {
      case PackedFeedForward.Plain(PackedLinear up, _, _) -> multiply(up, x, pass.inner, ld);
      case PackedFeedForward.Gated(PackedLinear gate, PackedLinear up, _, _) -> {
        multiply(gate, x, pass.inner, ld);
        multiply(up, x, pass.beside, ld);
      }
    }
    rows(HookPoint.MLP_PRE, pass.inner, ld, width);
    if (maps instanceof PackedFeedForward.Gated) {
      rows(HookPoint.MLP_PRE_LINEAR, pass.beside, ld, width);
    }
    maps.activate(pass.inner, pass.beside, 0, width, ld, pass.rows());
    rows(HookPoint.MLP_POST, pass.inner, ld, width);
    layer.forDown().set(pass.inner, 0, ld, pass.rows());
  }

  private void multiply(PackedLinear linear, InputRows x, float[] y, int ldy) {
    pass.workers.claim(
        linear.blocks(), (from, to, thread) -> linear.multiply(from, to, x, y, 0, ldy));
  }

  /** Computes what a linear map adds to the residual stream where taps look at it. */
  private Addend addend(PackedLinear linear, InputRows x, HookPoint point) {
    if (!names.containsKey(point)) {
      return new Addend(linear, x, new float[0], new float[0]);
    }
    float[] computed = new float[pass.rows() * pass.width];
    multiply(linear, x, computed, pass.width);
    float[] left = computed.clone();
    rows(point, left, pass.width, pass.width);
    return new Addend(linear, x, computed, left);
  }

  /**
   * Adds by the map itself, whose sums begin with the residual stream; but what taps changed as
   * they left it.
   */
  private void addToResidual(Addend addend) {
    float[] x = pass.x;
    float[] before = Arrays.copyOf(x, addend.left.length);
    pass.workers.claim(
        addend.linear.blocks(),
        (from, to, thread) -> addend.linear.add(from, to, addend.x, x, pass.width));
    for (int i = 0; i < before.length; i++) {
      if (Float.compare(addend.left[i], addend.computed[i]) != 0) {
        x[i] = before[i] + addend.left[i];
      }
    }
  }
}
