package dev.jneox.kernel;

import static dev.jneox.kernel.Assembler.Register.RDI;
import static dev.jneox.kernel.Assembler.Register.RDX;
import static dev.jneox.kernel.Assembler.Register.RSI;
import static dev.jneox.kernel.Assembler.at;

import dev.jneox.kernel.Assembler.Constant;
import dev.jneox.kernel.Assembler.Ymm;

/**
 * Makes a row of {@link Int8Tiles} in machine code: to the last bit as {@link Int8Coefficients}
 * rounds.
 */
final class Int8Code {
  private static final int VECTOR = 32;
  private static final int VECTORS = Int8Rows.GROUP / 8;

  private static final Constant MAGNITUDE = new Constant(0x7FFFFFFF);
  private static final Constant MAX_CODE = new Constant(Float.floatToRawIntBits(127));
  private static final Constant TINY = new Constant(Float.floatToRawIntBits(Int8Rows.TINY));
  private static final Constant MINUS_EIGHT = new Constant(0xFFF8FFF8);
  private static final Constant EVEN_BYTES = new Constant(0x00FF00FF);
  private static final Constant LOWER = new Constant(0x0000FFFF);

  private static final MachineCode ALONE = MachineCode.of(a -> row(a, 1));
  private static final MachineCode IN_TILE = MachineCode.of(a -> row(a, Int8Tiles.ROWS));

  private Int8Code() {}

  /**
   * Fills a row.
   *
   * @param x address of its fp32 values
   * @param groups how many groups they are, one or more
   * @param to address of the first group of the row's tile, plus four bytes for each row before it
   * @param width rows of the tile, 1 or {@link Int8Tiles#ROWS}
   */
  static void row(long x, long groups, long to, int width) {
    (width == 1 ? ALONE : IN_TILE).call(x, groups, to, 0, 0);
  }

  private static void row(Assembler a, int width) {
    Ymm max = new Ymm(4);
    Ymm other = new Ymm(5);
    Ymm scale = new Ymm(6);
    Ymm inverse = new Ymm(7);
    Ymm codes = new Ymm(8);
    Ymm sums = new Ymm(9);
    Ymm magnitude = new Ymm(13);
    Ymm maxCode = new Ymm(14);
    Ymm tiny = new Ymm(15);
    a.vmovdqu(magnitude, MAGNITUDE);
    a.vmovdqu(maxCode, MAX_CODE);
    a.vmovdqu(tiny, TINY);
    int group = a.here();
    for (int i = 0; i < VECTORS; i++) {
      a.vmovdqu(x(i), at(RDI, VECTOR * i));
      a.vpand(i == 0 ? max : other, magnitude, x(i));
      if (i > 0) {
        // The order of magnitudes is that of their bits, and what is no number is above all.
        a.vpmaxud(max, max, other);
      }
    }
    a.swapHalves(other, max);
    a.vpmaxud(max, max, other);
    for (int order : new int[] {Assembler.BY_2, Assembler.BY_1}) {
      a.vpshufd(other, max, order);
      a.vpmaxud(max, max, other);
    }
    a.vcmpnltps(other, max, tiny);
    a.vdivps(scale, max, maxCode);
    a.vsubps(codes, max, max); // 0, or NaN for an infinite one
    a.vaddps(scale, scale, codes);
    a.vdivps(inverse, maxCode, max);
    a.vpand(scale, scale, other);
    a.vpand(inverse, inverse, other);
    a.vpextrd(at(RDX, Int8Tiles.scale(width, 0)), scale, 0);
    for (int i = 0; i < VECTORS; i++) {
      a.vmulps(x(i), x(i), inverse);
      a.vcvtps2dq(x(i), x(i));
    }
    // In the lower half the first four of every eight inputs, in the upper one the last four.
    a.vpackssdw(x(0), x(0), x(1));
    a.vpackssdw(x(2), x(2), x(3));
    a.vpaddw(sums, x(0), x(2));
    a.vpmaddwd(sums, sums, MINUS_EIGHT);
    for (int order : new int[] {Assembler.BY_2, Assembler.BY_1}) {
      a.vpshufd(other, sums, order);
      a.vpaddd(sums, sums, other);
    }
    a.swapHalves(other, sums);
    a.vpslld(other, other, 16);
    a.vpand(sums, sums, LOWER);
    a.vpor(sums, sums, other);
    a.vpextrd(at(RDX, Int8Tiles.start(width, 0)), sums, 0);
    // Of each four bytes 0 and 2, then 1 and 3; and with those of the upper half between them they
    // are the codes of even inputs, then of odd ones.
    a.vpacksswb(codes, x(0), x(2));
    a.vpand(x(0), codes, EVEN_BYTES);
    a.vpsrld(x(1), codes, 8);
    a.vpand(x(1), x(1), EVEN_BYTES);
    a.vpackuswb(codes, x(0), x(1));
    a.swapHalves(other, codes);
    a.vpunpcklwd(x(0), codes, other);
    a.vpunpckhwd(x(1), codes, other);
    for (int oct = 0; oct < VECTORS; oct++) {
      a.vpextrd(at(RDX, Int8Tiles.codes(width, 0, oct, 0)), x(0), oct);
      a.vpextrd(at(RDX, Int8Tiles.codes(width, 0, oct, 1)), x(1), oct);
    }
    a.add(RDI, 4 * Int8Rows.GROUP);
    a.add(RDX, Int8Tiles.bytes(width));
    a.sub(RSI, 1);
    a.jnz(group);
  }

  /** The values of eight inputs. */
  private static Ymm x(int i) {
    return new Ymm(i);
  }
}
