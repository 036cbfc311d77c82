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
 * The products of {@link Q4Weight} in machine code, for CPUs with AVX2: those of {@link Q4Kernel}
 * to the last bit, at two to three times the rate, and from the first call on, where Java's have to
 * be compiled first. What makes the difference is one instruction that the Vector API does not
 * have: {@code vpmaddubsw} multiplies 32 pairs of bytes and adds neighbours.
 *
 * <p>A lane of 32 bits holds the eight codes n0 to n7 of a row as in {@code Q4Kernel}. Masked with
 * 0x0F0F0F0F it is the bytes n0, n2, n4 and n6; shifted right by 4 before that, n1, n3, n5 and n7.
 * Both are multiplied with the bytes of the activations of the same inputs, which gives two sums of
 * 16 bits a lane. Each takes in 16 products of a group, {@code (n - 8) a} with codes n of 0 to 15
 * and a of -127 to 127, where the {@code -8 a} is what it starts with: at most 8 * 127 * 16 = 16256
 * in the end, so exact however it wrapped around before.
 */
final class Q4Code {
  /** Activation rows that share a load of codes. */
  static final int ROWS = Int8Tiles.ROWS;

  private static final int VECTOR = 32;

  /** Bytes of a block's codes of eight inputs. */
  private static final int LINE = 4 * PackedWeight.BLOCK;

  private static final int VECTORS = LINE / VECTOR;
  private static final int OCTS = Int8Rows.GROUP / 8;

  /** Bytes between the results of two vectors of rows whose scales are interleaved. */
  private static final int APART = 4 * Q4Weight.APART;

  /** Bytes of a row of results. */
  private static final int Y = 4 * PackedWeight.BLOCK;

  /** Groups ahead of the current one that are prefetched. */
  private static final int AHEAD = 4;

  /**
   * Most groups that are multiplied with all activation rows before the next: they stay in the
   * first-level cache.
   */
  private static final int CHUNK = 8;

  /**
   * Activation rows that are multiplied with all blocks before the next: with their results they
   * stay in the second-level cache.
   */
  private static final int STRIP = 64;

  private static final Constant NIBBLES = new Constant(0x0F0F0F0F);
  private static final Constant ONES = new Constant(0x00010001);

  private static final Ymm MASK = new Ymm(15);

  private static final MachineCode ONE = MachineCode.of(Q4Code::one);
  private static final MachineCode FOUR = MachineCode.of(Q4Code::four);

  private Q4Code() {}

  /** {@link PackedWeight#multiply}. */
  static void multiply(
      Q4Weight weight, InputRows activations, float[] y, int at, int ldy, int from, int to) {
    Int8Tiles x = (Int8Tiles) activations.int8();
    int rows = activations.rows();
    int groups = Q4Weight.groups(weight.in());
    long blockBytes = Q4Weight.blockBytes(weight.in());
    Tile tile = Tile.of(Math.min(STRIP, Int8Tiles.padded(rows)), PackedWeight.BLOCK);
    for (int first = 0; first < rows; first += STRIP) {
      int n = Math.min(STRIP, rows - first);
      for (int b = from; b < to; b++) {
        int width = Math.min(PackedWeight.BLOCK, weight.out() - b * PackedWeight.BLOCK);
        long block = weight.data().address() + b * blockBytes;
        int place = at + first * ldy + b * PackedWeight.BLOCK;
        tile.read(y, place, ldy, n, width);
        if (rows == 1) {
          one(block, groups, x.address(0, 0), tile.row(0));
        } else {
          for (int g = 0; g < groups; g += CHUNK) {
            for (int r = 0; r < n; r += Int8Tiles.ROWS) {
              long start = block + (long) g * Q4Weight.GROUP_BYTES;
              four(start, Math.min(CHUNK, groups - g), x.address(first + r, g), tile.row(r));
            }
          }
        }
        tile.write(y, place, ldy, n, width);
      }
    }
  }

  /**
   * Adds to a row of results the product of an activation row with a block, an fma for each group.
   *
   * @param block address of the block's first group
   * @param groups how many groups, one or more
   * @param x address of the first group of {@link Int8Tiles} of one row
   * @param y address of 64 fp32 numbers
   */
  private static void one(long block, long groups, long x, long y) {
    ONE.call(block, groups, x, y, 0);
  }

  /** Does the same for {@link #ROWS} rows at a time, whose results are consecutive. */
  private static void four(long block, long groups, long x, long y) {
    FOUR.call(block, groups, x, y, 0);
  }

  private static void one(Assembler a) {
    Ymm even = new Ymm(8);
    Ymm odd = new Ymm(9);
    Ymm low = new Ymm(10);
    Ymm high = new Ymm(11);
    Ymm factor = new Ymm(12);
    a.vmovdqu(MASK, NIBBLES);
    int group = a.here();
    for (int v = 0; v < VECTORS; v++) {
      a.vpbroadcastd(new Ymm(v), at(RDX, Int8Tiles.start(1, 0)));
    }
    for (int oct = 0; oct < OCTS; oct++) {
      a.vpbroadcastd(even, at(RDX, Int8Tiles.codes(1, 0, oct, 0)));
      a.vpbroadcastd(odd, at(RDX, Int8Tiles.codes(1, 0, oct, 1)));
      // Spread over the loop: the CPU tracks a limited number of loads that wait for memory.
      for (int v = 0; v < VECTORS; v++) {
        Ymm sum = new Ymm(v);
        if (v % 2 == 0) {
          a.prefetcht0(at(RDI, AHEAD * Q4Weight.GROUP_BYTES + LINE * oct + VECTOR * v));
        }
        a.vmovdqu(low, at(RDI, LINE * oct + VECTOR * v));
        a.vpsrld(high, low, 4);
        a.vpand(low, low, MASK);
        a.vpand(high, high, MASK);
        a.vpmaddubsw(low, low, even);
        a.vpmaddubsw(high, high, odd);
        a.vpaddw(sum, sum, low);
        a.vpaddw(sum, sum, high);
      }
    }
    a.vpbroadcastd(factor, at(RDX, Int8Tiles.scale(1, 0)));
    for (int v = 0; v < VECTORS / 2; v++) {
      if (v % 2 == 0) {
        a.prefetcht0(at(RDI, AHEAD * Q4Weight.GROUP_BYTES + Q4Weight.CODE_BYTES + VECTOR * v));
      }
      scales(a, low, high, RDI, VECTOR * v);
      a.vmulps(low, low, factor);
      a.vmulps(high, high, factor);
      add(a, new Ymm(v), low, RCX, VECTOR * v);
      add(a, new Ymm(v + VECTORS / 2), high, RCX, VECTOR * v + APART);
    }
    a.add(RDI, Q4Weight.GROUP_BYTES);
    a.add(RDX, Int8Tiles.bytes(1));
    a.sub(RSI, 1);
    a.jnz(group);
  }

  /**
   * Computes two vectors of rows at a time, those with interleaved scales: their sums for four rows
   * of activations take half of all registers.
   */
  private static void four(Assembler a) {
    Ymm[] even = {new Ymm(8), new Ymm(9)};
    Ymm[] odd = {new Ymm(10), new Ymm(11)};
    Ymm factor = new Ymm(12);
    Ymm[] products = {new Ymm(13), new Ymm(14)};
    a.vmovdqu(MASK, NIBBLES);
    int group = a.here();
    a.mov(R11, RDI);
    a.add(R11, AHEAD * Q4Weight.GROUP_BYTES);
    a.mov(R8, RDI);
    a.mov(R9, RCX);
    a.mov(R10, VECTORS / 2);
    int vector = a.here();
    for (int r = 0; r < ROWS; r++) {
      a.vpbroadcastd(sum(r, 0), at(RDX, Int8Tiles.start(ROWS, r)));
      a.vpbroadcastd(sum(r, 1), at(RDX, Int8Tiles.start(ROWS, r)));
    }
    for (int oct = 0; oct < OCTS; oct++) {
      a.prefetcht0(at(R11, 64 * oct));
      for (int v = 0; v < 2; v++) {
        a.vmovdqu(even[v], at(R8, LINE * oct + APART * v));
        a.vpsrld(odd[v], even[v], 4);
        a.vpand(even[v], even[v], MASK);
        a.vpand(odd[v], odd[v], MASK);
      }
      for (int parity = 0; parity < 2; parity++) {
        for (int r = 0; r < ROWS; r++) {
          a.vpbroadcastd(factor, at(RDX, Int8Tiles.codes(ROWS, r, oct, parity)));
          for (int v = 0; v < 2; v++) {
            a.vpmaddubsw(products[v], parity == 0 ? even[v] : odd[v], factor);
            a.vpaddw(sum(r, v), sum(r, v), products[v]);
          }
        }
      }
    }
    scales(a, even[0], even[1], R8, 0);
    for (int r = 0; r < ROWS; r++) {
      a.vpbroadcastd(factor, at(RDX, Int8Tiles.scale(ROWS, r)));
      for (int v = 0; v < 2; v++) {
        a.vmulps(products[v], even[v], factor);
        add(a, sum(r, v), products[v], R9, Y * r + APART * v);
      }
    }
    a.add(R11, 64 * OCTS);
    a.add(R8, VECTOR);
    a.add(R9, VECTOR);
    a.sub(R10, 1);
    a.jnz(vector);
    a.prefetcht0(at(R11, 0));
    a.prefetcht0(at(R11, 64));
    a.add(RDI, Q4Weight.GROUP_BYTES);
    a.add(RDX, Int8Tiles.bytes(ROWS));
    a.sub(RSI, 1);
    a.jnz(group);
  }

  private static Ymm sum(int row, int vector) {
    return new Ymm(2 * row + vector);
  }

  /** The scales of the rows of a vector and of those {@link #APART} behind it. */
  private static void scales(Assembler a, Ymm first, Ymm second, Register block, int vector) {
    a.halves(first, second, at(block, Q4Weight.CODE_BYTES + vector), 1);
  }

  /** {@code y += sum * scales}, where the two halves of each lane of the sum are added first. */
  private static void add(Assembler a, Ymm sum, Ymm scales, Register y, int at) {
    a.vpmaddwd(sum, sum, ONES);
    a.vcvtdq2ps(sum, sum);
    a.vfmadd213ps(sum, scales, at(y, at));
    a.vmovdqu(at(y, at), sum);
  }
}
