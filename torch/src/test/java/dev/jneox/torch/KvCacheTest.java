package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.model.ModelSpec;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

class KvCacheTest {
  @Provide
  static Arbitrary<ModelSpec> specs() {
    return CausalLMTest.specs();
  }

  @Property(tries = 100, edgeCases = EdgeCasesMode.NONE)
  void chunksThroughTheCacheEqualOnePass(
      @ForAll @From("specs") ModelSpec spec,
      @ForAll @Size(min = 1, max = 6) List<@IntRange(min = 1, max = 4) Integer> chunks,
      @ForAll long seed) {
    int length = chunks.stream().mapToInt(c -> c).sum();
    int[] ids = CausalLMTest.ids(spec, length, seed);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, seed);
        KvCache cache = new KvCache(model, 1, length)) {
      float[] expected = Tensors.floats(model.forward(Tensors.of(ids, 1, length)));
      int at = 0;
      for (int chunk : chunks) {
        Tensor fresh = Tensors.of(Arrays.copyOfRange(ids, at, at + chunk), 1, chunk);
        float[] found = Tensors.floats(model.forward(fresh, cache, Hooks.NONE));
        int v = spec.vocabulary().rows();
        assertThat(found)
            .containsExactly(Arrays.copyOfRange(expected, at * v, (at + chunk) * v), within(1e-4f));
        at += chunk;
        assertThat(cache.length()).isEqualTo(at);
      }
    }
  }

  @Property(tries = 30, edgeCases = EdgeCasesMode.NONE)
  void theExplicitAttentionIsTheSameThroughTheCache(
      @ForAll @From("specs") ModelSpec spec, @ForAll @IntRange(min = 1, max = 4) int chunk) {
    int[] ids = CausalLMTest.ids(spec, 8 + chunk, 3);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 2);
        KvCache cache = new KvCache(model, 1, 8 + chunk)) {
      float[] expected =
          Tensors.floats(model.forward(Tensors.of(ids, 1, ids.length)).narrow(1, 8, chunk));
      model.forward(Tensors.of(Arrays.copyOf(ids, 8), 1, 8), cache, Hooks.NONE);
      Captured seen = new Captured(name -> name.equals("blocks.1.attn.hook_pattern"));
      Tensor found =
          model.forward(Tensors.of(Arrays.copyOfRange(ids, 8, ids.length), 1, chunk), cache, seen);
      assertThat(Tensors.floats(found)).containsExactly(expected, within(1e-4f));
      assertThat(Tensors.shape(seen.get("blocks.1.attn.hook_pattern")))
          .containsExactly(1, spec.block(1).attention().heads(), chunk, 8 + chunk);
    }
  }

  @Test
  void aTruncatedCacheForgets() {
    ModelSpec spec = ModelSpec.neox(40, 24, 2, 3, 16);
    int[] ids = CausalLMTest.ids(spec, 8, 3);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 2);
        KvCache cache = new KvCache(model, 2, 100)) {
      assertThat(cache.capacity()).as("never more than the model reads").isEqualTo(16);
      model.forward(Tensors.of(CausalLMTest.ids(spec, 20, 9), 2, 10), cache, Hooks.NONE);
      cache.truncate(0);
      float[] found = Tensors.floats(model.forward(Tensors.of(ids, 2, 4), cache, Hooks.NONE));
      assertThat(found)
          .containsExactly(Tensors.floats(model.forward(Tensors.of(ids, 2, 4))), within(1e-5f));
      assertThatThrownBy(() -> cache.truncate(5)).hasMessage("cannot truncate 4 positions to 5");
    }
  }

  @Test
  void aFullCacheSaysSo() {
    ModelSpec spec = ModelSpec.neox(40, 24, 2, 3, 16);
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, 2);
        KvCache cache = new KvCache(model, 1, 5)) {
      model.forward(Tensors.of(new int[] {1, 2, 3}, 1, 3), cache, Hooks.NONE);
      assertThatThrownBy(
              () -> model.forward(Tensors.of(new int[] {1, 2, 3}, 1, 3), cache, Hooks.NONE))
          .hasMessage("the KV cache holds 5 positions, 6 are needed");
    }
  }
}
