package dev.jneox.torch;

import dev.jneox.kernel.Cpu;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Matrix products of bf16 and fp16 numbers, fast on every CPU. Where the CPU has instructions for
 * them libtorch multiplies the 16-bit numbers. Elsewhere it imitates the instructions or takes a
 * plain loop (on a Zen 3 a sixtieth of the fp32 rate at 256 cubed, 3 in 10,000 of it at 2048), so
 * fp32 carries them: both operands hold numbers of the 16-bit type in fp32, the product is fp32's
 * and is rounded to the type. Either way sums are fp32 and rounded once; only their order differs.
 * What fp32 carries takes as much memory as fp32.
 */
public final class Products {
  private static final ScalarType BFLOAT16 = carrier(ScalarType.BFloat16, Cpu.flags());
  private static final ScalarType HALF = carrier(ScalarType.Half, Cpu.flags());

  private Products() {}

  /**
   * The type in memory of numbers of {@code dtype} that are to be multiplied: itself, or fp32 where
   * that is faster.
   */
  public static ScalarType carrier(ScalarType dtype) {
    return switch (dtype) {
      case BFloat16 -> BFLOAT16;
      case Half -> HALF;
      default -> dtype;
    };
  }

  /**
   * By the CPU's instructions and not by the clock: the same seed has to give the same losses
   * however busy the machine is. fp32 where they are unknown (not Linux) and on ARM, where libtorch
   * may have no kernel though the CPU has the instructions: at worst half the rate that was
   * possible, never a thousandth.
   */
  static ScalarType carrier(ScalarType dtype, Set<String> flags) {
    boolean fast =
        switch (dtype) {
          case BFloat16 -> flags.contains("avx512_bf16") || flags.contains("amx_bf16");
          case Half -> flags.contains("avx512_fp16") || flags.contains("amx_fp16");
          default -> true;
        };
    return fast ? dtype : ScalarType.Float;
  }

  /**
   * {@code y = x W^T + b} in the weight's own precision, to which {@code x} is rounded first;
   * autograd follows.
   *
   * @param x fp32 {@code [..., in]}, or fp64 if the weight is
   * @param weight {@code [out, in]} of any float type
   * @param bias {@code [out]} of the weight's type, or null
   * @return {@code [..., out]} of {@code x}'s type
   */
  public static Tensor linear(Tensor x, Tensor weight, Tensor bias) {
    return linear(x, weight, bias, carrier(weight.scalar_type().intern()));
  }

  static Tensor linear(Tensor x, Tensor weight, Tensor bias, ScalarType carrier) {
    ScalarType dtype = weight.scalar_type().intern();
    Tensor a = x.to(dtype).to(carrier);
    Tensor w = weight.to(carrier);
    Tensor y;
    if (bias == null) {
      y = torch.linear(a, w);
    } else {
      try (TensorOptional b = new TensorOptional(bias.to(carrier))) {
        y = torch.linear(a, w, b);
      }
    }
    return y.to(dtype).to(x.scalar_type());
  }
}
