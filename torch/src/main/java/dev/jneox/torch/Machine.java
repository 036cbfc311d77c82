package dev.jneox.torch;

import dev.jneox.kernel.Cpu;
import dev.jneox.kernel.MemoryRate;
import dev.jneox.weights.Dtype;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Measures the highest rates of this machine, with which training (matrix products) and generation
 * (memory reads) are compared. Other programs that run at the same time lower them.
 *
 * @param threads threads that compute ({@link Cpu#threads})
 * @param gemmFloat FLOP/s of float32 matrix products on all threads
 * @param gemmBfloat16 the same of libtorch's bfloat16 products; far below {@code gemmFloat} where
 *     the CPU has no bf16 instructions, and then not used (see {@link Products})
 * @param readOneThread bytes/s that one thread reads from memory
 * @param readAllThreads bytes/s that all threads read together
 */
public record Machine(
    int threads,
    double gemmFloat,
    double gemmBfloat16,
    double readOneThread,
    double readAllThreads) {
  /**
   * Side of the multiplied matrices: large enough for the full rate, small enough for several
   * rounds in a second.
   */
  private static final int SIDE = 2048;

  /** Side of the matrices that are multiplied first, to estimate how long {@link #SIDE} takes. */
  private static final int SMALL_SIDE = 256;

  /**
   * Longest estimated time of a product of {@link #SIDE} for which it is run. One core without
   * vector instructions stays below it in fp32.
   */
  private static final double MOST_SECONDS = 4;

  private static final double GEMM_SECONDS = 0.8;
  private static final int MAX_GEMMS = 15;

  /** Side on a GPU, where a product of {@link #SIDE} is too short to be timed. */
  private static final int DEVICE_SIDE = 8192;

  private record Product(Dtype dtype, Device device) {}

  private static final Map<Product, Double> GEMM_RATES = new HashMap<>();

  /** Measures everything; takes about three seconds and half a gigabyte. */
  public static Machine measure() {
    int threads = Cpu.threads();
    double gemmFloat = gemmRate(Dtype.F32, Device.CPU);
    double gemmBfloat16 = gemmRate(Dtype.BF16, Device.CPU);
    double[] read = MemoryRate.measure(1, threads);
    return new Machine(threads, gemmFloat, gemmBfloat16, read[0], read[1]);
  }

  /**
   * FLOP/s of square matrix products of {@code dtype} (a weight's type) on all threads, or on a
   * GPU, 2 * side^3 operations each: the median over some of side 2048 (8192 on a GPU), or of side
   * 256 where libtorch has no fast kernel and one of 2048 would take minutes. Takes about a second
   * the first time; the figure is kept for the process.
   */
  public static synchronized double gemmRate(Dtype dtype, Device device) {
    return GEMM_RATES.computeIfAbsent(new Product(dtype, device), Machine::measureGemm);
  }

  private static double measureGemm(Product product) {
    if (!product.device().isCpu()) {
      return measureGemm(product, DEVICE_SIDE);
    }
    double small = measureGemm(product, SMALL_SIDE);
    return operations(SIDE) / small > MOST_SECONDS ? small : measureGemm(product, SIDE);
  }

  private static double operations(int side) {
    return 2.0 * side * side * side;
  }

  private static double measureGemm(Product kind, int side) {
    Libtorch.start();
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard()) {
      ScalarType dtype = Tensors.type(kind.dtype());
      Tensor a = Tensors.to(torch.rand(side, side), kind.device(), dtype);
      Tensor b = Tensors.to(torch.rand(side, side), kind.device(), dtype);
      Tensor product = a.clone();
      multiply(product, a, b); // the first call chooses and compiles the kernel
      double[] seconds = new double[MAX_GEMMS];
      int rounds = 0;
      double spent = 0;
      while (rounds < MAX_GEMMS && (rounds < 2 || spent < GEMM_SECONDS)) {
        long start = System.nanoTime();
        multiply(product, a, b);
        seconds[rounds] = (System.nanoTime() - start) / 1e9;
        spent += seconds[rounds++];
      }
      return operations(side) / median(seconds, rounds);
    }
  }

  /** Waits for the product, because a GPU computes asynchronously. */
  private static void multiply(Tensor product, Tensor a, Tensor b) {
    torch.mm_out(product, a, b);
    if (!product.is_cpu()) {
      product.select(0, 0).select(0, 0).item_double();
    }
  }

  private static double median(double[] values, int count) {
    double[] sorted = Arrays.copyOf(values, count);
    Arrays.sort(sorted);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
  }
}
