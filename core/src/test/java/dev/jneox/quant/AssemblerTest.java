package dev.jneox.quant;

import static dev.jneox.quant.Assembler.Register.R10;
import static dev.jneox.quant.Assembler.Register.R11;
import static dev.jneox.quant.Assembler.Register.R8;
import static dev.jneox.quant.Assembler.Register.R9;
import static dev.jneox.quant.Assembler.Register.RDI;
import static dev.jneox.quant.Assembler.Register.RDX;
import static dev.jneox.quant.Assembler.Register.RSI;
import static dev.jneox.quant.Assembler.Register.RSP;
import static dev.jneox.quant.Assembler.at;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.quant.Assembler.Constant;
import dev.jneox.quant.Assembler.Ymm;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Bytes are those of the instructions as the GNU disassembler reads them. */
class AssemblerTest {
  @Test
  void instructionsHaveTheBytesOfTheManual() {
    assertBytes(a -> a.vmovdqu(new Ymm(3), at(RDI, 256)), "c4e17e6f9f00010000");
    assertBytes(a -> a.vmovdqu(at(R9, 16), new Ymm(12)), "c4417e7f6110");
    assertBytes(a -> a.vpbroadcastd(new Ymm(8), at(RDX, 4)), "c4627d584204");
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
    assertBytes(Assembler::vzeroupper, "c5f877");
    assertBytes(a -> a.prefetcht0(at(RDI, 4608)), "400f188f00120000");
    assertBytes(a -> a.prefetcht0(at(R11, 64)), "410f184b40");
    assertBytes(a -> a.mov(R8, RDI), "4989f8");
    assertBytes(a -> a.mov(RDI, R9), "4c89cf");
    assertBytes(a -> a.mov(R10, 4), "49c7c204000000");
    assertBytes(a -> a.add(RDI, 1152), "4881c780040000");
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
  void constantsStandBehindTheCodeOnceEach() {
    Assembler a = new Assembler();
    a.vpand(new Ymm(0), new Ymm(1), new Constant(0x01020304)); // 9 bytes, the displacement last
    a.vpand(new Ymm(0), new Ymm(1), new Constant(5));
    a.vpand(new Ymm(0), new Ymm(1), new Constant(0x01020304));
    byte[] code = a.code();
    assertThat(code).hasSize(32 + 2 * 32);
    assertThat(HexFormat.of().formatHex(code, 0, 27))
        .isEqualTo("c4e175db05" + "17000000" + "c4e175db05" + "2e000000" + "c4e175db05" + "05000000");
    assertThat(HexFormat.of().formatHex(code, 32, 64)).isEqualTo("04030201".repeat(8));
    assertThat(HexFormat.of().formatHex(code, 64, 96)).isEqualTo("05000000".repeat(8));
  }

  private static void assertBytes(Consumer<Assembler> instructions, String expected) {
    Assembler a = new Assembler();
    instructions.accept(a);
    byte[] bytes = Arrays.copyOf(a.code(), expected.length() / 2);
    assertThat(HexFormat.of().formatHex(bytes)).isEqualTo(expected);
  }
}
