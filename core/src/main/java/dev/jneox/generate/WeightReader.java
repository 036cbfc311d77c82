package dev.jneox.generate;

import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.MappedTensor;
import dev.jneox.checkpoint.QuantisedMatrix;
import dev.jneox.io.InputException;
import dev.jneox.quant.DenseWeight;
import dev.jneox.quant.PackedWeight;
import dev.jneox.tensor.Workers;
import java.lang.foreign.Arena;
import java.util.Optional;

/** Brings stored tensors into the form that the kernels read. */
final class WeightReader {
  /** A matrix of which single rows are read. */
  @FunctionalInterface
  interface Rows {
    void read(int row, float[] into, int at);
  }

  /** Where weights come from. */
  interface Source {
    MappedTensor tensor(String name);

    /** The tensor if it is stored in a quantised type; else {@link #tensor} gives it. */
    Optional<QuantisedMatrix> quantised(String name);

    /** The error for a tensor whose numbers cannot be used. */
    default InputException broken(String name, String found) {
      throw new IllegalStateException(name + ": " + found);
    }
  }

  private static final int STRIP = 1 << 14;

  private final Source source;
  private final Precision precision;
  private final Arena arena;

  /**
   * @param arena what is converted is kept in it
   */
  WeightReader(Source source, Precision precision, Arena arena) {
    this.source = source;
    this.precision = precision;
    this.arena = arena;
  }

  PackedModel.Norm norm(String name) {
    return new PackedModel.Norm(
        source.tensor(name + ".weight").floats(), source.tensor(name + ".bias").floats());
  }

  Rows rows(String name, int width) {
    Optional<QuantisedMatrix> quantised = source.quantised(name);
    if (quantised.isPresent()) {
      QuantisedMatrix matrix = quantised.get();
      return matrix::dequantise;
    }
    MappedTensor tensor = source.tensor(name);
    return (row, into, at) -> tensor.read((long) row * width, into, at, width);
  }

  PackedLinear linear(String name, int out, int in, boolean bias) {
    return new PackedLinear(weight(name + ".weight", out, in), bias(name, bias));
  }

  float[] bias(String name, boolean there) {
    return there ? source.tensor(name + ".bias").floats() : null;
  }

  PackedWeight weight(String name, int out, int in) {
    Optional<QuantisedMatrix> quantised = source.quantised(name);
    if (quantised.isPresent()) {
      return quantised(name, quantised.get());
    }
    MappedTensor stored = source.tensor(name);
    boolean bf16 =
        precision == Precision.BF16
            || precision == Precision.STORED && stored.dtype() == Dtype.BF16;
    MappedTensor into =
        stored.dtype() == (bf16 ? Dtype.BF16 : Dtype.F32) ? stored : plain(bf16, out, in);
    if (into != stored) {
      float[] strip = new float[STRIP];
      for (long at = 0; at < stored.size(); at += STRIP) {
        int n = (int) Math.min(STRIP, stored.size() - at);
        stored.read(at, strip, 0, n);
        into.write(at, strip, 0, n);
      }
    }
    return weight(into, out, in);
  }

  private static PackedWeight weight(MappedTensor tensor, int out, int in) {
    DenseWeight.Type type =
        tensor.dtype() == Dtype.BF16 ? DenseWeight.Type.BF16 : DenseWeight.Type.F32;
    return new DenseWeight(out, in, type, tensor.data());
  }

  private MappedTensor plain(boolean bf16, int out, int in) {
    long bytes = (bf16 ? 2L : 4L) * out * in;
    return new MappedTensor(bf16 ? Dtype.BF16 : Dtype.F32, arena.allocate(bytes, 64));
  }

  /** In the layout of its kernel; where another type was asked for, dequantised to that. */
  private PackedWeight quantised(String name, QuantisedMatrix stored) {
    if (precision == Precision.STORED) {
      try {
        return stored.weight(arena);
      } catch (IllegalArgumentException e) {
        throw source.broken(name, e.getMessage());
      }
    }
    int in = stored.in();
    MappedTensor into = plain(precision == Precision.BF16, stored.out(), in);
    Workers.all()
        .forEach(
            stored.out(),
            (from, to, thread) -> {
              float[] row = new float[in];
              for (int r = from; r < to; r++) {
                stored.dequantise(r, row, 0);
                into.write((long) r * in, row, 0, in);
              }
            });
    return weight(into, stored.out(), in);
  }
}
