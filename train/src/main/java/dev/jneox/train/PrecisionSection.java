package dev.jneox.train;

import dev.jneox.weights.Dtype;

/**
 * States the precision of the forward and backward pass. Weights, moments and the loss are always
 * fp32.
 *
 * @param format of the matrix products
 * @param lossScaler of fp16; fixed at 1 for the other formats
 */
public record PrecisionSection(Format format, LossScaler lossScaler) {

  /** Lists the number formats of the matrix products. */
  public enum Format {
    /** IEEE 754 single precision. */
    FP32(Dtype.F32),
    /** bfloat16: the exponent of fp32, 8 bits of precision. */
    BF16(Dtype.BF16),
    /** IEEE 754 half precision, with a scaled loss. */
    FP16(Dtype.F16);

    private final Dtype dtype;

    Format(Dtype dtype) {
      this.dtype = dtype;
    }

    /** Returns the type of stored numbers of this format. */
    public Dtype dtype() {
      return dtype;
    }
  }

  static PrecisionSection of(Settings s) {
    boolean fp16 = s.flag("fp16.enabled");
    boolean bf16 = s.flag("bf16.enabled");
    if (fp16 && "bfloat16".equals(s.any("fp16.type"))) { // an old way to ask for bf16
      fp16 = false;
      bf16 = true;
    }
    String precision = (String) s.any("precision");
    if (fp16 && bf16) {
      throw s.wrong(
          "bf16.enabled",
          "is true beside fp16.enabled (" + s.place("fp16.enabled") + "): choose one");
    }
    if (precision != null
        && (fp16 && !precision.equals("fp16") || bf16 && !precision.equals("bfloat16"))) {
      String enabled = fp16 ? "fp16" : "bf16";
      throw s.wrong(
          "precision",
          "is " + precision + " but " + enabled + " is enabled (" + s.place(enabled) + ")");
    }
    if (fp16 || "fp16".equals(precision)) {
      return new PrecisionSection(Format.FP16, scaler(s));
    }
    return new PrecisionSection(
        bf16 || "bfloat16".equals(precision) ? Format.BF16 : Format.FP32, LossScaler.fixed(1));
  }

  private static LossScaler scaler(Settings s) {
    double scale = s.real("fp16.loss_scale");
    return scale != 0
        ? LossScaler.fixed(scale)
        : new LossScaler(
            Math.scalb(1.0, s.integer("fp16.initial_scale_power")),
            s.integer("fp16.loss_scale_window"),
            s.integer("fp16.hysteresis"),
            s.real("fp16.min_loss_scale"),
            s.flag("fp16.consecutive_hysteresis"),
            true);
  }
}
