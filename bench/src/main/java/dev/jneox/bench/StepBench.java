package dev.jneox.bench;

import dev.jneox.model.ModelSpec;
import dev.jneox.torch.Device;
import dev.jneox.torch.Machine;
import dev.jneox.torch.Products;
import dev.jneox.train.AdamW;
import dev.jneox.train.GradientStep;
import dev.jneox.train.Initializer;
import dev.jneox.train.Parameters;
import dev.jneox.weights.Dtype;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;

/**
 * The training step alone, on random tokens: {@code StepBench layers hidden heads vocab sequences
 * length bf16|f32 rounds [device]}. Prints the measured rate of bf16 products, as this device
 * multiplies them, and one line a round; the first rounds warm up. {@code bench/step.sh} runs it in
 * turns with PyTorch.
 */
public final class StepBench {
  private StepBench() {}

  public static void main(String[] args) {
    int layers = Integer.parseInt(args[0]);
    int hidden = Integer.parseInt(args[1]);
    int heads = Integer.parseInt(args[2]);
    int vocab = Integer.parseInt(args[3]);
    int sequences = Integer.parseInt(args[4]);
    int length = Integer.parseInt(args[5]);
    Dtype dtype = args[6].equals("bf16") ? Dtype.BF16 : Dtype.F32;
    int rounds = Integer.parseInt(args[7]);
    Device device = args.length > 8 ? Device.parse(args[8]) : Device.CPU;
    ModelSpec spec = ModelSpec.neox(vocab, hidden, layers, heads, length);
    System.out.printf(
        Locale.ROOT,
        "bf16 products: %.1f GFLOP/s%n",
        Machine.gemmRate(Products.carrier(Dtype.BF16, device), device) / 1e9);
    try (Parameters parameters = new Parameters(spec, dtype, device);
        GradientStep step = GradientStep.of(parameters, false)) {
      new Initializer(0.02, 0.01).fill(parameters, 1);
      AdamW adam = new AdamW(parameters, 0.9, 0.95, 1e-8, 0.1);
      int[] ids = new Random(3).ints(sequences * (length + 1L), 0, vocab).toArray();
      int[][] samples = new int[sequences][];
      for (int s = 0; s < sequences; s++) {
        samples[s] = Arrays.copyOfRange(ids, s * (length + 1), (s + 1) * (length + 1));
      }
      GradientStep.Batch batch = GradientStep.Batch.of(samples);
      for (int r = 0; r < rounds; r++) {
        long start = System.nanoTime();
        double loss = step.gradient(batch, 1);
        double norm = adam.gradientNorm();
        adam.step(1e-3, Math.min(1, 1 / norm));
        double seconds = (System.nanoTime() - start) / 1e9;
        System.out.printf(
            Locale.ROOT,
            "%.0f tokens/s %.1f GFLOP/s loss %.4f%n",
            sequences * length / seconds,
            spec.trainingFlops((long) sequences * length, length) / seconds / 1e9,
            loss);
      }
    }
  }
}
