package dev.jneox.infer;

import dev.jneox.io.Progress;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Residual;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.StoredModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Holds a model as inference reads it: weights in the layouts of {@link PackedWeight}, over the
 * mapped file where it has them so, and norms and biases in fp32. Immutable; any number of engines
 * may read it.
 */
public final class PackedModel implements AutoCloseable {
  /**
   * One block.
   *
   * @param feedForwardNorm null where the feed-forward layer reads what attention reads
   */
  record Layer(
      BlockSpec spec,
      PackedNorm attentionNorm,
      @Nullable PackedNorm feedForwardNorm,
      QueryKeyValue queryKeyValue,
      PackedLinear attentionOut,
      PackedFeedForward feedForward) {
    /** Every linear map, in the order of the forward pass. */
    List<PackedLinear> linears() {
      List<PackedLinear> all = new ArrayList<>(queryKeyValue.parts());
      all.add(attentionOut);
      all.addAll(feedForward.readers());
      all.add(feedForward.down());
      return all;
    }
  }

  private final ModelSpec spec;
  private final WeightReader reader;
  final WeightReader.Rows embedding;
  final WeightReader.@Nullable Rows positions; // null where they are not learned
  final List<Layer> layers = new ArrayList<>();
  final PackedNorm finalNorm;
  final PackedLinear head;
  private byte @Nullable [] fingerprint; // made when first asked for

  private PackedModel(ModelWeights weights, WeightReader reader) {
    this.spec = weights.spec();
    this.reader = reader;
    embedding = reader.rows(ParamId.weight(Part.EMBEDDING));
    positions =
        spec.embedding().learnedPositions() ? reader.rows(ParamId.weight(Part.POSITIONS)) : null;
    for (int l = 0; l < spec.layers(); l++) {
      layers.add(layer(l, spec.block(l)));
    }
    finalNorm = reader.norm(ParamId.weight(Part.FINAL_NORM), spec.finalNorm());
    head = reader.head();
  }

  private Layer layer(int l, BlockSpec block) {
    Residual residual = block.residual();
    Attention attention = block.attention();
    return new Layer(
        block,
        reader.norm(ParamId.weight(l, Part.ATTENTION_NORM), residual.attention()),
        residual.sharesNorm()
            ? null
            : reader.norm(ParamId.weight(l, Part.FEED_FORWARD_NORM), residual.feedForward()),
        reader.queryKeyValue(l, attention),
        reader.linear(ParamId.weight(l, Part.ATTENTION_OUT), attention.outBias()),
        reader.feedForward(l, block.feedForward()));
  }

  /**
   * Reads weights, which stay as they are for as long as the result is used: it may point to them.
   *
   * @throws dev.jneox.io.InputException for numbers that are not finite where none may be
   */
  public static PackedModel of(ModelWeights weights, Precision precision) {
    return of(weights, null, precision, Progress.silent());
  }

  /** Over the weights of a model on disk, which stays open for as long as this is used. */
  public static PackedModel of(StoredModel stored, Precision precision) {
    return of(stored, precision, Progress.silent());
  }

  /**
   * The same, and counts the numbers of parameters that are mapped or packed: all of them, and
   * those of a tied head twice, for embedding and head are read each in its way.
   */
  public static PackedModel of(StoredModel stored, Precision precision, Progress progress) {
    return of(stored, stored.path(), precision, progress);
  }

  private static PackedModel of(
      ModelWeights weights, @Nullable Path path, Precision precision, Progress progress) {
    ModelSpec spec = weights.spec();
    progress.expect(
        spec.parameters().stream()
            .mapToLong(
                param ->
                    spec.head().tied() && param.id().equals(spec.headWeight())
                        ? 2 * param.elements()
                        : param.elements())
            .sum());
    WeightReader reader = new WeightReader(weights, path, precision, progress);
    try {
      return new PackedModel(weights, reader);
    } catch (RuntimeException | Error e) {
      reader.close();
      throw e;
    }
  }

  /** Returns the model's architecture and sizes. */
  public ModelSpec spec() {
    return spec;
  }

  /** Bytes of weights that one decoding step reads, however many sequences share it. */
  public long stepBytes() {
    long bytes = head.weight().bytes();
    for (Layer layer : layers) {
      for (PackedLinear linear : layer.linears()) {
        bytes += linear.weight().bytes();
      }
    }
    return bytes;
  }

  /**
   * Checks that the files under the weights were not changed since they were opened.
   *
   * @throws dev.jneox.io.StorageException when one was
   */
  void check() {
    reader.check();
  }

  /**
   * Returns 32 bytes that tell apart models whose keys and values differ: a hash of description,
   * precision and the contents of every tensor. Reads all weights the first time.
   */
  public synchronized byte[] fingerprint() {
    if (fingerprint == null) {
      fingerprint = reader.fingerprint();
    }
    return fingerprint.clone();
  }

  /** Frees the weights that had to be converted. */
  @Override
  public void close() {
    reader.close();
  }
}
