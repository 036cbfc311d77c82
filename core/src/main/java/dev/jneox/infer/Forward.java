package dev.jneox.infer;

import dev.jneox.kernel.InputRows;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Vectors;
import dev.jneox.kernel.Workers;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToIntFunction;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Runs a {@link PackedModel} over rows of several sequences at once: one token of each that is
 * being generated, and pieces of prompts. Its memory is made once: a pass allocates no more than a
 * few small objects. The threads meet three times a layer where the residual is parallel:
 *
 * <pre>
 *   norms | query, key, value; feed-forward up to its last map | attention | both outputs + residual |
 * </pre>
 *
 * and twice more where it is serial. The result for a row depends on its sequence alone: neither on
 * the other rows, nor on how the sequence was cut into pieces, nor on the threads.
 *
 * <p>Use: {@link #begin}, {@link #add} for every sequence, {@link #run}, then {@link #logits}. For
 * one thread.
 */
final class Forward {
  /** Rows that the head is applied to at a time: their scores take more room than all else. */
  static final int LOGIT_ROWS = 16;

  /** Tasks per thread that the heads of a sequence make: few, so that reads are long runs. */
  private static final int HEAD_GROUPS = 2;

  /** Fewer rows than this are prepared by one thread sooner than by several. */
  private static final int SHARED_ROWS = 16;

  /** The rows of one sequence. */
  record Piece(KvSequence sequence, int past, int row, int rows) {}

  /**
   * One layer with the memory that its products are read from.
   *
   * @param heads of keys and values
   * @param groups of heads, each a task
   * @param qkvWidth values of a row of queries, keys and values
   * @param attendedWidth values of a row of attention's output
   */
  record Layer(
      Residual residual,
      PackedModel.Layer weights,
      PagedAttention attention,
      int heads,
      int groups,
      int qkvWidth,
      int attendedWidth,
      InputRows forAttention,
      InputRows forFeedForward,
      InputRows forOut,
      InputRows forDown) {}

  private final PackedModel model;
  final Workers workers;
  final PagedAttention.Scratch[] scratch;
  private final int maxRows;
  final int width;
  private final int vocabulary;
  final int innerWidth; // of feed-forward layers, padded
  private final List<Layer> layers = new ArrayList<>();
  private final Map<Position.Rotary, RotaryTable> rotaries = new HashMap<>();

  final float[] x; // the residual stream, [rows, width]
  final float[] normed; // [rows, width], also attention's output
  final float[] qkv; // [rows, qkvWidth]
  final float[] inner; // [rows, innerWidth]
  final float[] beside; // [rows, innerWidth], or empty where no layer has a gate
  private final float[] logits; // [LOGIT_ROWS, vocabulary]
  private final InputRows forHead;

  final List<Piece> pieces = new ArrayList<>();
  private final int[] ids;
  private int rows;
  private int longest;
  private @Nullable TappedPass tapped; // null where no taps look

  // The region that is running.
  private Layer layer;
  private final Workers.Share input = this::input;
  private final Workers.Task attend = this::attend;
  private final Workers.Task attendAndFill = this::attendAndFill;
  private final Workers.Share outputs = this::outputs;
  private final Workers.Share queryKeyValue = this::queryKeyValue;
  private final Workers.Share attentionOut = this::attentionOut;
  private final Workers.Share feedForward = this::feedForward;
  private final Workers.Share down = this::down;
  private final Workers.Share scores = this::scores;

  /**
   * @param maxRows most rows of one pass
   */
  Forward(PackedModel model, KvFormat format, Workers workers, int maxRows) {
    ModelSpec spec = model.spec();
    this.model = model;
    this.workers = workers;
    this.scratch = new PagedAttention.Scratch[workers.count()];
    Arrays.setAll(scratch, i -> new PagedAttention.Scratch());
    this.maxRows = maxRows;
    this.width = spec.width();
    this.vocabulary = spec.vocabulary().rows();
    this.innerWidth = Vectors.padded(widest(spec, block -> block.feedForward().width()));
    this.ids = new int[maxRows];
    this.x = floats(maxRows, width);
    int attended = widest(spec, block -> block.attention().queryWidth());
    this.normed = floats(maxRows, Math.max(width, attended));
    this.qkv = floats(maxRows, widest(spec, block -> block.attention().fusedWidth()));
    this.inner = floats(maxRows, innerWidth);
    boolean gated = spec.blocks().stream().anyMatch(block -> block.feedForward().isGated());
    this.beside = floats(gated ? maxRows : 0, innerWidth);
    this.logits = floats(LOGIT_ROWS, vocabulary);
    List<PackedLinear> readAttentionNorm = new ArrayList<>();
    List<PackedLinear> readFeedForwardNorm = new ArrayList<>();
    Map<Integer, List<PackedLinear>> readAttended = new HashMap<>(); // by the width they read
    Map<Integer, List<PackedLinear>> readInner = new HashMap<>();
    for (PackedModel.Layer l : model.layers) {
      readAttentionNorm.addAll(l.queryKeyValue().parts());
      (l.feedForwardNorm() == null ? readAttentionNorm : readFeedForwardNorm)
          .addAll(l.feedForward().readers());
      readers(readAttended, l.attentionOut());
      readers(readInner, l.feedForward().down());
    }
    InputRows forAttention = activations(maxRows, readAttentionNorm);
    InputRows forFeedForward =
        readFeedForwardNorm.isEmpty() ? forAttention : activations(maxRows, readFeedForwardNorm);
    Map<Integer, InputRows> forOut = activations(readAttended);
    Map<Integer, InputRows> forDown = activations(readInner);
    for (int l = 0; l < model.layers.size(); l++) {
      PackedModel.Layer weights = model.layers.get(l);
      Attention attention = weights.spec().attention();
      @Nullable RotaryTable rotary =
          switch (attention.position()) {
            case Position.Rotary r -> rotaries.computeIfAbsent(r, RotaryTable::new);
            case Position.None _ -> null;
          };
      layers.add(
          new Layer(
              weights.spec().residual(),
              weights,
              new PagedAttention(attention, l, weights.queryKeyValue().layout(), format, rotary),
              attention.kvHeads(),
              Math.min(attention.kvHeads(), HEAD_GROUPS * workers.count()),
              attention.fusedWidth(),
              attention.queryWidth(),
              forAttention,
              weights.feedForwardNorm() == null ? forAttention : forFeedForward,
              Objects.requireNonNull(forOut.get(weights.attentionOut().weight().in())),
              Objects.requireNonNull(forDown.get(weights.feedForward().down().weight().in()))));
    }
    this.forHead = activations(LOGIT_ROWS, List.of(model.head));
    this.layer = layers.getFirst();
  }

  private static int widest(ModelSpec spec, ToIntFunction<BlockSpec> width) {
    return spec.blocks().stream().mapToInt(width).max().orElseThrow();
  }

  private static float[] floats(int rows, int width) {
    return new float[Math.multiplyExact(rows, width)];
  }

  private static void readers(Map<Integer, List<PackedLinear>> byWidth, PackedLinear reader) {
    byWidth.computeIfAbsent(reader.weight().in(), in -> new ArrayList<>()).add(reader);
  }

  private Map<Integer, InputRows> activations(Map<Integer, List<PackedLinear>> readers) {
    Map<Integer, InputRows> all = new HashMap<>();
    readers.forEach((in, linears) -> all.put(in, activations(maxRows, linears)));
    return all;
  }

  private static InputRows activations(int rows, List<PackedLinear> readers) {
    Stream<PackedWeight> weights = readers.stream().map(PackedLinear::weight);
    InputRows.Form[] forms =
        weights.map(PackedWeight::form).distinct().toArray(InputRows.Form[]::new);
    return new InputRows(rows, readers.getFirst().weight().in(), forms);
  }

  int maxRows() {
    return maxRows;
  }

  /** Begins a pass without rows. */
  void begin() {
    tapped = null;
    pieces.clear();
    rows = 0;
    longest = 0;
  }

  /** Rows of the pass so far. */
  int rows() {
    return rows;
  }

  /**
   * Adds the next {@code n} ids of a sequence, {@code from[at ...]}, which has pages for them; they
   * are appended to it.
   *
   * @return the row of the first
   */
  int add(KvSequence sequence, int[] from, int at, int n) {
    int row = rows;
    System.arraycopy(from, at, ids, row, n);
    pieces.add(new Piece(sequence, sequence.length(), row, n));
    sequence.append(from, at, n);
    rows += n;
    longest = Math.max(longest, sequence.length());
    return row;
  }

  /**
   * Brings all rows to the end of the last block, and their keys and values into the pages of their
   * sequences.
   */
  void run() {
    rotaries.values().forEach(rotary -> rotary.ensure(longest));
    embed();
    for (int l = 0; l < layers.size(); l++) {
      layer = layers.get(l);
      if (tapped != null) {
        tapped.rows(HookPoint.RESID_PRE, l, x);
      }
      if (tapped != null && tapped.looksInside(l)) {
        tapped.run(l, layer);
      } else {
        switch (layer.residual()) {
          case Residual.Serial _ -> serial();
          case Residual.Parallel _, Residual.ParallelOneNorm _ -> parallel();
        }
      }
      if (tapped != null) {
        tapped.rows(HookPoint.RESID_POST, l, x);
      }
    }
  }

  /** The same, with taps on this pass and its {@link #logits}. */
  void run(Taps taps) {
    tapped = new TappedPass(this, taps, layers.size());
    run();
  }

  /** What is done with each row of a pass. */
  @FunctionalInterface
  interface RowAction {
    void run(int row, KvSequence sequence, int position);
  }

  /** Runs an action on each row of the pass, in order. */
  void forEachRow(RowAction action) {
    for (Piece piece : pieces) {
      for (int r = 0; r < piece.rows; r++) {
        action.run(piece.row + r, piece.sequence, piece.past + r);
      }
    }
  }

  private void parallel() {
    PackedModel.Layer weights = layer.weights();
    prepare(weights.attentionNorm(), layer.forAttention());
    if (weights.feedForwardNorm() != null) {
      prepare(weights.feedForwardNorm(), layer.forFeedForward());
    }
    workers.claim(weights.queryKeyValue().blocks() + weights.feedForward().blocks(), input);
    layer.forDown().begin(rows);
    workers.claim(pieces.size() * layer.groups() + rows, attendAndFill);
    prepare(normed, layer.attendedWidth(), layer.forOut());
    workers.claim(weights.attentionOut().blocks(), outputs);
  }

  private void serial() {
    PackedModel.Layer weights = layer.weights();
    prepare(weights.attentionNorm(), layer.forAttention());
    workers.claim(weights.queryKeyValue().blocks(), queryKeyValue);
    workers.claim(pieces.size() * layer.groups(), attend);
    prepare(normed, layer.attendedWidth(), layer.forOut());
    workers.claim(weights.attentionOut().blocks(), attentionOut);
    prepare(Objects.requireNonNull(weights.feedForwardNorm()), layer.forFeedForward());
    workers.claim(weights.feedForward().blocks(), feedForward);
    prepare(inner, innerWidth, layer.forDown());
    workers.claim(weights.feedForward().down().blocks(), down);
  }

  /**
   * Scores every token as the one that follows some rows: {@code [n, vocabulary]}, overwritten by
   * the next call.
   *
   * @param n at most {@link #LOGIT_ROWS}
   */
  float[] logits(int[] wanted, int at, int n) {
    for (int i = 0; i < n; i++) {
      if (tapped == null) {
        model.finalNorm.apply(x, wanted[at + i] * width, normed, i * width);
      } else {
        tapped.finalNorm(model.finalNorm, wanted[at + i], i);
      }
    }
    forHead.set(normed, 0, width, n);
    workers.claim(model.head.blocks(), scores);
    return logits;
  }

  private void embed() {
    for (int row = 0; row < rows; row++) {
      model.embedding.read(ids[row], x, row * width);
    }
    if (tapped != null) {
      tapped.rows(HookPoint.EMBED, 0, x);
    }
    if (model.positions == null) {
      return;
    }
    forEachRow((row, sequence, position) -> model.positions.read(position, normed, row * width));
    if (tapped != null) {
      tapped.rows(HookPoint.POS_EMBED, 0, normed);
    }
    Vectors.add(x, 0, normed, 0, rows * width);
  }

  /** Norms all rows of the residual stream for the weights that read them. */
  private void prepare(PackedNorm norm, InputRows into) {
    if (rows < SHARED_ROWS) {
      for (int r = 0; r < rows; r++) {
        norm.apply(x, r * width, normed, r * width);
      }
      into.set(normed, 0, width, rows);
    } else {
      into.begin(rows);
      workers.forEach(
          rows,
          (from, to, thread) -> {
            for (int r = from; r < to; r++) {
              norm.apply(x, r * width, normed, r * width);
              into.fill(r, normed, r * width);
            }
          });
    }
  }

  /** Makes activations of all rows of {@code from}, {@code ld} values apart. */
  private void prepare(float[] from, int ld, InputRows into) {
    if (rows < SHARED_ROWS) {
      into.set(from, 0, ld, rows);
    } else {
      into.begin(rows);
      workers.claim(rows, (r, thread) -> into.fill(r, from, r * ld));
    }
  }

  /** Computes blocks of query, key and value, and behind them those of the feed-forward layer. */
  private void input(int from, int to, int thread) {
    int border = layer.weights().queryKeyValue().blocks();
    if (from < border) {
      queryKeyValue(from, Math.min(border, to), thread);
    }
    if (to > border) {
      feedForward(Math.max(border, from) - border, to - border, thread);
    }
  }

  private void queryKeyValue(int from, int to, int thread) {
    layer.weights().queryKeyValue().multiply(from, to, layer.forAttention(), qkv, layer.qkvWidth());
  }

  private void feedForward(int from, int to, int thread) {
    layer
        .weights()
        .feedForward()
        .multiply(from, to, layer.forFeedForward(), inner, beside, innerWidth);
  }

  /** Prepares rows of the feed-forward layer for its last map; tasks behind them are heads. */
  private void attendAndFill(int task, int thread) {
    if (task < rows) {
      layer.forDown().fill(task, inner, task * innerWidth);
    } else {
      attend(task - rows, thread);
    }
  }

  /** Computes attention of some heads of one sequence. */
  private void attend(int task, int thread) {
    int groups = layer.groups();
    int group = task % groups;
    Piece piece = pieces.get(task / groups);
    layer
        .attention()
        .heads(
            layer.heads() * group / groups,
            layer.heads() * (group + 1) / groups,
            qkv,
            piece.row * layer.qkvWidth(),
            layer.qkvWidth(),
            piece.rows,
            piece.sequence,
            piece.past,
            normed,
            piece.row * layer.attendedWidth(),
            layer.attendedWidth(),
            scratch[thread]);
  }

  private void outputs(int from, int to, int thread) {
    attentionOut(from, to, thread);
    down(from, to, thread);
  }

  private void attentionOut(int from, int to, int thread) {
    layer.weights().attentionOut().add(from, to, layer.forOut(), x, width);
  }

  private void down(int from, int to, int thread) {
    layer.weights().feedForward().down().add(from, to, layer.forDown(), x, width);
  }

  private void scores(int from, int to, int thread) {
    model.head.multiply(from, to, forHead, logits, 0, vocabulary);
  }
}
