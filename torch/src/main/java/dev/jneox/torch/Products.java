package dev.jneox.torch;

import dev.jneox.kernel.Cpu;
import dev.jneox.weights.Dtype;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products of bf16 and fp16 numbers, fast on every CPU. Where the CPU has instructions for
 * them libtorch multiplies the 16-bit numbers. Elsewhere it imitates the instructions or takes a
 * plain loop (on a Zen 3 a sixtieth of the fp32 rate at 256 cubed, 3 in 10,000 of it at 2048), so
 * fp32 carries them: both operands hold numbers of the 16-bit type in fp32, the product is fp32's
 * and is rounded to the type. Either way sums are fp32 and rounded once; only their order differs.
 * What fp32 carries takes as much memory as fp32.
 */
public final class Products {
  private static final Dtype BF16 = carrier(Dtype.BF16, Cpu.flags());
  private static final Dtype F16 = carrier(Dtype.F16, Cpu.flags());

  private Products() {}

  /**
   * The type in memory of numbers of {@code dtype} that the CPU is to multiply: itself, or fp32
   * where that is faster.
   */
  public static Dtype carrier(Dtype dtype) {
    return switch (dtype) {
      case BF16 -> BF16;
      case F16 -> F16;
      default -> dtype;
    };
  }

  /** The same for any device; all but the CPU multiply every type as it is. */
  public static Dtype carrier(Dtype dtype, Device device) {
    return device.isCpu() ? carrier(dtype) : dtype;
  }

  /**
   * By the CPU's instructions and not by the clock: the same seed has to give the same losses
   * however busy the machine is. fp32 where they are unknown (not Linux) and on ARM, where libtorch
   * may have no kernel though the CPU has the instructions: at worst half the rate that was
   * possible, never a thousandth.
   */
  static Dtype carrier(Dtype dtype, Set<String> flags) {
    boolean fast =
        switch (dtype) {
          case BF16 -> flags.contains("avx512_bf16") || flags.contains("amx_bf16");
          case F16 -> flags.contains("avx512_fp16") || flags.contains("amx_fp16");
          default -> true;
        };
    return fast ? dtype : Dtype.F32;
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
  public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
    ScalarType dtype = weight.scalar_type().intern();
    return linear(
        x, weight, bias, weight.is_cpu() ? Tensors.type(carrier(Tensors.dtype(dtype))) : dtype);
  }

  static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias, ScalarType carrier) {
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

  /** {@code y = x w}, into memory that is there; {@code y} is none of the others. */
  public static void multiply(Matrix x, Matrix w, Matrix y) {
    torch.mm_out(y.tensor, x.tensor, w.tensor);
  }

  /** {@code y = x w^T}. */
  public static void multiplyTransposed(Matrix x, Matrix w, Matrix y) {
    torch.mm_out(y.tensor, x.tensor, w.transposed);
  }

  /** {@code y = x^T w}. */
  public static void transposedMultiply(Matrix x, Matrix w, Matrix y) {
    torch.mm_out(y.tensor, x.transposed, w.tensor);
  }
}
