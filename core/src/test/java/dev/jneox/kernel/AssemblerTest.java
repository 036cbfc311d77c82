package dev.jneox.kernel;

import static dev.jneox.kernel.Assembler.Register.R10;
import static dev.jneox.kernel.Assembler.Register.R11;
import static dev.jneox.kernel.Assembler.Register.R8;
import static dev.jneox.kernel.Assembler.Register.R9;
import static dev.jneox.kernel.Assembler.Register.RDI;
import static dev.jneox.kernel.Assembler.Register.RDX;
import static dev.jneox.kernel.Assembler.Register.RSI;
import static dev.jneox.kernel.Assembler.Register.RSP;
import static dev.jneox.kernel.Assembler.at;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.kernel.Assembler.Constant;
import dev.jneox.kernel.Assembler.Ymm;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Bytes are those of the instructions as the GNU disassembler reads them. */
class AssemblerTest {
  @Test
  void instructionsHaveTheBytesOfTheManual() {
    assertBytes(a -> a.vmovdqu(new Ymm(3), at(RDI, 256)), "c4e17e6f9f00010000");
    assertBytes(a -> a.vmovdqu(at(R9, 16), new Ymm(12)), "c4417e7f6110");
    assertBytes(a -> a.vpbroadcastd(new Ymm(8), at(RDX, 4)), "c4627d584204");
    assertBytes(a -> a.vpmovzxwd(new Ymm(8), at(RDI, 16)), "c4627d334710");
    assertBytes(a -> a.vpand(new Ymm(10), new Ymm(10), new Ymm(15)), "c4412ddbd7");
    assertBytes(a -> a.vpslld(new Ymm(1), new Ymm(10), 16), "c4c17572f210");
    assertBytes(a -> a.vpsrld(new Ymm(11), new Ymm(10), 4), "c4c12572d204");
    assertBytes(a -> a.vpsrad(new Ymm(9), new Ymm(2), 3), "c4e13572e203");
    assertBytes(a -> a.vpmaddubsw(new Ymm(13), new Ymm(8), new Ymm(12)), "c4423d04ec");
    assertBytes(a -> a.vpmaddwd(new Ymm(6), new Ymm(6), new Ymm(14)), "c4c14df5f6");
    assertBytes(a -> a.vpaddw(new Ymm(7), new Ymm(7), new Ymm(13)), "c4c145fdfd");
    assertBytes(a -> a.vcvtdq2ps(new Ymm(5), new Ymm(5)), "c4e17c5bed");
    assertBytes(a -> a.vmulps(new Ymm(13), new Ymm(8), new Ymm(12)), "c4413c59ec");
    assertBytes(a -> a.vfmadd213ps(new Ymm(2), new Ymm(14), at(R8, -128)), "c4c20da85080");
    assertBytes(a -> a.vpxor(new Ymm(9), new Ymm(3), new Ymm(14)), "c44165efce");
    assertBytes(a -> a.vpor(new Ymm(9), new Ymm(9), new Ymm(5)), "c46135ebcd");
    assertBytes(a -> a.vpaddd(new Ymm(9), new Ymm(9), new Ymm(5)), "c46135fecd");
    assertBytes(a -> a.vpmaxud(new Ymm(4), new Ymm(4), new Ymm(5)), "c4e25d3fe5");
    assertBytes(a -> a.vpackssdw(new Ymm(0), new Ymm(0), new Ymm(1)), "c4e17d6bc1");
    assertBytes(a -> a.vpacksswb(new Ymm(8), new Ymm(0), new Ymm(2)), "c4617d63c2");
    assertBytes(a -> a.vpackuswb(new Ymm(8), new Ymm(0), new Ymm(1)), "c4617d67c1");
    assertBytes(a -> a.vpunpcklwd(new Ymm(0), new Ymm(8), new Ymm(5)), "c4e13d61c5");
    assertBytes(a -> a.vpunpckhwd(new Ymm(1), new Ymm(8), new Ymm(5)), "c4e13d69cd");
    assertBytes(a -> a.swapHalves(new Ymm(5), new Ymm(9)), "c4c33546e901");
    assertBytes(a -> a.vpshufd(new Ymm(5), new Ymm(9), 0xB1), "c4c17d70e9b1");
    assertBytes(a -> a.vpextrd(at(RDX, 136), new Ymm(9), 2), "c46379168a8800000002");
    assertBytes(a -> a.vcvtps2dq(new Ymm(3), new Ymm(3)), "c4e17d5bdb");
    assertBytes(a -> a.vcmpnltps(new Ymm(5), new Ymm(4), new Ymm(15)), "c4c15cc2ef05");
    assertBytes(a -> a.vpandn(new Ymm(5), new Ymm(9), new Ymm(5)), "c4e135dfed");
    assertBytes(a -> a.vmaxps(new Ymm(2), new Ymm(2), new Ymm(8)), "c4c16c5fd0");
    assertBytes(a -> a.vminps(new Ymm(2), new Ymm(4), new Ymm(2)), "c4e15c5dd2");
    assertBytes(a -> a.vsubps(new Ymm(4), new Ymm(3), new Ymm(11)), "c4c1645ce3");
    assertBytes(a -> a.vdivps(new Ymm(6), new Ymm(4), new Ymm(14)), "c4c15c5ef6");
    assertBytes(a -> a.vaddps(new Ymm(0), new Ymm(1), new Ymm(2)), "c4e17458c2");
    assertBytes(a -> a.vfmadd231ps(new Ymm(7), new Ymm(10), new Ymm(8)), "c4c22db8f8");
    assertBytes(Assembler::vzeroupper, "c5f877");
    assertBytes(a -> a.prefetcht0(at(RDI, 4608)), "400f188f00120000");
    assertBytes(a -> a.prefetcht0(at(R11, 64)), "410f184b40");
    assertBytes(a -> a.mov(R8, RDI), "4989f8");
    assertBytes(a -> a.mov(RDI, R9), "4c89cf");
    assertBytes(a -> a.mov(R10, 4), "49c7c204000000");
    assertBytes(a -> a.add(RDI, 1152), "4881c780040000");
    assertBytes(a -> a.add(R9, R8), "4d01c1");
    assertBytes(a -> a.add(RDX, R11), "4c01da");
    assertBytes(a -> a.sub(R10, 1), "4981ea01000000");
    assertBytes(a -> a.sub(RSI, -129), "4881ee7fffffff");
    assertBytes(Assembler::endbr64, "f30f1efa");
    assertBytes(Assembler::ret, "c3");
    assertThatThrownBy(() -> new Assembler().prefetcht0(at(RSP, 0))).hasMessageContaining("RSP");
  }

  @Test
  void jumpsGoBackFromBehindThem() {
    assertBytes(
        a -> {
          a.ret();
          int here = a.here();
          a.ret();
          a.jnz(here);
          a.ja(here);
        },
        "c3" + "c3" + "0f85f9ffffff" + "0f87f3ffffff");
  }

  @Test
  void jumpsForwardLandWhereTheyAreSaidTo() {
    assertBytes(
        a -> {
          int jump = a.jumpIfBelow();
          int here = a.here();
          a.ret();
          a.jae(here);
          a.land(jump);
          a.ret();
        },
        "0f8207000000" + "c3" + "0f83f9ffffff" + "c3");
  }

  @Test
  void constantsStandBehindTheCodeOnceEach() {
    Assembler a = new Assembler();
    a.vpand(new Ymm(0), new Ymm(1), new Constant(0x01020304)); // 9 bytes, the displacement last
    a.vpand(new Ymm(0), new Ymm(1), new Constant(5));
    a.vpand(new Ymm(0), new Ymm(1), new Constant(0x01020304));
    byte[] code = a.code();
    assertThat(code).hasSize(32 + 2 * 32);
    assertThat(HexFormat.of().formatHex(code, 0, 27))
        .isEqualTo(
            "c4e175db05" + "17000000" + "c4e175db05" + "2e000000" + "c4e175db05" + "05000000");
    assertThat(HexFormat.of().formatHex(code, 32, 64)).isEqualTo("04030201".repeat(8));
    assertThat(HexFormat.of().formatHex(code, 64, 96)).isEqualTo("05000000".repeat(8));
  }

  @Test
  void machineCodeIsThereWhereItCanBe() {
    assertThat(MachineCode.PRESENT)
        .isEqualTo(Cpu.isLinuxX64() && Cpu.flags().containsAll(List.of("avx2", "fma")));
    if (MachineCode.PRESENT) {
      MemorySegment x =
          Arena.ofAuto().allocateFrom(ValueLayout.JAVA_INT, 1, -2, 3, 4, 5, 6, 7, 1 << 24);
      MemorySegment y = Arena.ofAuto().allocate(32);
      MachineCode twice =
          MachineCode.of(
              a -> {
                a.vcvtdq2ps(new Ymm(4), at(RDI, 0));
                a.vaddps(new Ymm(4), new Ymm(4), new Ymm(4));
                a.vmovdqu(at(RSI, 0), new Ymm(4));
              });
      twice.call(x.address(), y.address(), 0, 0, 0);
      assertThat(y.toArray(ValueLayout.JAVA_FLOAT))
          .containsExactly(2, -4, 6, 8, 10, 12, 14, 1 << 25);
    }
  }

  private static void assertBytes(Consumer<Assembler> instructions, String expected) {
    Assembler a = new Assembler();
    instructions.accept(a);
    byte[] bytes = Arrays.copyOf(a.code(), expected.length() / 2);
    assertThat(HexFormat.of().formatHex(bytes)).isEqualTo(expected);
  }
}
