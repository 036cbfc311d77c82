package dev.jneox.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.tensor.Tensors;
import java.util.LinkedHashMap;
import java.util.Map;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class HooksTest {
  private static final int B = 2;
  private static final int S = 7;

  @Provide
  static Arbitrary<ModelConfig> configs() {
    return CausalLMTest.configs();
  }

  /** TransformerLens's names and shapes, in the order of the forward pass. */
  private static Map<String, long[]> points(ModelConfig c) {
    int h = c.hiddenSize();
    long[] stream = {B, S, h};
    long[] scale = {B, S, 1};
    long[] heads = {B, S, c.heads(), c.headDim()};
    long[] pattern = {B, c.heads(), S, S};
    long[] wide = {B, S, c.intermediateSize()};
    boolean rotary = c.position() instanceof Position.Rotary;
    Map<String, long[]> points = new LinkedHashMap<>();
    points.put("hook_embed", stream);
    if (!rotary) {
      points.put("hook_pos_embed", stream);
    }
    for (int l = 0; l < c.layers(); l++) {
      String p = "blocks." + l + ".";
      points.put(p + "hook_resid_pre", stream);
      points.put(p + "ln1.hook_scale", scale);
      points.put(p + "ln1.hook_normalized", stream);
      points.put(p + "attn.hook_q", heads);
      points.put(p + "attn.hook_k", heads);
      points.put(p + "attn.hook_v", heads);
      if (rotary) {
        points.put(p + "attn.hook_rot_q", heads);
        points.put(p + "attn.hook_rot_k", heads);
      }
      points.put(p + "attn.hook_attn_scores", pattern);
      points.put(p + "attn.hook_pattern", pattern);
      points.put(p + "attn.hook_z", heads);
      points.put(p + "hook_attn_out", stream);
      if (c.residual() == Residual.SERIAL) {
        points.put(p + "hook_resid_mid", stream);
      }
      if (c.residual() != Residual.PARALLEL_ONE_NORM) {
        points.put(p + "ln2.hook_scale", scale);
        points.put(p + "ln2.hook_normalized", stream);
      }
      points.put(p + "mlp.hook_pre", wide);
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
      @ForAll @From("configs") ModelConfig config, @ForAll long seed) {
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, seed)) {
      Tensor ids = Tensors.of(CausalLMTest.ids(config, B * S, seed), B, S);
      Captured seen = new Captured(name -> true);
      Tensor watched = model.forward(ids, null, seen);
      Map<String, long[]> expected = points(config);
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
      @ForAll @From("configs") ModelConfig config, @ForAll long seed) {
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, seed)) {
      Captured seen = new Captured(name -> name.endsWith("hook_pattern"));
      model.forward(Tensors.of(CausalLMTest.ids(config, S, seed), 1, S), null, seen);
      for (int l = 0; l < config.layers(); l++) {
        float[] pattern = Tensors.floats(seen.get("blocks." + l + ".attn.hook_pattern"));
        int window = config.windows().get(l);
        for (int row = 0; row < config.heads() * S; row++) {
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

  @ParameterizedTest
  @EnumSource(Residual.class)
  void whatAHookReturnsFlowsOn(Residual residual) {
    ModelConfig config = config(residual);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 4)) {
      Tensor ids = Tensors.of(CausalLMTest.ids(config, B * S, 5), B, S);
      float[] plain = Tensors.floats(model.forward(ids));
      for (String point : points(config).keySet()) {
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
    ModelConfig config = config(Residual.PARALLEL);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(config, 4)) {
      Tensor ids = Tensors.of(CausalLMTest.ids(config, B * S, 5), B, S);
      Tensor others = Tensors.of(CausalLMTest.ids(config, B * S, 6), B, S);
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

  private static ModelConfig config(Residual residual) {
    ModelConfig neox = ModelConfig.neox(40, 24, 2, 3, CausalLMTest.MAX_POSITIONS);
    return new ModelConfig(
        40,
        40,
        24,
        2,
        3,
        96,
        CausalLMTest.MAX_POSITIONS,
        neox.position(),
        residual,
        Activation.GELU,
        1e-5,
        neox.windows(),
        true,
        true,
        true,
        false,
        false,
        0);
  }
}
