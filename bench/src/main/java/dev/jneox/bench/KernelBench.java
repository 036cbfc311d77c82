package dev.jneox.bench;

import dev.jneox.quant.Activations;
import dev.jneox.quant.Bf16Weight;
import dev.jneox.quant.F32Weight;
import dev.jneox.quant.PackedWeight;
import dev.jneox.quant.Q4Layout;
import dev.jneox.quant.Q4Weight;
import dev.jneox.quant.Q8Layout;
import dev.jneox.quant.Q8Weight;
import dev.jneox.tensor.Machine;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The kernels that multiply stored weights, against the rate at which this machine reads memory: {@code KernelBench FORMATS
 * SHAPES THREADS ROWS ROUNDS}, each but the last a list with commas, for example {@code q4,bf16 4096x1024,24576x6144 1,2 1,8 7}.
 * A shape is outputs by inputs. The weights of one measurement fill 400 MB, so none is in a cache when its turn comes; reading
 * and each number of rows take turns, and every figure is the median of its rounds. With 64 rows or more, as of a prompt, it ends
 * with the rate of libtorch's bfloat16 products, which is their ceiling.
 */
public final class KernelBench {
  private static final long BYTES = 400_000_000;
  private static final int PROMPT = 64;

  private KernelBench() {}

  public static void main(String[] args) throws Exception {
    int[] threads = numbers(args[2]);
    int[] rows = numbers(args[3]);
    int rounds = Integer.parseInt(args[4]);
    System.out.println("format  shape        threads  rows   GB/s  of reading  G weights/s  GFLOP/s");
    for (String shape : args[1].split(",")) {
      int out = Integer.parseInt(shape.split("x")[0]);
      int in = Integer.parseInt(shape.split("x")[1]);
      for (String format : args[0].split(",")) {
        try (Arena arena = Arena.ofShared()) {
          MemorySegment memory = arena.allocate(BYTES, 64);
          List<PackedWeight> weights = weights(format, out, in, memory);
          for (int t : threads) {
            measure(format, weights, memory, t, rows, rounds);
          }
        }
      }
    }
    if (Arrays.stream(rows).anyMatch(r -> r >= PROMPT)) {
      System.out.printf(
          Locale.ROOT, "bf16 products of libtorch on all threads: %.0f GFLOP/s%n", Machine.gemmRate(ScalarType.BFloat16) / 1e9);
    }
  }

  private static void measure(
      String format, List<PackedWeight> weights, MemorySegment memory, int threads, int[] rows, int rounds) throws Exception {
    double[] read = new double[rounds];
    double[][] rate = new double[rows.length][rounds];
    PackedWeight first = weights.getFirst();
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      for (int round = -2; round < rounds; round++) { // the first two compile
        read[Math.max(0, round)] = Machine.readRate(memory, threads);
        for (int k = 0; k < rows.length; k++) {
          // A prompt is computed, not read: a few weights tell as much.
          List<PackedWeight> some = rows[k] < PROMPT ? weights : weights.subList(0, Math.max(1, weights.size() / rows[k]));
          rate[k][Math.max(0, round)] = some.size() * first.bytes() / seconds(pool, some, threads, rows[k]);
        }
      }
    }
    for (int k = 0; k < rows.length; k++) {
      double gb = median(rate[k]) / 1e9;
      double weightsPerSecond = gb * first.out() * first.in() / first.bytes();
      System.out.printf(
          Locale.ROOT, "%-7s %-13s %6d %5d  %5.1f       %3.0f %%        %5.1f    %5.0f%n",
          format, first.out() + "x" + first.in(), threads, rows[k], gb, 100e9 * gb / median(read), weightsPerSecond,
          2 * rows[k] * weightsPerSecond);
    }
  }

  /** The time in which the threads multiply every weight once. */
  private static double seconds(ExecutorService pool, List<PackedWeight> weights, int threads, int rows) throws Exception {
    PackedWeight first = weights.getFirst();
    Activations x = new Activations(rows, first.in(), first.form());
    float[] values = new float[rows * first.in()];
    Random random = new Random(1);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    x.set(values, 0, first.in(), rows);
    float[] y = new float[rows * first.out()];
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      int from = first.blocks() * t / threads;
      int to = first.blocks() * (t + 1) / threads;
      tasks.add(
          () -> {
            for (PackedWeight weight : weights) {
              weight.multiply(x, y, 0, first.out(), from, to);
            }
            return null;
          });
    }
    long start = System.nanoTime();
    for (Future<Void> task : pool.invokeAll(tasks)) {
      task.get();
    }
    return (System.nanoTime() - start) / 1e9;
  }

  /** As many weights as fit into the memory. They hold the same values: only their addresses matter. */
  private static List<PackedWeight> weights(String format, int out, int in, MemorySegment memory) {
    long bytes =
        switch (format) {
          case "q4" -> Q4Weight.bytes(out, in);
          case "q8" -> Q8Weight.bytes(out, in);
          case "bf16" -> 2L * out * in;
          case "f32" -> 4L * out * in;
          default -> throw new IllegalArgumentException(format + ": not one of q4, q8, bf16, f32");
        };
    List<PackedWeight> weights = new ArrayList<>();
    for (long at = 0; at + bytes <= memory.byteSize(); at += bytes) {
      MemorySegment data = memory.asSlice(at, bytes);
      if (at == 0) {
        fill(format, out, in, data);
      } else {
        data.copyFrom(memory.asSlice(0, bytes));
      }
      weights.add(
          switch (format) {
            case "q4" -> new Q4Weight(out, in, data);
            case "q8" -> new Q8Weight(out, in, data);
            case "bf16" -> new Bf16Weight(out, in, data);
            default -> new F32Weight(out, in, data);
          });
    }
    if (weights.isEmpty()) {
      throw new IllegalArgumentException(out + "x" + in + ": takes " + bytes + " bytes, of " + memory.byteSize());
    }
    return weights;
  }

  private static void fill(String format, int out, int in, MemorySegment data) {
    Random random = new Random(2);
    int blocks = (out + PackedWeight.BLOCK - 1) / PackedWeight.BLOCK;
    if (format.equals("q4")) {
      Q4Layout.pack(out, in, blocks(Q4Layout.ggufBytes(out, in), Q4Layout.GGUF_BYTES, random), data, 0, blocks);
      return;
    }
    if (format.equals("q8")) {
      Q8Layout.pack(out, in, blocks(Q8Layout.ggufBytes(out, in), Q8Layout.GGUF_BYTES, random), data, 0, blocks);
      return;
    }
    boolean half = format.equals("bf16");
    for (long i = 0; i < (long) out * in; i++) {
      float value = random.nextFloat() - 0.5f;
      if (half) {
        data.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
      } else {
        data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      }
    }
  }

  /** Random codes with a scale of 0.01 in front. */
  private static MemorySegment blocks(long bytes, int blockBytes, Random random) {
    MemorySegment blocks = Arena.ofAuto().allocate(bytes);
    byte[] codes = new byte[blockBytes];
    for (long at = 0; at < bytes; at += blockBytes) {
      random.nextBytes(codes);
      MemorySegment.copy(codes, 0, blocks, ValueLayout.JAVA_BYTE, at, blockBytes);
      blocks.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(0.01f));
    }
    return blocks;
  }

  private static int[] numbers(String list) {
    return Arrays.stream(list.split(",")).mapToInt(Integer::parseInt).toArray();
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
