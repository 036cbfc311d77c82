package dev.jneox.generate;

import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.QuantisedMatrix;
import dev.jneox.checkpoint.StoredModel;
import dev.jneox.io.InputException;
import dev.jneox.model.ModelConfig;
import dev.jneox.model.ModelConfig.TensorSpec;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * What a model will take of memory, known from the headers of its files before anything is loaded.
 *
 * @param parameters of the model
 * @param made bytes that loading fills: weights that the file does not hold as kernels read them
 * @param mapped bytes of the file that every token reads: where they do not fit, they come from the
 *     disk each time
 * @param context tokens of the longest text
 * @param kv what keys and values are kept in
 * @param tokenBytes keys and values of one token
 */
record MemoryNeed(
    Path path,
    long parameters,
    long made,
    long mapped,
    int context,
    KvPrecision kv,
    long tokenBytes) {
  /** The program itself, activations and a short text. */
  private static final long BESIDE = 512L << 20;

  /** Bits of a weight, scales included, in what {@code quantize} writes. */
  private static final double Q8_BITS = 8.5;

  private static final double Q4_BITS = 4.5;

  static MemoryNeed of(StoredModel stored, Precision precision) {
    ModelConfig config = stored.config();
    long made = 0;
    long mapped = 0;
    for (TensorSpec spec : config.tensors()) {
      boolean table = spec.name().startsWith("embed_") && !spec.name().startsWith("embed_out");
      if (spec.shape().length < 2
          || table && !(config.tiedHead() && spec.name().startsWith("embed_in"))) {
        continue; // vectors are small, and of a table single rows are read
      }
      Optional<QuantisedMatrix> quantised = stored.quantised(spec.name());
      Dtype wanted = wanted(precision, stored.storedAs(spec.name()));
      if (quantised.isPresent() && precision == Precision.STORED) {
        made += quantised.get().inPlace() ? 0 : quantised.get().kernelBytes();
        mapped += quantised.get().inPlace() ? quantised.get().kernelBytes() : 0;
      } else {
        long bytes = spec.elements() * wanted.bits() / 8;
        boolean inPlace = stored.storedAs(spec.name()).equals(wanted.name());
        made += inPlace ? 0 : bytes;
        mapped += inPlace ? bytes : 0;
      }
    }
    String weight = "layers.0.attention.query_key_value.weight";
    KvPrecision kv =
        KvPrecision.of(
            (stored.quantised(weight).isEmpty() || precision != Precision.STORED)
                && wanted(precision, stored.storedAs(weight)) == Dtype.F32);
    long tokenBytes = 2L * kv.bytes() * config.layers() * config.hiddenSize();
    return new MemoryNeed(
        stored.path(), config.parameters(), made, mapped, config.maxPositions(), kv, tokenBytes);
  }

  private static Dtype wanted(Precision precision, String stored) {
    boolean bf16 =
        precision == Precision.BF16
            || precision == Precision.STORED && stored.equals(Dtype.BF16.name());
    return bf16 ? Dtype.BF16 : Dtype.F32;
  }

  /**
   * Says so when the model does not fit.
   *
   * @param free bytes that may be taken
   * @throws InputException when loading would take more than there is
   */
  void check(long free) {
    if (made + BESIDE > free) {
      throw new InputException(
          path
              + ": does not fit in memory: its weights take "
              + gigabytes(made)
              + " once loaded, "
              + gigabytes(free)
              + " are free; "
              + whatFits(free));
    }
  }

  /**
   * What to expect where not all stays in memory that every token reads: weights of the mapped
   * file, keys and values.
   */
  Optional<String> concern(long free) {
    long left = free - made - mapped - BESIDE;
    if (left < 0) {
      return Optional.of(
          path
              + ": every token reads "
              + gigabytes(made + mapped)
              + " of weights, for which "
              + gigabytes(free)
              + " of memory are free: much of it will come from the disk each time; "
              + whatFits(free));
    }
    return left >= context * tokenBytes
        ? Optional.empty()
        : Optional.of(
            String.format(
                Locale.ROOT,
                "%s: memory is left for the keys and values of about %,d tokens in %s, of a context"
                    + " of %,d",
                path,
                left / tokenBytes,
                kv.name().toLowerCase(Locale.ROOT),
                context));
  }

  private String whatFits(long free) {
    long q8 = Math.round(parameters * Q8_BITS / 8);
    long q4 = Math.round(parameters * Q4_BITS / 8);
    if (q4 + BESIDE > free || q4 >= made + mapped) {
      double most = Math.max(0, free - BESIDE) * 8 / Q4_BITS / 1e9;
      return String.format(
          Locale.ROOT,
          "a smaller model would fit, of up to %.1f billion parameters with --dtype q4",
          most);
    }
    String either =
        q8 + BESIDE <= free && q8 < made + mapped ? "q8 (" + gigabytes(q8) + ") or " : "";
    return "it would fit as " + either + "q4 (" + gigabytes(q4) + "): see jneox quantize";
  }

  private static String gigabytes(long bytes) {
    return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
  }
}
