package dev.jneox.infer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jneox.io.Progress;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.Importance;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ImportanceProbeTest {
  /** Sums up the squares at some points. */
  private static final class Squares implements Taps {
    final Map<String, double[]> sums;

    Squares(Map<String, double[]> sums) {
      this.sums = sums;
    }

    @Override
    public boolean wants(String name) {
      return sums.containsKey(name);
    }

    @Override
    public void apply(String name, float[] values, int at, int width, long sequence, int position) {
      double[] sum = sums.get(name);
      for (int i = 0; i < width; i++) {
        sum[i] += (double) values[at + i] * values[at + i];
      }
    }
  }

  @Tag("slow")
  @ParameterizedTest
  @ValueSource(strings = {"neox-parallel", "gptj", "gpt2", "llama"})
  void everyMatrixHasTheMeanSquareOfWhatItReads(String name) {
    Path dir = Path.of("src/test/resources/parity", name);
    try (LanguageModel model = LanguageModel.open(dir, Precision.STORED);
        Engine engine = model.engine(Scorer.settings(model.packed()))) {
      int context = model.spec().maxPositions();
      int[] ids =
          new Random(1).ints(context + context / 3, 0, model.spec().vocabulary().used()).toArray();
      Importance found = ImportanceProbe.measure(model.packed(), engine, ids, Progress.silent());
      assertThat(found.tokens()).isEqualTo(ids.length - 1);

      PackedModel.Layer layer = model.packed().layers.get(1);
      int width = model.spec().width();
      String norm = layer.feedForwardNorm() == null ? "ln1" : "ln2";
      Squares squares =
          new Squares(
              new HashMap<>(
                  Map.of(
                      "blocks.1.ln1.hook_normalized",
                      new double[width],
                      "blocks.1.attn.hook_z",
                      new double[layer.attentionOut().weight().in()],
                      "blocks.1.mlp.hook_post",
                      new double[layer.feedForward().down().weight().in()])));
      squares.sums.putIfAbsent("blocks.1." + norm + ".hook_normalized", new double[width]);
      for (int start = 0; start < ids.length - 1; start += context) {
        int[] window = Arrays.copyOfRange(ids, start, Math.min(ids.length, start + context + 1));
        engine
            .submit(
                GenerationRequest.builder(window)
                    .maxTokens(0)
                    .promptLogprobs(0)
                    .taps(squares)
                    .build())
            .result();
      }
      check(
          found,
          Part.QUERY,
          squares.sums.get("blocks.1.ln1.hook_normalized"),
          layer.attentionNorm());
      check(
          found,
          Part.VALUE,
          squares.sums.get("blocks.1.ln1.hook_normalized"),
          layer.attentionNorm());
      check(
          found,
          Part.UP,
          squares.sums.get("blocks.1." + norm + ".hook_normalized"),
          layer.feedForwardNorm() == null ? layer.attentionNorm() : layer.feedForwardNorm());
      check(found, Part.ATTENTION_OUT, squares.sums.get("blocks.1.attn.hook_z"), null);
      check(found, Part.DOWN, squares.sums.get("blocks.1.mlp.hook_post"), null);
    }
  }

  private static void check(Importance found, Part part, double[] squares, PackedNorm norm) {
    float[] columns = found.of(ParamId.weight(1, part));
    assertThat(columns).as(part.name()).hasSize(squares.length);
    for (int i = 0; i < columns.length; i++) {
      // The point of an RMS norm lies before its weights.
      double gain = norm instanceof PackedNorm.Rms rms ? rms.weight()[i] : 1;
      double expected = squares[i] / found.tokens() * gain * gain;
      assertThat((double) columns[i]).isCloseTo(expected, within(1e-5 * expected));
    }
  }
}
