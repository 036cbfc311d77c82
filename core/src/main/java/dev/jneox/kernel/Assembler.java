package dev.jneox.kernel;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * Machine code for x86-64 from the instructions that our kernels need, each method one of them (but
 * {@link #halves} and {@link #swapHalves}) with its operands in Intel's order. Vectors have 256
 * bits; the instructions are those of AVX2 and FMA.
 *
 * <p>Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2
 * (REX, VEX, ModR/M) and the page of each instruction.
 */
final class Assembler {
  /** A general register, by its number in an encoding. */
  enum Register {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11
  }

  /** What an instruction may read. */
  sealed interface Source permits Ymm, Memory, Constant {}

  /** A vector register, 0 to 15. */
  record Ymm(int number) implements Source {}

  /**
   * Memory {@code displacement} bytes after the address in a register, which is none of RSP and
   * R12.
   */
  record Memory(Register base, int displacement) implements Source {}

  /** 256 bits that stand behind the code: the same 32 bits eight times. */
  record Constant(int bits) implements Source {
    static Constant of(float value) {
      return new Constant(Float.floatToRawIntBits(value));
    }
  }

  // The prefix that an opcode had before VEX, and its map: pp and mmmmm of VEX.
  private static final int NONE = 0;
  private static final int P66 = 1;
  private static final int PF3 = 2;
  private static final int MAP_0F = 1;
  private static final int MAP_0F38 = 2;
  private static final int MAP_0F3A = 3;

  private static final int VECTOR_BYTES = 32;

  /** Orders of lanes for {@link #vpshufd}: two and two exchanged, and neighbours. */
  static final int BY_2 = 0x4E;

  static final int BY_1 = 0xB1;

  private record Fixup(int at, Constant constant) {}

  /**
   * @param jump the place behind it
   */
  private record Landing(int jump, int target) {}

  private final ByteArrayOutputStream code = new ByteArrayOutputStream();
  private final List<Fixup> fixups = new ArrayList<>();
  private final List<Landing> landings = new ArrayList<>();

  static Memory at(Register base, int displacement) {
    return new Memory(base, displacement);
  }

  void vmovdqu(Ymm to, Source from) {
    vex(PF3, MAP_0F, 0x6F, to.number, 0, from);
  }

  void vmovdqu(Memory to, Ymm from) {
    vex(PF3, MAP_0F, 0x7F, from.number, 0, to);
  }

  /** 32 bits of memory into every lane. */
  void vpbroadcastd(Ymm to, Memory from) {
    vex(P66, MAP_0F38, 0x58, to.number, 0, from);
  }

  /** Eight 16-bit numbers without a sign to 32 bits. */
  void vpmovzxwd(Ymm to, Memory from) {
    vex(P66, MAP_0F38, 0x33, to.number, 0, from);
  }

  void vpand(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0xDB, to.number, a.number, b);
  }

  void vpxor(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0xEF, to.number, a.number, b);
  }

  /** Bits of {@code b} that are not in {@code a}. */
  void vpandn(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0xDF, to.number, a.number, b);
  }

  void vpor(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0xEB, to.number, a.number, b);
  }

  void vpslld(Ymm to, Ymm from, int bits) {
    vex(P66, MAP_0F, 0x72, 6, to.number, from);
    code.write(bits);
  }

  void vpsrld(Ymm to, Ymm from, int bits) {
    vex(P66, MAP_0F, 0x72, 2, to.number, from);
    code.write(bits);
  }

  void vpsrad(Ymm to, Ymm from, int bits) {
    vex(P66, MAP_0F, 0x72, 4, to.number, from);
    code.write(bits);
  }

  /**
   * Sums of two products of neighbours, in 16 bits: bytes of {@code a} without a sign times bytes
   * of {@code b} with one; saturates.
   */
  void vpmaddubsw(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F38, 0x04, to.number, a.number, b);
  }

  /** Sums of two products of neighbours, in 32 bits: 16-bit numbers with a sign. */
  void vpmaddwd(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0xF5, to.number, a.number, b);
  }

  void vpaddw(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0xFD, to.number, a.number, b);
  }

  void vpaddd(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0xFE, to.number, a.number, b);
  }

  /** The larger of two 32-bit integers without a sign. */
  void vpmaxud(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F38, 0x3F, to.number, a.number, b);
  }

  /**
   * Within each half: the 32-bit integers of {@code a}, then those of {@code b}, as 16-bit
   * integers, saturated.
   */
  void vpackssdw(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0x6B, to.number, a.number, b);
  }

  /**
   * Within each half: the 16-bit integers of {@code a}, then those of {@code b}, as bytes,
   * saturated.
   */
  void vpacksswb(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0x63, to.number, a.number, b);
  }

  /** Within each half, as bytes without a sign. */
  void vpackuswb(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0x67, to.number, a.number, b);
  }

  /** Within each half: the first four 16-bit numbers of {@code a} and {@code b} in turns. */
  void vpunpcklwd(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0x61, to.number, a.number, b);
  }

  /** Within each half: the last four 16-bit numbers of {@code a} and {@code b} in turns. */
  void vpunpckhwd(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F, 0x69, to.number, a.number, b);
  }

  /** The halves of {@code from} the other way around. */
  void swapHalves(Ymm to, Ymm from) {
    vex(P66, MAP_0F3A, 0x46, to.number, from.number, from); // vperm2i128
    code.write(1);
  }

  /**
   * Within each half: lane {@code i} is the one of {@code from} that bits 2i and 2i + 1 of {@code
   * order} say.
   */
  void vpshufd(Ymm to, Ymm from, int order) {
    vex(P66, MAP_0F, 0x70, to.number, 0, from);
    code.write(order);
  }

  /** Lane {@code lane} of the lower half into memory. */
  void vpextrd(Memory to, Ymm from, int lane) {
    vex(P66, MAP_0F3A, 0x16, from.number, 0, to, 128);
    code.write(lane);
  }

  /** fp32 to 32-bit integers, rounded to even. */
  void vcvtps2dq(Ymm to, Source from) {
    vex(P66, MAP_0F, 0x5B, to.number, 0, from);
  }

  /** All bits of a lane where not {@code a < b}, so too where one is no number; else none. */
  void vcmpnltps(Ymm to, Ymm a, Ymm b) {
    vex(NONE, MAP_0F, 0xC2, to.number, a.number, b);
    code.write(5);
  }

  /** The larger; {@code b} where one is no number. */
  void vmaxps(Ymm to, Ymm a, Source b) {
    vex(NONE, MAP_0F, 0x5F, to.number, a.number, b);
  }

  /** The smaller; {@code b} where one is no number. */
  void vminps(Ymm to, Ymm a, Source b) {
    vex(NONE, MAP_0F, 0x5D, to.number, a.number, b);
  }

  void vsubps(Ymm to, Ymm a, Source b) {
    vex(NONE, MAP_0F, 0x5C, to.number, a.number, b);
  }

  void vdivps(Ymm to, Ymm a, Source b) {
    vex(NONE, MAP_0F, 0x5E, to.number, a.number, b);
  }

  /** 32-bit integers to fp32. */
  void vcvtdq2ps(Ymm to, Source from) {
    vex(NONE, MAP_0F, 0x5B, to.number, 0, from);
  }

  void vmulps(Ymm to, Ymm a, Source b) {
    vex(NONE, MAP_0F, 0x59, to.number, a.number, b);
  }

  void vaddps(Ymm to, Ymm a, Source b) {
    vex(NONE, MAP_0F, 0x58, to.number, a.number, b);
  }

  /** {@code to = a * b + to}, rounded once. */
  void vfmadd231ps(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F38, 0xB8, to.number, a.number, b);
  }

  /** {@code to = to * a + b}, rounded once. */
  void vfmadd213ps(Ymm to, Ymm a, Source b) {
    vex(P66, MAP_0F38, 0xA8, to.number, a.number, b);
  }

  /**
   * Eight pairs of half-precision numbers to fp32, times a power of two: the lower ones of the
   * pairs and the upper ones. Their bits are moved to their places, and the biases of the exponents
   * differ by 112: exact, of subnormal numbers too.
   */
  void halves(Ymm lower, Ymm upper, Memory from, float factor) {
    Constant bits = new Constant(0x8FFFE000);
    Constant scale = new Constant(Float.floatToRawIntBits(0x1p112f * factor));
    vmovdqu(upper, from);
    vpslld(lower, upper, 16);
    for (Ymm half : List.of(lower, upper)) {
      vpsrad(half, half, 3);
      vpand(half, half, bits);
      vmulps(half, half, scale);
    }
  }

  /** Before code that knows nothing of 256 bits. */
  void vzeroupper() {
    bytes(0xC5, 0xF8, 0x77);
  }

  void prefetcht0(Memory what) {
    bytes(0x40 | high(what.base.ordinal()), 0x0F, 0x18);
    operand(1, what);
  }

  void mov(Register to, Register from) {
    bytes(
        0x48 | high(from.ordinal()) << 2 | high(to.ordinal()),
        0x89,
        0xC0 | low(from.ordinal()) << 3 | low(to.ordinal()));
  }

  void mov(Register to, int value) {
    bytes(0x48 | high(to.ordinal()), 0xC7, 0xC0 | low(to.ordinal()));
    word(value);
  }

  void add(Register to, Register from) {
    bytes(
        0x48 | high(from.ordinal()) << 2 | high(to.ordinal()),
        0x01,
        0xC0 | low(from.ordinal()) << 3 | low(to.ordinal()));
  }

  void add(Register to, int value) {
    bytes(0x48 | high(to.ordinal()), 0x81, 0xC0 | low(to.ordinal()));
    word(value);
  }

  /** Sets the flags that the jumps read. */
  void sub(Register to, int value) {
    bytes(0x48 | high(to.ordinal()), 0x81, 0xE8 | low(to.ordinal()));
    word(value);
  }

  /** This place, for a jump back to it. */
  int here() {
    return code.size();
  }

  void jnz(int target) {
    bytes(0x0F, 0x85);
    word(target - code.size() - 4);
  }

  void jae(int target) {
    bytes(0x0F, 0x83);
    word(target - code.size() - 4);
  }

  /** A jump forward, to where {@link #land} is called with what this returns. */
  int jumpIfBelow() {
    bytes(0x0F, 0x82);
    word(0);
    return code.size();
  }

  /** The target of a jump forward. */
  void land(int jump) {
    landings.add(new Landing(jump, code.size()));
  }

  void ja(int target) {
    bytes(0x0F, 0x87);
    word(target - code.size() - 4);
  }

  /**
   * Where a function begins that is called by an address; without it a CPU that guards such calls
   * refuses them.
   */
  void endbr64() {
    bytes(0xF3, 0x0F, 0x1E, 0xFA);
  }

  void ret() {
    code.write(0xC3);
  }

  /** The code and, behind it, its constants. It runs at any address that is a multiple of 32. */
  byte[] code() {
    List<Constant> constants = fixups.stream().map(Fixup::constant).distinct().toList();
    int begin = (code.size() + VECTOR_BYTES - 1) / VECTOR_BYTES * VECTOR_BYTES;
    ByteBuffer all =
        ByteBuffer.allocate(begin + constants.size() * VECTOR_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    all.put(code.toByteArray());
    for (Landing landing : landings) {
      all.putInt(landing.jump - 4, landing.target - landing.jump);
    }
    for (Fixup fixup : fixups) {
      // From the end of the instruction, which is that of the displacement: no instruction with a
      // constant has anything behind it.
      all.putInt(
          fixup.at, begin + constants.indexOf(fixup.constant) * VECTOR_BYTES - (fixup.at + 4));
    }
    all.position(begin);
    for (Constant constant : constants) {
      for (int i = 0; i < VECTOR_BYTES / 4; i++) {
        all.putInt(constant.bits);
      }
    }
    return all.array();
  }

  /** An instruction with a VEX prefix of three bytes. */
  private void vex(int prefix, int map, int opcode, int register, int second, Source source) {
    vex(prefix, map, opcode, register, second, source, 256);
  }

  private void vex(
      int prefix, int map, int opcode, int register, int second, Source source, int bits) {
    int base =
        switch (source) {
          case Ymm ymm -> ymm.number;
          case Memory memory -> memory.base.ordinal();
          case Constant constant -> 0;
        };
    // Registers' highest bits and the second operand are stored inverted; 0x40: no index register.
    bytes(
        0xC4,
        (high(register) ^ 1) << 7 | 0x40 | (high(base) ^ 1) << 5 | map,
        (second ^ 15) << 3 | (bits == 256 ? 4 : 0) | prefix,
        opcode);
    operand(register, source);
  }

  /** ModR/M and what belongs to it. */
  private void operand(int register, Source source) {
    int middle = low(register) << 3;
    switch (source) {
      case Ymm ymm -> code.write(0xC0 | middle | low(ymm.number));
      case Memory memory -> {
        int base = low(memory.base.ordinal());
        if (base == Register.RSP.ordinal()) {
          throw new IllegalArgumentException("no address in " + memory.base);
        }
        if (memory.displacement == (byte) memory.displacement) {
          bytes(0x40 | middle | base, memory.displacement);
        } else {
          code.write(0x80 | middle | base);
          word(memory.displacement);
        }
      }
      case Constant constant -> {
        code.write(middle | 5); // relative to the next instruction
        fixups.add(new Fixup(code.size(), constant));
        word(0);
      }
    }
  }

  private static int high(int register) {
    return register >>> 3;
  }

  private static int low(int register) {
    return register & 7;
  }

  private void bytes(int... bytes) {
    for (int b : bytes) {
      code.write(b);
    }
  }

  private void word(int value) {
    bytes(value, value >>> 8, value >>> 16, value >>> 24);
  }
}
