package dev.jneox.kernel;

import static dev.jneox.kernel.Assembler.Register.RDI;
import static dev.jneox.kernel.Assembler.Register.RDX;
import static dev.jneox.kernel.Assembler.Register.RSI;
import static dev.jneox.kernel.Assembler.at;

import dev.jneox.kernel.Assembler.Constant;
import dev.jneox.kernel.Assembler.Ymm;
import java.util.function.Consumer;

/**
 * Computes activations in machine code: to the last bit those of {@link Vectors}, and fast from the
 * first call on. Until C2 has compiled the others they take a microsecond for each step of each
 * vector, which was a quarter of the time from the start of the process to the first token of a
 * small model.
 */
final class ActivationCode {
  private static final Ymm X = new Ymm(0);
  private static final Ymm RESULT = new Ymm(1);
  private static final Ymm CLAMPED = new Ymm(2);
  private static final Ymm SHIFTED = new Ymm(3);
  private static final Ymm N = new Ymm(4);
  private static final Ymm R = new Ymm(5);
  private static final Ymm P = new Ymm(6);
  private static final Ymm SQUARE = new Ymm(7);
  private static final Ymm T = new Ymm(8);
  private static final Ymm MASK = new Ymm(9);

  private static final Constant ONE = Constant.of(1);
  private static final Constant SIGN = new Constant(0x80000000);
  private static final Constant MAGNITUDE = new Constant(0x7FFFFFFF);

  private static final MachineCode EXACT = MachineCode.of(a -> loop(a, ActivationCode::exact));
  private static final MachineCode TANH = MachineCode.of(a -> loop(a, ActivationCode::tanh));
  private static final MachineCode SILU = MachineCode.of(a -> loop(a, ActivationCode::silu));

  private ActivationCode() {}

  /** {@link Vectors#gelu}. */
  static void gelu(float[] row, int at, int n) {
    EXACT.call(row, 4L * at, n);
  }

  /** {@link Vectors#geluTanh}. */
  static void geluTanh(float[] row, int at, int n) {
    TANH.call(row, 4L * at, n);
  }

  /** {@link Vectors#silu}. */
  static void silu(float[] row, int at, int n) {
    SILU.call(row, 4L * at, n);
  }

  /**
   * A function of an array, a place in it in bytes and how many values are to be replaced by what
   * {@code body} makes of X in RESULT.
   */
  private static void loop(Assembler a, Consumer<Assembler> body) {
    a.add(RDI, RSI);
    int again = a.here();
    a.vmovdqu(X, at(RDI, 0));
    body.accept(a);
    a.vmovdqu(at(RDI, 0), RESULT);
    a.add(RDI, 32);
    a.sub(RDX, 8);
    a.ja(again);
  }

  private static void tanh(Assembler a) {
    a.vmulps(SQUARE, X, X);
    a.vmulps(T, SQUARE, Constant.of(-2 * Vectors.SQRT_2_OVER_PI * Vectors.CUBIC));
    a.vaddps(T, T, Constant.of(-2 * Vectors.SQRT_2_OVER_PI));
    a.vmulps(T, X, T);
    exp(a, T);
    a.vaddps(RESULT, RESULT, ONE);
    a.vmovdqu(T, ONE);
    a.vdivps(T, T, RESULT);
    a.vmulps(RESULT, X, T);
  }

  private static void silu(Assembler a) {
    a.vpxor(T, X, SIGN);
    exp(a, T);
    a.vaddps(RESULT, RESULT, ONE);
    a.vdivps(RESULT, X, RESULT);
  }

  private static void exact(Assembler a) {
    a.vmulps(T, X, X);
    a.vmulps(T, T, Constant.of(-0.5f));
    exp(a, T);
    a.vpand(T, X, MAGNITUDE);
    a.vmulps(T, T, Constant.of(0.3275911f * Vectors.SQRT_HALF));
    a.vaddps(T, T, ONE);
    a.vmovdqu(N, ONE);
    a.vdivps(T, N, T);
    a.vmovdqu(P, Constant.of(1.061405429f));
    for (float next : new float[] {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) {
      a.vfmadd213ps(P, T, Constant.of(next));
    }
    a.vmulps(P, P, T);
    a.vmulps(P, P, RESULT);
    a.vmulps(P, P, Constant.of(0.5f));
    // What is above zero takes 1 - P, and the others P: bits of the one or of the other.
    a.vpxor(MASK, MASK, MASK);
    a.vcmpnltps(MASK, MASK, X); // all bits where not 0 < x
    a.vpxor(R, P, SIGN);
    a.vaddps(R, R, ONE);
    a.vpand(P, P, MASK);
    a.vpandn(R, MASK, R);
    a.vpor(P, P, R);
    a.vmulps(RESULT, X, P);
  }

  /** {@link Lanes#exp} of a register into RESULT. */
  private static void exp(Assembler a, Ymm x) {
    a.vmovdqu(CLAMPED, Constant.of(-87));
    a.vmaxps(CLAMPED, CLAMPED, x);
    a.vmovdqu(N, Constant.of(88));
    a.vminps(CLAMPED, N, CLAMPED);
    a.vmovdqu(SHIFTED, Constant.of(1.44269504f));
    a.vfmadd213ps(SHIFTED, CLAMPED, Constant.of(12582912f));
    a.vsubps(N, SHIFTED, Constant.of(12582912f));
    a.vmovdqu(R, Constant.of(-0.693359375f));
    a.vfmadd213ps(R, N, CLAMPED);
    a.vmovdqu(P, Constant.of(2.12194440e-4f));
    a.vfmadd213ps(P, N, R);
    a.vmulps(CLAMPED, P, P); // from here on P is r
    a.vmovdqu(RESULT, Constant.of(1.9875691500e-4f));
    for (float next :
        new float[] {
          1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f
        }) {
      a.vfmadd213ps(RESULT, P, Constant.of(next));
    }
    a.vfmadd213ps(RESULT, CLAMPED, P);
    a.vaddps(RESULT, RESULT, ONE);
    a.vpslld(SHIFTED, SHIFTED, 23);
    a.vpaddd(RESULT, RESULT, SHIFTED);
    a.vmovdqu(N, Constant.of(-87));
    a.vcmpnltps(MASK, x, N);
    a.vpand(RESULT, RESULT, MASK);
  }
}
