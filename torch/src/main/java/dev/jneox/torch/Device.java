package dev.jneox.torch;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * Names the processor that computes with tensors and whose memory they are in.
 *
 * @param index number of the CUDA device, from 0; 0 for the CPU
 */
public record Device(Kind kind, int index) {
  /** Which processors there are. */
  public enum Kind {
    /** The processor and its memory. */
    CPU,
    /** A GPU of NVIDIA's. */
    CUDA
  }

  /** The processor of this machine. */
  public static final Device CPU = new Device(Kind.CPU, 0);

  private static final Pattern CUDA = Pattern.compile("cuda(?::([0-9]{1,2}))?");

  /**
   * Reads {@code cpu}, {@code cuda} (the first CUDA device), {@code cuda:N}, or {@code auto}: the
   * first CUDA device where there is one, else the CPU.
   *
   * @throws IllegalArgumentException when it is none of these, or libtorch has no such device
   */
  public static Device parse(String text) {
    if (text.equals("cpu")) {
      return CPU;
    }
    if (!text.equals("auto") && !CUDA.matcher(text).matches()) {
      throw new IllegalArgumentException("expected cpu, auto, cuda or cuda:N, found " + text);
    }
    Libtorch.start();
    boolean built = torch.hasCUDA();
    return among(text, built, built && torch.cuda_is_available() ? torch.cuda_device_count() : 0);
  }

  /**
   * The same for {@code auto} and CUDA's names.
   *
   * @param built whether libtorch was built with CUDA
   * @param count CUDA devices that it finds
   */
  static Device among(String text, boolean built, int count) {
    Matcher cuda = CUDA.matcher(text);
    if (!cuda.matches()) {
      return count > 0 ? new Device(Kind.CUDA, 0) : CPU;
    }
    if (!built) {
      throw new IllegalArgumentException(
          text
              + ": this libtorch has no CUDA, it is the build for the CPU: take cpu or auto (the"
              + " README has the other build)");
    }
    int index = cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1));
    if (index >= count) {
      throw new IllegalArgumentException(
          text
              + ": libtorch finds "
              + (count == 0
                  ? "no CUDA device on this machine: take cpu or auto"
                  : count + " CUDA devices: take cuda:0 to cuda:" + (count - 1)));
    }
    return new Device(Kind.CUDA, index);
  }

  /** Whether tensors there lie in the memory of the process. */
  public boolean isCpu() {
    return kind == Kind.CPU;
  }

  /** libtorch's own; the caller's scope closes it. */
  org.bytedeco.pytorch.Device libtorch() {
    return switch (kind) {
      case CPU -> new org.bytedeco.pytorch.Device(DeviceType.CPU);
      case CUDA -> new org.bytedeco.pytorch.Device(DeviceType.CUDA, (byte) index);
    };
  }

  /** The name that {@link #parse} reads. */
  @Override
  public String toString() {
    return kind.name().toLowerCase(Locale.ROOT) + (isCpu() ? "" : ":" + index);
  }
}
