package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jneox.kernel.Workers;
import dev.jneox.model.ModelSpec;
import dev.jneox.torch.CausalLM;
import dev.jneox.torch.Hooks;
import dev.jneox.torch.RandomModel;
import dev.jneox.torch.Tensors;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tag;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

/** Holds the taps of the served forward pass against the hooks of the reference. */
@Tag("slow")
class ServedHooksTest {
  /** Of a value, or of the largest of its row: fp32 rounds unscaled scores by more than 1e-4. */
  private static final double TOLERANCE = 1e-4;

  @Provide
  Arbitrary<ModelSpec> specs() {
    return Specs.all();
  }

  /** Keeps every row at every point, by name and position. */
  private static final class Kept implements Taps {
    final Map<String, Map<Integer, float[]>> rows = new LinkedHashMap<>();

    @Override
    public boolean wants(String name) {
      return true;
    }

    @Override
    public void apply(String name, float[] values, int at, int width, long sequence, int position) {
      rows.computeIfAbsent(name, n -> new HashMap<>())
          .put(position, Arrays.copyOfRange(values, at, at + width));
    }
  }

  /** Keeps every tensor at every point. */
  private static final class Captured implements Hooks {
    final Map<String, Tensor> tensors = new LinkedHashMap<>();

    @Override
    public boolean wants(String name) {
      return true;
    }

    @Override
    public Tensor apply(String name, Tensor value) {
      tensors.put(name, value.detach().clone().retainReference());
      return value;
    }
  }

  @Property(tries = 60, edgeCases = EdgeCasesMode.NONE)
  void everyPointHasTheNameAndTheValuesOfTheReference(
      @ForAll("specs") ModelSpec spec, @ForAll long seed) {
    int n = 1 + (int) Math.floorMod(seed, 40L);
    int[] ids = new Random(seed).ints(n, 0, spec.vocabulary().rows()).toArray();
    try (PointerScope _ = new PointerScope();
        CausalLM model = RandomModel.of(spec, seed);
        PackedModel packed = PackedModel.of(new CausalWeights(model), Precision.STORED)) {
      Captured expected = new Captured();
      model.forward(Tensors.of(ids, 1, n), null, expected);
      Kept found = served(packed, ids);
      assertThat(found.rows.keySet())
          .containsExactlyInAnyOrderElementsOf(expected.tensors.keySet());
      expected.tensors.forEach((name, tensor) -> compare(name, tensor, found.rows.get(name), n));
    }
  }

  private static Kept served(PackedModel model, int[] ids) {
    KvPool pool = new KvPool(KvFormat.of(model.spec(), KvPrecision.F32), 10);
    Kept kept = new Kept();
    try (Workers workers = new Workers(2)) {
      Forward forward = new Forward(model, pool.format(), workers, ids.length);
      KvSequence sequence = new KvSequence(pool);
      sequence.reserve(ids.length);
      forward.begin();
      forward.add(sequence, ids, 0, ids.length);
      forward.run(kept);
      int[] rows = new int[ids.length];
      Arrays.setAll(rows, i -> i);
      for (int at = 0; at < rows.length; at += Forward.LOGIT_ROWS) {
        forward.logits(rows, at, Math.min(Forward.LOGIT_ROWS, rows.length - at));
      }
    }
    return kept;
  }

  private static void compare(String name, Tensor tensor, Map<Integer, float[]> rows, int n) {
    float[] all = Tensors.floats(tensor);
    boolean byHead = name.endsWith("attn_scores") || name.endsWith("pattern");
    for (int p = 0; p < n; p++) {
      float[] found = rows.get(p);
      double largest = 1;
      for (float value : found) {
        largest = Float.isInfinite(value) ? largest : Math.max(largest, Math.abs(value));
      }
      for (int i = 0; i < found.length; i++) {
        float wanted =
            byHead ? all[(i / (p + 1) * n + p) * n + i % (p + 1)] : all[p * found.length + i];
        if (!(Math.abs(found[i] - wanted) < TOLERANCE * largest) && found[i] != wanted) {
          throw new AssertionError(
              name + " at " + p + ", value " + i + ": " + found[i] + ", not " + wanted);
        }
      }
    }
  }
}
