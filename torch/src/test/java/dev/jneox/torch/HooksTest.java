package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.Activation;
import dev.jneox.model.Attention;
import dev.jneox.model.BlockSpec;
import dev.jneox.model.FeedForward;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Norm;
import dev.jneox.model.Position;
import dev.jneox.model.Residual;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class HooksTest {
  private static final int B = 2;
  private static final int S = 7;

  @Provide
  static Arbitrary<ModelSpec> specs() {
    return CausalLMTest.specs();
  }

  /** TransformerLens's names and shapes, in the order of the forward pass. */
  private static Map<String, long[]> points(ModelSpec spec) {
    long[] stream = {B, S, spec.width()};
    long[] scale = {B, S, 1};
    Map<String, long[]> points = new LinkedHashMap<>();
    points.put("hook_embed", stream);
    if (spec.embedding().learnedPositions()) {
      points.put("hook_pos_embed", stream);
    }
    for (int l = 0; l < spec.layers(); l++) {
      String p = "blocks." + l + ".";
      BlockSpec block = spec.block(l);
      Attention attention = block.attention();
      long[] heads = {B, S, attention.heads(), attention.headDim()};
      long[] kvHeads = {B, S, attention.kvHeads(), attention.headDim()};
      long[] pattern = {B, attention.heads(), S, S};
      long[] wide = {B, S, block.feedForward().width()};
      points.put(p + "hook_resid_pre", stream);
      points.put(p + "ln1.hook_scale", scale);
      points.put(p + "ln1.hook_normalized", stream);
      points.put(p + "attn.hook_q", heads);
      points.put(p + "attn.hook_k", kvHeads);
      points.put(p + "attn.hook_v", kvHeads);
      if (attention.position() instanceof Position.Rotary) {
        points.put(p + "attn.hook_rot_q", heads);
        points.put(p + "attn.hook_rot_k", kvHeads);
      }
      points.put(p + "attn.hook_attn_scores", pattern);
      points.put(p + "attn.hook_pattern", pattern);
      points.put(p + "attn.hook_z", heads);
      points.put(p + "hook_attn_out", stream);
      if (block.residual() instanceof Residual.Serial) {
        points.put(p + "hook_resid_mid", stream);
      }
      if (!(block.residual() instanceof Residual.ParallelOneNorm)) {
        points.put(p + "ln2.hook_scale", scale);
        points.put(p + "ln2.hook_normalized", stream);
      }
      points.put(p + "mlp.hook_pre", wide);
      if (block.feedForward() instanceof FeedForward.Gated) {
        points.put(p + "mlp.hook_pre_linear", wide);
      }
      points.put(p + "mlp.hook_post", wide);
      points.put(p + "hook_mlp_out", stream);
      points.put(p + "hook_resid_post", stream);
    }
    points.put("ln_final.hook_scale", scale);
    points.put("ln_final.hook_normalized", stream);
    return points;
  }

  @Property(tries = 30, edgeCases = EdgeCasesMode.NONE)
  void everyPointFiresOnceInOrderWithItsShapeAndChangesNothing(
      @ForAll @From("specs") ModelSpec spec, @ForAll long seed) {
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, seed)) {
      Tensor ids = Tensors.of(CausalLMTest.ids(spec, B * S, seed), B, S);
      Captured seen = new Captured(name -> true);
      Tensor watched = model.forward(ids, null, seen);
      Map<String, long[]> expected = points(spec);
      assertThat(seen.values.keySet()).containsExactlyElementsOf(expected.keySet());
      expected.forEach(
          (name, shape) -> assertThat(Tensors.shape(seen.get(name))).as(name).isEqualTo(shape));
      // Watching scores takes the explicit way through attention and norms.
      assertThat(Tensors.floats(watched))
          .containsExactly(Tensors.floats(model.forward(ids)), within(1e-4f));
    }
  }

  @Property(tries = 30, edgeCases = EdgeCasesMode.NONE)
  void patternsAreCausalWithinTheWindowAndSumToOne(
      @ForAll @From("specs") ModelSpec spec, @ForAll long seed) {
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, seed)) {
      Captured seen = new Captured(name -> name.endsWith("hook_pattern"));
      model.forward(Tensors.of(CausalLMTest.ids(spec, S, seed), 1, S), null, seen);
      for (int l = 0; l < spec.layers(); l++) {
        float[] pattern = Tensors.floats(seen.get("blocks." + l + ".attn.hook_pattern"));
        int window = spec.block(l).attention().window();
        for (int row = 0; row < spec.block(l).attention().heads() * S; row++) {
          int query = row % S;
          float sum = 0;
          for (int key = 0; key < S; key++) {
            float p = pattern[row * S + key];
            boolean visible = key <= query && (window == 0 || key > query - window);
            assertThat(p)
                .as("layer %d, query %d, key %d", l, query, key)
                .matches(v -> visible ? v > 0 : v == 0);
            sum += p;
          }
          assertThat(sum).isCloseTo(1, within(1e-5f));
        }
      }
    }
  }

  /** Stretches what it sees at one point, unevenly, lest a norm that follows take it back. */
  private record Stretched(String point) implements Hooks {
    @Override
    public boolean wants(String name) {
      return name.equals(point);
    }

    @Override
    public Tensor apply(String name, Tensor value) {
      int width = Math.toIntExact(value.size(value.dim() - 1));
      float[] ramp = new float[width];
      for (int i = 0; i < width; i++) {
        ramp[i] = 2 + (float) i / width;
      }
      return value.mul(Tensors.of(ramp, width));
    }
  }

  @Tag("slow")
  @ParameterizedTest
  @MethodSource("specsOfEachKind")
  void whatAHookReturnsFlowsOn(ModelSpec spec) {
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 4)) {
      Tensor ids = Tensors.of(CausalLMTest.ids(spec, B * S, 5), B, S);
      float[] plain = Tensors.floats(model.forward(ids));
      for (String point : points(spec).keySet()) {
        float[] changed = Tensors.floats(model.forward(ids, null, new Stretched(point)));
        float largest = 0;
        for (int i = 0; i < plain.length; i++) {
          largest = Math.max(largest, Math.abs(plain[i] - changed[i]));
        }
        assertThat(largest).as(point).isGreaterThan(1e-3f);
      }
    }
  }

  /**
   * A value put in from outside, as patching does, survives its use and is still there for the next
   * pass.
   */
  @Test
  void aReplacementThatLivesOutsideThePassIsNotClosedByIt() {
    ModelSpec spec = specsOfEachKind().get(1);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 4)) {
      Tensor ids = Tensors.of(CausalLMTest.ids(spec, B * S, 5), B, S);
      Tensor others = Tensors.of(CausalLMTest.ids(spec, B * S, 6), B, S);
      Captured clean = new Captured(name -> name.equals("blocks.1.hook_resid_post"));
      float[] expected = Tensors.floats(model.forward(ids, null, clean));
      Tensor state = clean.get("blocks.1.hook_resid_post");
      Hooks patch =
          new Hooks() {
            @Override
            public boolean wants(String name) {
              return name.equals("blocks.1.hook_resid_post");
            }

            @Override
            public Tensor apply(String name, Tensor value) {
              return state;
            }
          };
      for (int pass = 0; pass < 3; pass++) {
        assertThat(Tensors.floats(model.forward(others, null, patch))).isEqualTo(expected);
      }
      assertThat(state.isNull()).isFalse();
    }
  }

  private static ModelSpec spec(Residual residual) {
    return ModelSpec.neox(40, 24, 2, 3, CausalLMTest.MAX_POSITIONS)
        .mapBlocks(block -> block.withResidual(residual));
  }

  static List<ModelSpec> specsOfEachKind() {
    Norm layer = new Norm.Layer(1e-5);
    Norm rms = new Norm.Rms(1e-5);
    return List.of(
        spec(new Residual.Serial(layer, layer)),
        spec(new Residual.Parallel(layer, layer)),
        spec(new Residual.ParallelOneNorm(layer)),
        spec(new Residual.Serial(rms, rms))
            .mapBlocks(
                block ->
                    block
                        .withFeedForward(new FeedForward.Gated(31, Activation.SILU, false))
                        .withAttention(block.attention().withKvHeads(1))));
  }
}
