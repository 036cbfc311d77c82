package dev.jneox.infer;

import dev.jneox.io.ByteSize;
import dev.jneox.io.MemoryException;
import dev.jneox.model.ModelSpec;
import dev.jneox.model.Param;
import dev.jneox.model.ParamId;
import dev.jneox.model.Part;
import dev.jneox.weights.Dtype;
import dev.jneox.weights.ModelWeights;
import dev.jneox.weights.QuantisedMatrix;
import dev.jneox.weights.StoredModel;
import dev.jneox.weights.StoredTensor;
import dev.jneox.weights.TensorExpression;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Says how much memory a model will take, by the headers of its files alone.
 *
 * @param parameters of the model
 * @param made bytes that loading fills: weights that the file does not hold as kernels read them
 * @param mapped bytes of the file that every token reads: where they do not fit, they come from the
 *     disk each time
 * @param context tokens of the longest sequence
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
  /** The program itself, activations and a short sequence. */
  private static final long BESIDE = 512L << 20;

  /** Bits of a weight, scales included, in what {@code quantize} writes. */
  private static final double Q8_BITS = 8.5;

  private static final double Q4_BITS = 4.5;

  static MemoryNeed of(StoredModel stored, Precision precision) {
    return of(stored.path(), stored, precision);
  }

  /**
   * Works out what the model of some weights will take.
   *
   * @param path of the model, for messages
   */
  static MemoryNeed of(Path path, ModelWeights weights, Precision precision) {
    ModelSpec spec = weights.spec();
    long made = 0;
    long mapped = 0;
    for (TensorExpression matrix : matrices(weights)) {
      StoredTensor holder = weights.holder(matrix.first());
      TensorExpression stored = holder.expression();
      Optional<QuantisedMatrix> quantised = weights.quantised(matrix);
      boolean inPlace;
      long bytes;
      if (quantised.isPresent() && precision == Precision.STORED) {
        inPlace = quantised.get().inPlace();
        bytes = quantised.get().kernelBytes();
      } else {
        Dtype wanted = wanted(precision, holder.type());
        boolean inOrder = stored.order().equals(matrix.order()) && !stored.transposed();
        inPlace = inOrder && holder.type().equals(wanted.name());
        bytes = matrix.elements() * wanted.bits() / 8;
      }
      made += inPlace ? 0 : bytes;
      mapped += inPlace ? bytes : 0;
    }
    StoredTensor query = weights.holder(ParamId.weight(0, Part.QUERY));
    KvPrecision kv =
        KvPrecision.of(
            (query.quantised().isEmpty() || precision != Precision.STORED)
                && wanted(precision, query.type()) == Dtype.F32);
    long keys = spec.blocks().stream().mapToLong(block -> block.attention().keyWidth()).sum();
    return new MemoryNeed(
        path, spec.parameterCount(), made, mapped, spec.maxPositions(), kv, 2L * kv.bytes() * keys);
  }

  /** The matrices that kernels multiply; vectors are small, and of a table single rows are read. */
  private static List<TensorExpression> matrices(ModelWeights weights) {
    ModelSpec spec = weights.spec();
    List<TensorExpression> matrices = new ArrayList<>();
    for (int l = 0; l < spec.layers(); l++) {
      matrices.addAll(WeightReader.queryKeyValue(weights, l));
    }
    spec.parameters().stream()
        .filter(Param::isMatrix)
        .filter(param -> !param.id().part().isQueryKeyValue())
        .filter(param -> !param.id().part().isTable() || param.id().equals(spec.headWeight()))
        .forEach(param -> matrices.add(WeightReader.alone(param)));
    return matrices;
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
   * @throws MemoryException when loading would take more than there is
   */
  void check(long free) {
    if (made + BESIDE > free) {
      throw new MemoryException(
          path
              + ": does not fit in memory: its weights take "
              + ByteSize.text(made)
              + " once loaded, "
              + ByteSize.text(free)
              + " are free; "
              + whatFits(free),
          made + BESIDE,
          free);
    }
  }

  /**
   * What to expect where not all stays in memory that every token reads: weights of the mapped
   * file, keys and values.
   */
  Optional<String> warning(long free) {
    long left = free - made - mapped - BESIDE;
    if (left < 0) {
      return Optional.of(
          path
              + ": every token reads "
              + ByteSize.text(made + mapped)
              + " of weights, for which "
              + ByteSize.text(free)
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
        q8 + BESIDE <= free && q8 < made + mapped ? "q8 (" + ByteSize.text(q8) + ") or " : "";
    return "it would fit as " + either + "q4 (" + ByteSize.text(q4) + "): see jneox quantize";
  }
}
