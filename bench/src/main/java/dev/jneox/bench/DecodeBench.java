package dev.jneox.bench;

import dev.jneox.generate.Generator;
import dev.jneox.generate.Generator.Request;
import dev.jneox.generate.Generator.Result;
import dev.jneox.generate.Sampler;
import dev.jneox.model.CausalLM;
import dev.jneox.model.ModelConfig;
import dev.jneox.train.Initializer;
import dev.jneox.train.Parameters;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Text generation alone, by a model of random weights:
 * {@code DecodeBench layers hidden heads vocab prompt tokens bf16|f32 rounds}. Prints one line a round: the time to the first token, and the rate of those after it; the first rounds warm up.
 */
public final class DecodeBench {
  private DecodeBench() {}

  public static void main(String[] args) {
    int vocab = Integer.parseInt(args[3]);
    int prompt = Integer.parseInt(args[4]);
    int tokens = Integer.parseInt(args[5]);
    ScalarType dtype = args[6].equals("bf16") ? ScalarType.BFloat16 : ScalarType.Float;
    ModelConfig config =
        ModelConfig.neox(vocab, Integer.parseInt(args[1]), Integer.parseInt(args[0]), Integer.parseInt(args[2]), prompt + tokens);
    Map<String, Tensor> weights = new LinkedHashMap<>();
    try (Parameters parameters = new Parameters(config, ScalarType.Float)) {
      new Initializer(0.02, 0.01).fill(parameters, 1);
      parameters.weightViews().forEach((name, view) -> weights.put(name, view.clone().to(dtype)));
    }
    int[] ids = new Random(3).ints(prompt, 1, vocab).toArray();
    try (CausalLM model = new CausalLM(config, weights)) {
      Generator generator = new Generator(model, null);
      for (int r = 0; r < Integer.parseInt(args[7]); r++) {
        long[] first = {0};
        long start = System.nanoTime();
        Result result =
            generator.generate(
                new Request(ids, tokens, Sampler.GREEDY, List.of()),
                (id, text) -> {
                  first[0] = first[0] == 0 ? System.nanoTime() : first[0];
                  return true;
                });
        double seconds = (System.nanoTime() - first[0]) / 1e9;
        System.out.printf(
            Locale.ROOT, "prompt of %d in %.1f ms, %d tokens at %.1f tokens/s%n",
            prompt, (first[0] - start) / 1e6, result.ids().length, (result.ids().length - 1) / seconds);
      }
    }
  }
}
