package dev.jneox.generate;

import dev.jneox.model.Activation;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.Residual;
import dev.jneox.quant.Activations;
import dev.jneox.quant.PackedWeight;
import dev.jneox.tensor.Vectors;
import dev.jneox.tensor.Workers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The forward pass of a {@link PackedModel} over rows of several texts at once: one token of each
 * that is being written, and pieces of prompts. Its memory is made once: a pass allocates no more
 * than a few small objects. The threads meet three times a layer where the residual is parallel:
 *
 * <pre>
 *   norms | query, key, value; up, GELU | attention | dense + down + residual |
 * </pre>
 *
 * and twice more where it is serial. What comes out for a row depends on its text alone: neither on
 * the other rows, nor on how the text was cut into pieces, nor on the threads.
 *
 * <p>Use: {@link #begin}, {@link #add} for every text, {@link #run}, then {@link #logits}. For one
 * thread.
 */
final class Forward {
  /** Rows that the head is applied to at a time: their scores take more room than all else. */
  static final int LOGIT_ROWS = 16;

  /** Tasks a thread that the heads of a text make: few, so that each reads long runs of memory. */
  private static final int HEAD_GROUPS = 2;

  /** Fewer rows than this are prepared by one thread sooner than by several. */
  private static final int SHARED_ROWS = 16;

  /** The rows of one text. */
  private record Piece(KvSequence text, int past, int row, int rows) {}

  private final PackedModel model;
  private final ModelConfig config;
  private final Workers workers;
  private final PagedAttention attention;
  private final PagedAttention.Scratch[] scratch;
  private final boolean serial;
  private final int maxRows;
  private final int groups; // of heads, each a task
  private final int width;
  private final int paddedMlp;

  private final float[] x; // the residual stream, [rows, width]
  private final float[] normed; // [rows, width], also attention's output
  private final float[] qkv; // [rows, 3 width]
  private final float[] mlp; // [rows, paddedMlp]
  private final float[] logits; // [LOGIT_ROWS, vocabulary]
  private final Activations forAttention;
  private final Activations forMlp;
  private final Activations forDense;
  private final Activations forDown;
  private final Activations forHead;

  private final List<Piece> pieces = new ArrayList<>();
  private final int[] ids;
  private int rows;
  private int longest;

  // The region that is running.
  private PackedModel.Layer layer;
  private int layerIndex;
  private final Workers.Share input = this::input;
  private final Workers.Task attend = this::attend;
  private final Workers.Share output = this::output;
  private final Workers.Share dense = this::dense;
  private final Workers.Share up = this::up;
  private final Workers.Share down = this::down;
  private final Workers.Share scores = this::scores;

  /**
   * @param maxRows most rows of one pass
   */
  Forward(PackedModel model, KvFormat format, Workers workers, int maxRows) {
    this.model = model;
    this.config = model.config();
    this.workers = workers;
    this.attention = new PagedAttention(config, format);
    this.scratch = new PagedAttention.Scratch[workers.count()];
    Arrays.setAll(scratch, i -> new PagedAttention.Scratch());
    this.serial = config.residual() == Residual.SERIAL;
    this.maxRows = maxRows;
    this.groups = Math.min(config.heads(), HEAD_GROUPS * workers.count());
    this.width = config.hiddenSize();
    this.paddedMlp = Vectors.padded(config.intermediateSize());
    this.ids = new int[maxRows];
    this.x = floats(maxRows, width);
    this.normed = floats(maxRows, width);
    this.qkv = floats(maxRows, 3 * width);
    this.mlp = floats(maxRows, paddedMlp);
    this.logits = floats(LOGIT_ROWS, config.vocabSize());
    List<PackedWeight> readNormed = new ArrayList<>();
    List<PackedWeight> ups = new ArrayList<>();
    List<PackedWeight> denses = new ArrayList<>();
    List<PackedWeight> downs = new ArrayList<>();
    for (PackedModel.Layer l : model.layers) {
      readNormed.add(l.queryKeyValue().weight());
      (l.mlpNorm() == null ? readNormed : ups).add(l.up().weight());
      denses.add(l.dense().weight());
      downs.add(l.down().weight());
    }
    this.forAttention = activations(maxRows, readNormed);
    this.forMlp = ups.isEmpty() ? forAttention : activations(maxRows, ups);
    this.forDense = activations(maxRows, denses);
    this.forDown = activations(maxRows, downs);
    this.forHead = activations(LOGIT_ROWS, List.of(model.head.weight()));
  }

  private static float[] floats(int rows, int width) {
    return new float[Math.multiplyExact(rows, width)];
  }

  private static Activations activations(int rows, List<PackedWeight> readers) {
    Activations.Form[] forms =
        readers.stream().map(PackedWeight::form).distinct().toArray(Activations.Form[]::new);
    return new Activations(rows, readers.getFirst().in(), forms);
  }

  int maxRows() {
    return maxRows;
  }

  /** Begins a pass without rows. */
  void begin() {
    pieces.clear();
    rows = 0;
    longest = 0;
  }

  /** Rows of the pass so far. */
  int rows() {
    return rows;
  }

  /**
   * Adds the next {@code n} ids of a text, {@code from[at ...]}, which has pages for them; they are
   * appended to it.
   *
   * @return the row of the first
   */
  int add(KvSequence text, int[] from, int at, int n) {
    int row = rows;
    System.arraycopy(from, at, ids, row, n);
    pieces.add(new Piece(text, text.length(), row, n));
    text.append(from, at, n);
    rows += n;
    longest = Math.max(longest, text.length());
    return row;
  }

  /**
   * Brings all rows to the end of the last block, and their keys and values into the pages of their
   * texts.
   */
  void run() {
    attention.ensure(longest);
    embed();
    for (layerIndex = 0; layerIndex < model.layers.size(); layerIndex++) {
      layer = model.layers.get(layerIndex);
      prepare(layer.attentionNorm(), forAttention);
      int inputs = layer.queryKeyValue().blocks();
      if (!serial) {
        if (layer.mlpNorm() != null) {
          prepare(layer.mlpNorm(), forMlp);
        }
        inputs += layer.up().blocks();
      }
      workers.claim(inputs, input);
      if (!serial) {
        forDown.begin(rows);
      }
      workers.claim(pieces.size() * groups + (serial ? 0 : rows), attend);
      prepare(normed, width, forDense);
      if (!serial) {
        workers.claim(layer.dense().blocks(), output);
      } else {
        workers.claim(layer.dense().blocks(), dense);
        prepare(layer.mlpNorm(), forMlp);
        workers.claim(layer.up().blocks(), up);
        prepare(mlp, paddedMlp, forDown);
        workers.claim(layer.down().blocks(), down);
      }
    }
  }

  /**
   * The scores of every token for what follows some rows, {@code [n, vocabulary]}; overwritten by
   * the next call.
   *
   * @param n at most {@link #LOGIT_ROWS}
   */
  float[] logits(int[] wanted, int at, int n) {
    for (int i = 0; i < n; i++) {
      norm(x, wanted[at + i] * width, model.finalNorm, normed, i * width);
    }
    forHead.set(normed, 0, width, n);
    workers.claim(model.head.blocks(), scores);
    return logits;
  }

  private void embed() {
    for (Piece piece : pieces) {
      for (int r = 0; r < piece.rows; r++) {
        int row = piece.row + r;
        model.embedding.read(ids[row], x, row * width);
        if (model.positions != null) {
          model.positions.read(piece.past + r, normed, row * width);
          Vectors.add(x, row * width, normed, row * width, width);
        }
      }
    }
  }

  /** Norms all rows of the residual stream for the weights that read them. */
  private void prepare(PackedModel.Norm weights, Activations into) {
    if (rows < SHARED_ROWS) {
      for (int r = 0; r < rows; r++) {
        norm(x, r * width, weights, normed, r * width);
      }
      into.set(normed, 0, width, rows);
    } else {
      into.begin(rows);
      workers.forEach(
          rows,
          (from, to, thread) -> {
            for (int r = from; r < to; r++) {
              norm(x, r * width, weights, normed, r * width);
              into.fill(r, normed, r * width);
            }
          });
    }
  }

  /** Makes activations of all rows of {@code from}, {@code ld} values apart. */
  private void prepare(float[] from, int ld, Activations into) {
    if (rows < SHARED_ROWS) {
      into.set(from, 0, ld, rows);
    } else {
      into.begin(rows);
      workers.claim(rows, (r, thread) -> into.fill(r, from, r * ld));
    }
  }

  private void norm(float[] from, int at, PackedModel.Norm weights, float[] to, int toAt) {
    float mean = Vectors.sum(from, at, width) / width;
    float inverse =
        (float)
            (1 / Math.sqrt(Vectors.squares(from, at, mean, width) / width + config.layerNormEps()));
    float[] w = weights.weight();
    float[] b = weights.bias();
    for (int i = 0; i < width; i++) {
      to[toAt + i] = (from[at + i] - mean) * inverse * w[i] + b[i];
    }
  }

  /** Blocks of query, key and value, and behind them those of the MLP. */
  private void input(int from, int to, int thread) {
    int border = layer.queryKeyValue().blocks();
    if (from < border) {
      layer.queryKeyValue().multiply(from, Math.min(border, to), forAttention, qkv, 3 * width);
    }
    if (to > border) {
      up(Math.max(border, from) - border, to - border, thread);
    }
  }

  private void up(int fromBlock, int toBlock, int thread) {
    PackedLinear linear = layer.up();
    linear.multiply(
        fromBlock, toBlock, layer.mlpNorm() == null ? forAttention : forMlp, mlp, paddedMlp);
    int from = fromBlock * PackedWeight.BLOCK;
    int n = linear.end(toBlock) - from;
    for (int r = 0; r < rows; r++) {
      if (config.activation() == Activation.GELU) {
        Vectors.gelu(mlp, r * paddedMlp + from, n);
      } else {
        Vectors.geluTanh(mlp, r * paddedMlp + from, n);
      }
    }
  }

  /**
   * Some heads of one text; before them, where the MLP has been computed already, its rows are
   * readied for what reads them.
   */
  private void attend(int task, int thread) {
    if (!serial && task < rows) {
      forDown.fill(task, mlp, task * paddedMlp);
      return;
    }
    int n = serial ? task : task - rows;
    int group = n % groups;
    Piece piece = pieces.get(n / groups);
    attention.heads(
        layerIndex,
        config.heads() * group / groups,
        config.heads() * (group + 1) / groups,
        layer.window(),
        qkv,
        piece.row * 3 * width,
        3 * width,
        piece.rows,
        piece.text,
        piece.past,
        normed,
        piece.row * width,
        width,
        scratch[thread]);
  }

  private void output(int from, int to, int thread) {
    layer.dense().add(from, to, forDense, x, width);
    layer.down().add(from, to, forDown, x, width);
  }

  private void dense(int from, int to, int thread) {
    layer.dense().add(from, to, forDense, x, width);
  }

  private void down(int from, int to, int thread) {
    layer.down().add(from, to, forDown, x, width);
  }

  private void scores(int from, int to, int thread) {
    model.head.multiply(from, to, forHead, logits, config.vocabSize());
  }
}
