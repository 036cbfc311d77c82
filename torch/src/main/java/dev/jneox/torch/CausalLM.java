package dev.jneox.torch;

import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.model.Position;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.MappedTensor;
import dev.jneox.weights.ModelWeights;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only language model: token ids in, a score for every possible next token out. It is the
 * reference: plain libtorch operations in reading order, differentiable by autograd wherever the
 * weights require gradients.
 *
 * <pre>{@code
 * ids [B,S] -> embedding -> Block x L -> norm -> head -> logits [B,S,V]
 * }</pre>
 */
public final class CausalLM implements AutoCloseable {
  private final ModelSpec spec;
  private final Map<ParamId, Tensor> weights = new LinkedHashMap<>();
  private final List<Block> blocks = new ArrayList<>();
  private final NormLayer finalNorm;
  private final Linear head;
  private final @Nullable ScalarType compute; // null for each weight's own
  private final boolean alone; // whether this has whole matrices

  /**
   * Makes a model over {@code weights}, of the shapes of {@link ModelSpec#parameters}, all on one
   * device; none is copied, and {@link #close} closes them. Linear weights may be of any float
   * type, and multiply in their own precision.
   *
   * @throws IllegalArgumentException when a weight is missing or has another shape
   */
  public CausalLM(ModelSpec spec, Map<ParamId, Tensor> weights) {
    this(spec, weights, null, true);
  }

  /**
   * The same; where {@code compute} is not null, linear weights are rounded to it to multiply.
   *
   * @param alone false for one of several ranks, whose matrices are parts
   */
  CausalLM(
      ModelSpec spec, Map<ParamId, Tensor> weights, @Nullable ScalarType compute, boolean alone) {
    this.spec = spec;
    this.compute = compute;
    this.alone = alone;
    for (Param param : spec.parameters()) {
      Tensor t = weights.get(param.id());
      if (t == null || !Arrays.equals(Tensors.shape(t), param.axes())) {
        throw new IllegalArgumentException(
            param.id()
                + ": expected "
                + Arrays.toString(param.axes())
                + ", found "
                + (t == null ? "nothing" : Arrays.toString(Tensors.shape(t))));
      }
      this.weights.put(param.id(), keep(param.id().part().isNorm() ? fp32(t) : t));
    }
    Map<Position.Rotary, Rotary> tables = new HashMap<>();
    for (int l = 0; l < spec.layers(); l++) {
      blocks.add(block(l, spec.block(l), tables));
    }
    finalNorm = norm(spec.finalNorm(), ParamId.weight(Part.FINAL_NORM));
    head = linear(spec.headWeight(), ParamId.bias(Part.HEAD));
  }

  private Block block(int l, BlockSpec block, Map<Position.Rotary, Rotary> tables) {
    Attention attention = block.attention();
    @Nullable Rotary rotary =
        switch (attention.position()) {
          case Position.Rotary turned -> tables.computeIfAbsent(turned, Rotary::new);
          case Position.None _ -> null;
        };
    @Nullable Linear gate =
        switch (block.feedForward()) {
          case FeedForward.Plain _ -> null;
          case FeedForward.Gated _ -> linear(l, Part.GATE);
        };
    return new Block(
        l,
        block.residual(),
        norm(block.residual().attention(), ParamId.weight(l, Part.ATTENTION_NORM)),
        block.residual().sharesNorm()
            ? null
            : norm(block.residual().feedForward(), ParamId.weight(l, Part.FEED_FORWARD_NORM)),
        new SelfAttention(
            attention,
            rotary,
            linear(l, Part.QUERY),
            linear(l, Part.KEY),
            linear(l, Part.VALUE),
            branchEnd(l, Part.ATTENTION_OUT)),
        new Mlp(block.feedForward(), gate, linear(l, Part.UP), branchEnd(l, Part.DOWN)),
        alone ? null : bias(ParamId.weight(l, Part.ATTENTION_OUT)),
        alone ? null : bias(ParamId.weight(l, Part.DOWN)));
  }

  /** The last map of a branch; where its result is yet to be summed over ranks without its bias. */
  private Linear branchEnd(int layer, Part part) {
    Linear linear = linear(layer, part);
    return alone ? linear : new Linear(linear.weight(), null, linear.compute());
  }

  private NormLayer norm(Norm norm, ParamId weight) {
    return new NormLayer(norm, weight(weight), bias(weight));
  }

  private Linear linear(int layer, Part part) {
    ParamId weight = ParamId.weight(layer, part);
    return linear(weight, weight);
  }

  private Linear linear(ParamId weight, ParamId biasOf) {
    Tensor matrix = weight(weight);
    ScalarType type = compute == null ? matrix.scalar_type().intern() : compute;
    return new Linear(matrix, bias(biasOf), type);
  }

  private Tensor weight(ParamId id) {
    return Objects.requireNonNull(weights.get(id));
  }

  private @Nullable Tensor bias(ParamId of) {
    return weights.get(of.as(ParamId.Kind.BIAS));
  }

  /**
   * Makes a model of stored weights on a device. On the CPU they must stay open as long as it:
   * values that are stored as wanted are used where they lie.
   *
   * @param precision the type of a matrix, from the one it is stored in; a bias has the type of its
   *     matrix, in which it is added, and norms are in fp32
   */
  public static CausalLM of(ModelWeights stored, UnaryOperator<Dtype> precision, Device device) {
    Libtorch.start();
    Map<ParamId, Tensor> weights = new LinkedHashMap<>();
    ModelSpec spec = stored.spec();
    for (Param param : spec.parameters()) {
      try (Arena arena = Arena.ofShared()) {
        MappedTensor values = stored.read(param.id(), arena);
        Dtype found = values.dtype();
        Dtype wanted =
            param.isMatrix() ? precision.apply(found) : vectorType(spec, param.id(), weights);
        Tensor view = Tensors.view(values.data(), Tensors.type(found), param.axes());
        boolean made = values.data().scope().equals(arena.scope());
        weights.put(
            param.id(),
            made && wanted == found && device.isCpu()
                ? view.clone()
                : Tensors.to(view, device, Tensors.type(wanted)));
      }
    }
    return new CausalLM(spec, weights);
  }

  private static Dtype vectorType(ModelSpec spec, ParamId id, Map<ParamId, Tensor> weights) {
    if (id.part().isNorm()) {
      return Dtype.F32;
    }
    ParamId matrix = id.part() == Part.HEAD ? spec.headWeight() : id.as(ParamId.Kind.WEIGHT);
    return Tensors.dtype(Objects.requireNonNull(weights.get(matrix)).scalar_type().intern());
  }

  /** Returns the model's architecture and sizes. */
  public ModelSpec spec() {
    return spec;
  }

  /** Every parameter, in the order of {@link ModelSpec#parameters}. */
  public Map<ParamId, Tensor> weights() {
    return Collections.unmodifiableMap(weights);
  }

  /** Logits {@code [B,S,V]} in fp32 of the token after each of {@code ids [B,S]} (int64). */
  public Tensor forward(Tensor ids) {
    return forward(ids, null, Hooks.NONE);
  }

  /**
   * Logits {@code [B,S,V]} in fp32.
   *
   * @param ids {@code [B,S]} int64; with a cache, the ids that follow those it has seen
   * @param cache null, or what earlier calls have seen; this call's positions are added to it
   * @param hooks {@link Hooks#NONE} or what looks on
   */
  public Tensor forward(Tensor ids, @Nullable KvCache cache, Hooks hooks) {
    return Tensors.scoped(() -> logits(hidden(ids, cache, hooks)));
  }

  /** The normed output of the last block, {@code [B,S,H]}: what the head reads. */
  public Tensor hidden(Tensor ids, @Nullable KvCache cache, Hooks hooks) {
    Tensor x = embed(ids, cache == null ? 0 : cache.length(), hooks, Segment.WHOLE);
    for (int l = 0; l < blocks.size(); l++) {
      int layer = l;
      Tensor in = x;
      x = Tensors.scoped(() -> block(layer, in, cache, hooks, Segment.WHOLE));
    }
    if (cache != null) {
      cache.advance(ids.size(1));
    }
    return normed(x, hooks);
  }

  /** The output of a block, {@code [B,S,H]}, for that of the one before. */
  Tensor block(int layer, Tensor x, @Nullable KvCache cache, Hooks hooks, Segment segment) {
    return blocks.get(layer).forward(x, cache, hooks, segment);
  }

  /** The final norm of the last block's output. */
  Tensor normed(Tensor x, Hooks hooks) {
    return finalNorm.forward(x, hooks, "ln_final");
  }

  /** The scores of every token, {@code [...,V]}, for outputs of {@link #hidden}. */
  public Tensor logits(Tensor hidden) {
    return head.forward(hidden);
  }

  /** The input of the first block, {@code [B,S,H]}, for ids on any device. */
  Tensor embed(Tensor ids, long past, Hooks hooks, Segment segment) {
    long end = past + ids.size(1);
    if (end > spec.maxPositions()) {
      throw new IllegalArgumentException(
          "the model reads " + spec.maxPositions() + " positions at most, " + end + " were given");
    }
    Tensor tokens = weight(ParamId.weight(Part.EMBEDDING));
    Tensor found = segment.lookup(tokens, Tensors.like(ids, tokens));
    Tensor x = hooks.at("", "hook_embed", fp32(found));
    if (spec.embedding().learnedPositions()) {
      Tensor table = weight(ParamId.weight(Part.POSITIONS));
      Tensor positions = fp32(table.narrow(0, past, ids.size(1)));
      x = x.add(hooks.at("", "hook_pos_embed", positions.expand_as(x)));
    }
    return x;
  }

  /** Zeros in fp32 where the model is. */
  Tensor zeros(long... shape) {
    return weight(ParamId.weight(Part.EMBEDDING)).new_zeros(shape).to(ScalarType.Float);
  }

  /** fp32, or fp64 where the whole model is. */
  private static Tensor fp32(Tensor t) {
    return t.scalar_type().intern() == ScalarType.Double ? t : t.to(ScalarType.Float);
  }

  /**
   * Makes every parameter a leaf of autograd, so that {@code backward()} fills its {@code grad()}.
   */
  public void requireGradients() {
    weights.values().forEach(t -> t.requires_grad_(true));
  }

  /** Out of every scope: it lives until {@link #close}. */
  private static Tensor keep(Tensor t) {
    return t.retainReference();
  }

  @Override
  public void close() {
    weights.values().forEach(Tensor::close);
  }
}
