package dev.jneox.kernel;

import dev.jneox.io.InputException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Provides the kernels of this machine: machine code, the Vector API or scalar Java, chosen once.
 *
 * <p>Machine code runs on Linux on x86-64 with AVX2 and FMA, the Vector API elsewhere; both need
 * the module {@code jdk.incubator.vector}, without which the kernels are scalar. {@code
 * -Djneox.kernels=machine-code}, {@code vector} or {@code scalar} chooses otherwise, for tests and
 * measurements. Only the subclasses that use the Vector API, and what they call, load its classes.
 *
 * <p>The scalar kernels define the results. All providers give the same bits for
 *
 * <ul>
 *   <li>products of {@link Q4Weight} and {@link Q8Weight}, while no product of scales is subnormal;
 *   <li>{@link KvProducts};
 *   <li>functions of single values in {@link Vectors}: activations, their derivatives,
 *       exponentials, and the maximum.
 * </ul>
 *
 * <p>Sums of a row in another order differ within the rounding of fp32: {@link DenseWeight} (where
 * scalar Java and machine code agree to the bit), and the sums in {@link Vectors}.
 */
public abstract sealed class Kernels permits ScalarKernels, VectorKernels {
  private static final String PROPERTY = "jneox.kernels";
  private static final String MODULE = "jdk.incubator.vector";

  /** A class of its own: it makes subclasses of the one around it. */
  private static final class Chosen {
    static final Kernels KERNELS = choose(System.getProperty(PROPERTY, ""));
  }

  Kernels() {}

  /** The kernels of this process: a constant, so that the JIT calls them directly. */
  static Kernels chosen() {
    return Chosen.KERNELS;
  }

  /**
   * Checks the property that chooses the kernels, before a class that needs them is loaded.
   *
   * @throws InputException for a name of none that runs here
   */
  public static void check() {
    String name = System.getProperty(PROPERTY, "");
    if (!name.isEmpty()) {
      choose(name);
    }
  }

  /** Names the kernels of this process and what they use, such as {@code Vector API (512 bits)}. */
  public static String description() {
    return chosen().toString();
  }

  /** Whether products are computed in machine code. */
  public static boolean machineCode() {
    return chosen() instanceof MachineCodeKernels;
  }

  /** Whether this JVM was started with {@code --add-modules jdk.incubator.vector}. */
  public static boolean vectorModule() {
    return ModuleLayer.boot().findModule(MODULE).isPresent();
  }

  /** Bits in the widest vector of the JVM's Vector API on this CPU; 0 without its module. */
  public static int vectorBits() {
    return vectorModule() ? VectorKernels.bits() : 0;
  }

  /** All that run on this machine, the scalar ones first: for tests that hold them together. */
  static List<Kernels> available() {
    List<Kernels> all = new ArrayList<>(List.of(new ScalarKernels()));
    if (vectorModule()) {
      all.add(new VectorKernels());
      if (MachineCode.PRESENT) {
        all.add(new MachineCodeKernels());
      }
    }
    return all;
  }

  /**
   * Makes the kernels of a name, or the fastest for an empty one.
   *
   * @throws InputException for another name, or kernels that do not run here
   */
  static Kernels choose(String name) {
    if (name.equals("scalar") || name.isEmpty() && !vectorModule()) {
      return new ScalarKernels();
    }
    if (name.isEmpty()) {
      return MachineCode.PRESENT ? new MachineCodeKernels() : new VectorKernels();
    }
    List<Kernels> all = available();
    return all.stream()
        .filter(kernels -> kernels.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new InputException(
                    "-D"
                        + PROPERTY
                        + ": expected one of "
                        + all.stream().map(Kernels::name).toList()
                        + ", which run here, found "
                        + name));
  }

  /** The value of the property that chooses them. */
  abstract String name();

  // Products of weights, see PackedWeight.multiply. Arguments have been checked.

  /** Room for rows of activations as the products with {@link Q4Weight} read them. */
  abstract Int8Rows int8(int rows, int groups);

  abstract void multiply(
      Q4Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock);

  abstract void multiply(
      Q8Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock);

  abstract void multiply(
      DenseWeight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock);

  // See Vectors.

  abstract void add(float[] a, int a0, float[] b, int b0, int n);

  abstract void multiply(float[] a, int a0, float[] b, int b0, int n);

  abstract float max(float[] row, int at, int n);

  abstract float sum(float[] row, int at, int n);

  abstract float dot(float[] a, int a0, float[] b, int b0, int n);

  abstract float squares(float[] row, int at, float mean, int n);

  abstract float expAndSum(float[] row, int at, float max, int n);

  abstract void softmaxBackward(
      float[] scores, float[] gradients, int at, float logSum, float projection, int n);

  abstract void gelu(float[] row, int at, int n);

  abstract void geluBackward(float[] x, float[] gradient, int n);

  abstract void geluTanh(float[] row, int at, int n);

  abstract void geluTanhBackward(float[] x, float[] gradient, int n);

  abstract void silu(float[] row, int at, int n);

  abstract double logSumOfExp(float[] row, int at, int n);

  abstract boolean anyWithBits(MemorySegment block, int size, long bits);

  /** The sum of the longs in {@link MemoryRate#READ_BLOCK} bytes. */
  abstract long sumOfLongs(MemorySegment block);

  // See KvProducts.

  abstract void scores(
      float[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt);

  abstract void scores(
      int[] keys, int at, float[] q, int qAt, int dims, int n, float[] out, int outAt);

  abstract void scores(
      float[] keys,
      int at,
      float[] q,
      int qAt,
      int ldq,
      int dims,
      int n,
      float[] out,
      int outAt,
      int ldo);

  abstract void scores(
      int[] keys,
      int at,
      float[] q,
      int qAt,
      int ldq,
      int dims,
      int n,
      float[] out,
      int outAt,
      int ldo);

  abstract void values(
      float[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt);

  abstract void values(
      int[] values, int at, int width, float[] p, int pAt, int n, float[] out, int outAt);

  abstract void values(
      float[] values,
      int at,
      int width,
      float[] p,
      int pAt,
      int ldp,
      int n,
      float[] out,
      int outAt);

  abstract void values(
      int[] values, int at, int width, float[] p, int pAt, int ldp, int n, float[] out, int outAt);
}
