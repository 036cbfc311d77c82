package dev.jneox.bench;

import dev.jneox.kernel.DenseWeight;
import dev.jneox.kernel.InputRows;
import dev.jneox.kernel.MemoryRate;
import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Q4Layout;
import dev.jneox.kernel.Q4Weight;
import dev.jneox.kernel.Q8Layout;
import dev.jneox.kernel.Q8Weight;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.ThreadParams;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.CommandLineOptions;

/**
 * The kernels that multiply stored weights, against the rate at which this machine reads memory. A
 * shape is outputs by inputs. The weights of one measurement fill 400 MB and are multiplied one
 * after the other, each thread a share of every one's blocks, so none is in a cache when its turn
 * comes. {@code bench/kernels.sh} runs it with JMH's own options and ends with a table: GB/s of
 * weights, the share of what reading alone gets in the same run, and the rate of multiplications.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 7, time = 1)
@Fork(1)
public class KernelBench {
  private static final long BYTES = 400_000_000;

  /** {@code read} is not multiplied but only read. */
  @Param({"read", "q4", "q8", "bf16", "f32"})
  public String format;

  @Param({"4096x1024"})
  public String shape;

  @Param({"1", "8", "512"})
  public int rows;

  private Arena arena;
  private MemorySegment memory;
  private List<PackedWeight> weights;
  private InputRows x;
  private float[] y;

  /** What a thread has done. */
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  @State(Scope.Thread)
  public static class Done {
    public long bytes;
    public long weights;
    private int next;
  }

  @Setup
  @SuppressWarnings("MustBeClosedChecker") // free closes it
  public void allocate() {
    int out = Integer.parseInt(shape.split("x")[0]);
    int in = Integer.parseInt(shape.split("x")[1]);
    arena = Arena.ofShared();
    memory = arena.allocate(BYTES, 64);
    // Untouched pages all map to one page of zeros, which would be read from the cache.
    memory.fill((byte) 1);
    if (format.equals("read")) {
      return;
    }
    weights = weights(format, out, in, memory);
    x = new InputRows(rows, in, weights.getFirst().form());
    Random random = new Random(1);
    float[] values = new float[rows * in];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    x.set(values, 0, in, rows);
    y = new float[rows * out];
  }

  @TearDown
  public void free() {
    arena.close();
  }

  /** A thread's share of the next weight; of reading, of as many bytes. */
  @Benchmark
  public long multiply(ThreadParams thread, Done done) {
    int t = thread.getThreadIndex();
    int threads = thread.getThreadCount();
    if (weights == null) {
      long share = MemoryRate.READ_BLOCK * 16L;
      long at =
          (done.next++ * threads + t)
              * share
              % (BYTES - share)
              / MemoryRate.READ_BLOCK
              * MemoryRate.READ_BLOCK;
      done.bytes += share;
      return MemoryRate.sum(memory.asSlice(at, share));
    }
    PackedWeight weight = weights.get(done.next++ % weights.size());
    int from = weight.blocks() * t / threads;
    int to = weight.blocks() * (t + 1) / threads;
    weight.multiply(x, y, 0, weight.out(), from, to);
    done.bytes += weight.bytes() * (to - from) / weight.blocks();
    done.weights += (long) weight.out() * weight.in() * (to - from) / weight.blocks();
    return to;
  }

  /** Takes JMH's options, for example {@code -p format=read,q4 -p rows=1,2,8 -t 2 -prof gc}. */
  public static void main(String[] args) throws Exception {
    CommandLineOptions options = new CommandLineOptions(args);
    if (options.shouldHelp()) {
      options.showHelp();
      return;
    }
    Collection<RunResult> results = new Runner(options).run();
    double read = // the same whatever the shape and the rows
        results.stream()
            .filter(r -> r.getParams().getParam("format").equals("read"))
            .mapToDouble(r -> rate(r, "bytes"))
            .max()
            .orElse(Double.NaN);
    System.out.println(
        "\nformat  shape          threads  rows   GB/s  of reading  G weights/s  GFLOP/s");
    for (RunResult result : results) {
      int rows = Integer.parseInt(result.getParams().getParam("rows"));
      double bytes = rate(result, "bytes");
      double each = rate(result, "weights") / 1e9;
      System.out.printf(
          Locale.ROOT,
          "%-7s %-14s %7d %5d  %5.1f  %10s  %11.1f  %7.0f%n",
          result.getParams().getParam("format"),
          result.getParams().getParam("shape"),
          result.getParams().getThreads(),
          rows,
          bytes / 1e9,
          Double.isNaN(read) ? "-" : Math.round(100 * bytes / read) + " %",
          each,
          2 * rows * each);
    }
  }

  private static double rate(RunResult result, String counter) {
    return result.getSecondaryResults().get(counter).getStatistics().getPercentile(50);
  }

  /**
   * As many weights as fit into the memory. They hold the same values: only their addresses matter.
   */
  private static List<PackedWeight> weights(String format, int out, int in, MemorySegment memory) {
    long bytes =
        switch (format) {
          case "q4" -> Q4Weight.bytes(out, in);
          case "q8" -> Q8Weight.bytes(out, in);
          case "bf16" -> 2L * out * in;
          case "f32" -> 4L * out * in;
          default ->
              throw new IllegalArgumentException(format + ": not one of read, q4, q8, bf16, f32");
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
            case "bf16" -> new DenseWeight(out, in, DenseWeight.Type.BF16, data);
            default -> new DenseWeight(out, in, DenseWeight.Type.F32, data);
          });
    }
    if (weights.isEmpty()) {
      throw new IllegalArgumentException(
          out + "x" + in + ": takes " + bytes + " bytes, of " + memory.byteSize());
    }
    return weights;
  }

  private static void fill(String format, int out, int in, MemorySegment data) {
    Random random = new Random(2);
    int blocks = (out + PackedWeight.BLOCK - 1) / PackedWeight.BLOCK;
    if (format.equals("q4")) {
      Q4Layout.pack(
          out,
          in,
          blocks(Q4Layout.ggufBytes(out, in), Q4Layout.GGUF_BYTES, random),
          data,
          0,
          blocks);
      return;
    }
    if (format.equals("q8")) {
      Q8Layout.pack(
          out,
          in,
          blocks(Q8Layout.ggufBytes(out, in), Q8Layout.GGUF_BYTES, random),
          data,
          0,
          blocks);
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
}
