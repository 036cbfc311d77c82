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

import dev.jneox.kernel.Assembler.Constant;
import dev.jneox.kernel.Assembler.Register;
import dev.jneox.kernel.Assembler.Ymm;

/**
 * The products of {@link Q8Weight} in machine code, for CPUs with AVX2: in the order of {@link
 * Q8Kernel} and to the last bit like it.
 */
final class Q8Code {
  /** Activation rows that share the fp32 numbers that codes become. */
  static final int ROWS = 4;

  private static final int VECTOR = 32;

  /** Bytes of a tile's codes of four inputs. */
  private static final int LINE = 4 * Q8Weight.TILE;

  private static final int VECTORS = LINE / VECTOR;
  private static final int QUADS = Q8Weight.GROUP / 4;

  /** Bytes between the results of two vectors of rows whose scales are interleaved. */
  private static final int APART = 4 * Q8Weight.APART;

  /** Bytes of a row of results. */
  private static final int Y = 4 * Q8Weight.TILE;

  /** Groups ahead of the current one that are prefetched. */
  private static final int AHEAD = 4;

  private static final Constant TOP_BYTE = new Constant(0xFF000000);

  private static final Ymm MASK = new Ymm(15);

  private static final MachineCode ONE = MachineCode.of(Q8Code::one);
  private static final MachineCode FOUR = MachineCode.of(Q8Code::four);

  /**
   * Most groups that are multiplied with all activation rows before the next, see {@link Q4Code}.
   */
  private static final int CHUNK = 8;

  private Q8Code() {}

  /** {@link PackedWeight#multiply}. */
  static void multiply(
      Q8Weight weight, InputRows x, float[] y, int at, int ldy, int fromBlock, int toBlock) {
    int groups = Q8Weight.groups(weight.in());
    long tileBytes = Q8Weight.tileBytes(weight.in());
    int end = Math.min(weight.out(), toBlock * PackedWeight.BLOCK);
    Tile results = Tile.of(x.rows(), Q8Weight.TILE);
    for (int o = fromBlock * PackedWeight.BLOCK; o < end; o += Q8Weight.TILE) {
      int width = Math.min(Q8Weight.TILE, end - o);
      long tile = weight.data().address() + o / Q8Weight.TILE * tileBytes;
      results.read(y, at + o, ldy, x.rows(), width);
      for (int g = 0; g < groups; g += CHUNK) {
        long from = tile + (long) g * Q8Weight.GROUP_BYTES;
        chunk(from, g, Math.min(CHUNK, groups - g), x, results);
      }
      results.write(y, at + o, ldy, x.rows(), width);
    }
  }

  /** {@code n} groups of a tile from {@code from} on, for all activation rows. */
  private static void chunk(long from, int g, int n, InputRows x, Tile results) {
    long x0 = 4L * g * Q8Weight.GROUP;
    int r = 0;
    for (; r + ROWS <= x.rows(); r += ROWS) {
      four(from, n, x.row(r) + x0, results.row(r), x.row(1) - x.row(0));
    }
    for (; r < x.rows(); r++) {
      one(from, n, x.row(r) + x0, results.row(r));
    }
  }

  /**
   * Adds to a row of results the product of an activation row with a tile, an fma for each group.
   *
   * @param tile address of the tile's first group
   * @param groups how many groups, one or more
   * @param x address of the first group's activations
   * @param y address of 32 fp32 numbers
   */
  private static void one(long tile, long groups, long x, long y) {
    ONE.call(tile, groups, x, y, 0);
  }

  /**
   * The same for {@link #ROWS} rows, the activations of which are {@code next} bytes apart and the
   * results one behind the other.
   */
  private static void four(long tile, long groups, long x, long y, long next) {
    FOUR.call(tile, groups, x, y, next);
  }

  private static void one(Assembler a) {
    Ymm k = new Ymm(8);
    Ymm codes = new Ymm(9);
    Ymm number = new Ymm(10);
    a.vmovdqu(MASK, TOP_BYTE);
    int group = a.here();
    for (int i = 0; i < 2 * VECTORS; i++) {
      a.vpxor(new Ymm(i), new Ymm(i), new Ymm(i));
    }
    for (int quad = 0; quad < QUADS; quad++) {
      for (int i = 0; i < 4; i++) {
        a.vpbroadcastd(k, at(RDX, 4 * (4 * quad + i)));
        for (int v = 0; v < VECTORS; v++) {
          if (i == 0 && v % 2 == 0) {
            a.prefetcht0(at(RDI, AHEAD * Q8Weight.GROUP_BYTES + LINE * quad + VECTOR * v));
          }
          a.vmovdqu(codes, at(RDI, LINE * quad + VECTOR * v));
          number(a, number, codes, i);
          a.vfmadd231ps(sum(v, i % 2), number, k);
        }
      }
    }
    a.prefetcht0(at(RDI, AHEAD * Q8Weight.GROUP_BYTES + Q8Weight.CODE_BYTES));
    for (int v = 0; v < VECTORS / 2; v++) {
      Ymm first = new Ymm(8);
      Ymm second = new Ymm(9);
      scales(a, first, second, RDI, VECTOR * v);
      add(a, sum(v, 0), sum(v, 1), first, RCX, VECTOR * v);
      add(a, sum(v + VECTORS / 2, 0), sum(v + VECTORS / 2, 1), second, RCX, VECTOR * v + APART);
    }
    a.add(RDI, Q8Weight.GROUP_BYTES);
    a.add(RDX, 4 * Q8Weight.GROUP);
    a.sub(RSI, 1);
    a.jnz(group);
  }

  private static void four(Assembler a) {
    Register[] x = {RDX, R9, R10, R11};
    Ymm k = new Ymm(8);
    Ymm codes = new Ymm(9);
    Ymm number = new Ymm(10);
    a.vmovdqu(MASK, TOP_BYTE);
    for (int r = 1; r < ROWS; r++) {
      a.mov(x[r], x[r - 1]);
      a.add(x[r], R8);
    }
    int group = a.here();
    for (int v = 0; v < VECTORS; v++) {
      for (int i = 0; i < 2 * ROWS; i++) {
        a.vpxor(new Ymm(i), new Ymm(i), new Ymm(i));
      }
      for (int quad = 0; quad < QUADS; quad++) {
        if (quad % 2 == 0) {
          a.prefetcht0(at(RDI, AHEAD * Q8Weight.GROUP_BYTES + 64 * (QUADS / 2 * v + quad / 2)));
        }
        a.vmovdqu(codes, at(RDI, LINE * quad + VECTOR * v));
        for (int i = 0; i < 4; i++) {
          number(a, number, codes, i);
          for (int r = 0; r < ROWS; r++) {
            a.vpbroadcastd(k, at(x[r], 4 * (4 * quad + i)));
            a.vfmadd231ps(sum(r, i % 2), number, k);
          }
        }
      }
      Ymm first = new Ymm(8);
      Ymm second = new Ymm(9);
      scales(a, first, second, RDI, VECTOR * (v % (VECTORS / 2)));
      for (int r = 0; r < ROWS; r++) {
        add(a, sum(r, 0), sum(r, 1), v < VECTORS / 2 ? first : second, RCX, Y * r + VECTOR * v);
      }
    }
    a.prefetcht0(at(RDI, AHEAD * Q8Weight.GROUP_BYTES + Q8Weight.CODE_BYTES));
    a.add(RDI, Q8Weight.GROUP_BYTES);
    for (Register row : x) {
      a.add(row, 4 * Q8Weight.GROUP);
    }
    a.sub(RSI, 1);
    a.jnz(group);
  }

  /** The sum of even (0) or odd (1) inputs. */
  private static Ymm sum(int i, int parity) {
    return new Ymm(2 * i + parity);
  }

  /** Byte {@code i} of each lane, times 2^24, in fp32. */
  private static void number(Assembler a, Ymm to, Ymm codes, int i) {
    if (i < 3) {
      a.vpslld(to, codes, 24 - 8 * i);
    }
    if (i > 0) {
      a.vpand(to, i < 3 ? to : codes, MASK);
    }
    a.vcvtdq2ps(to, to);
  }

  /** The scales of the rows of a vector and of those {@link #APART} behind it, over 2^24. */
  private static void scales(Assembler a, Ymm first, Ymm second, Register tile, int vector) {
    a.halves(first, second, at(tile, Q8Weight.CODE_BYTES + vector), 0x1p-24f);
  }

  /** {@code y += (even + odd) * scales}. */
  private static void add(Assembler a, Ymm even, Ymm odd, Ymm scales, Register y, int at) {
    a.vaddps(even, even, odd);
    a.vfmadd213ps(even, scales, at(y, at));
    a.vmovdqu(at(y, at), even);
  }
}
