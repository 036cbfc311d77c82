package dev.jneox.kernel;

import static dev.jneox.kernel.Assembler.Register.R10;
import static dev.jneox.kernel.Assembler.Register.R11;
import static dev.jneox.kernel.Assembler.Register.R8;
import static dev.jneox.kernel.Assembler.Register.R9;
import static dev.jneox.kernel.Assembler.Register.RCX;
import static dev.jneox.kernel.Assembler.Register.RDI;
import static dev.jneox.kernel.Assembler.Register.RDX;
import static dev.jneox.kernel.Assembler.Register.RSI;
import static dev.jneox.kernel.Assembler.at;
import static dev.jneox.kernel.Memory.MEMORY;
import static dev.jneox.kernel.StoredNumbers.FLOAT;

import dev.jneox.kernel.Assembler.Register;
import dev.jneox.kernel.Assembler.Ymm;
import dev.jneox.kernel.DenseWeight.Type;

/**
 * The products of {@link DenseWeight} in machine code, which asks for the weights before it needs
 * them.
 */
final class DenseCode {
  /** Inputs per iteration: one vector for each of two sums. */
  private static final int STEP = 16;

  /** Bytes of the weight ahead of the current ones that are prefetched. */
  private static final int AHEAD = 4096;

  /** Activation rows that share a load of the weight. */
  private static final int ROWS = 4;

  private static final MachineCode F32_ONE = MachineCode.of(a -> products(a, Type.F32, 1));
  private static final MachineCode F32_FOUR = MachineCode.of(a -> products(a, Type.F32, ROWS));
  private static final MachineCode BF16_ONE = MachineCode.of(a -> products(a, Type.BF16, 1));
  private static final MachineCode BF16_FOUR = MachineCode.of(a -> products(a, Type.BF16, ROWS));

  private DenseCode() {}

  /** {@link PackedWeight#multiply}. */
  static void multiply(
      DenseWeight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    Type type = weight.type();
    int in = weight.in();
    int whole = in - in % STEP;
    long next = x.row(1) - x.row(0);
    long sums = Tile.of(ROWS, 1).row(0);
    // One row of the weight after another, in the order of memory: several at once read slower.
    int end = Math.min(weight.out(), toBlock * PackedWeight.BLOCK);
    for (int o = fromBlock * PackedWeight.BLOCK; o < end; o++) {
      long row = weight.data().address() + (long) type.bytes() * in * o;
      for (int r = 0; r < x.rows(); ) {
        int n = r + ROWS <= x.rows() ? ROWS : 1;
        products(type, row, whole, x.row(r), next, n, sums);
        for (int i = 0; i < n; i++, r++) {
          y[at + r * ldy + o] +=
              MEMORY.get(FLOAT, sums + 4 * i) + weight.tail(row, whole, x.row(r));
        }
      }
    }
  }

  /**
   * The products of a row of a weight with rows of activations.
   *
   * @param row its address
   * @param inputs how many, a multiple of {@link #STEP}; may be 0
   * @param x address of the first row of activations
   * @param next bytes from it to the next
   * @param rows 1 or {@link #ROWS}
   * @param sums address of the results
   */
  private static void products(
      Type type, long row, long inputs, long x, long next, int rows, long sums) {
    MachineCode code =
        type == Type.F32 ? rows == 1 ? F32_ONE : F32_FOUR : rows == 1 ? BF16_ONE : BF16_FOUR;
    code.call(row, inputs, x, sums, next);
  }

  private static void products(Assembler a, Type type, int rows) {
    Register[] x = {RDX, R9, R10, R11};
    Ymm weights = new Ymm(8);
    for (int r = 1; r < rows; r++) {
      a.mov(x[r], x[r - 1]);
      a.add(x[r], R8);
    }
    for (int i = 0; i < 2 * rows; i++) {
      a.vpxor(new Ymm(i), new Ymm(i), new Ymm(i));
    }
    a.sub(RSI, STEP);
    int none = a.jumpIfBelow();
    int step = a.here();
    a.prefetcht0(at(RDI, AHEAD));
    for (int parity = 0; parity < 2; parity++) {
      if (type == Type.F32) {
        a.vmovdqu(weights, at(RDI, 32 * parity));
      } else {
        a.vpmovzxwd(weights, at(RDI, 16 * parity));
        a.vpslld(weights, weights, 16);
      }
      for (int r = 0; r < rows; r++) {
        a.vfmadd231ps(sum(r, parity), weights, at(x[r], 32 * parity));
      }
    }
    a.add(RDI, STEP * type.bytes());
    for (int r = 0; r < rows; r++) {
      a.add(x[r], STEP * Float.BYTES);
    }
    a.sub(RSI, STEP);
    a.jae(step);
    a.land(none);
    for (int r = 0; r < rows; r++) {
      Ymm sum = sum(r, 0);
      a.vaddps(sum, sum, sum(r, 1));
      a.swapHalves(weights, sum);
      a.vaddps(sum, sum, weights);
      a.vpshufd(weights, sum, Assembler.BY_2);
      a.vaddps(sum, sum, weights);
      a.vpshufd(weights, sum, Assembler.BY_1);
      a.vaddps(sum, sum, weights);
      a.vpextrd(at(RCX, Float.BYTES * r), sum, 0);
    }
  }

  /** The sum of even (0) or odd (1) vectors of inputs. */
  private static Ymm sum(int row, int parity) {
    return new Ymm(2 * row + parity);
  }
}
