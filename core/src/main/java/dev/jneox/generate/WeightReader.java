package dev.jneox.generate;

import dev.jneox.checkpoint.Dtype;
import dev.jneox.checkpoint.GgmlRows;
import dev.jneox.checkpoint.MappedTensor;
import dev.jneox.quant.Bf16Weight;
import dev.jneox.quant.F32Weight;
import dev.jneox.quant.PackedWeight;
import dev.jneox.quant.Q4Layout;
import dev.jneox.quant.Q4Weight;
import dev.jneox.quant.Q8Layout;
import dev.jneox.quant.Q8Weight;
import dev.jneox.tensor.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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
    Optional<GgmlRows> quantised(String name);
  }

  /** Fills blocks of a weight from the blocks of ggml. */
  @FunctionalInterface
  private interface Packer {
    void pack(int out, int in, MemorySegment ggml, MemorySegment packed, int fromBlock, int toBlock);
  }

  private static final int STRIP = 1 << 14;

  private final Source source;
  private final Precision precision;
  private final Arena arena;

  /** @param arena what is converted is kept in it */
  WeightReader(Source source, Precision precision, Arena arena) {
    this.source = source;
    this.precision = precision;
    this.arena = arena;
  }

  PackedModel.Norm norm(String name) {
    return new PackedModel.Norm(source.tensor(name + ".weight").floats(), source.tensor(name + ".bias").floats());
  }

  Rows rows(String name, int width) {
    Optional<GgmlRows> quantised = source.quantised(name);
    if (quantised.isPresent()) {
      return quantised.get()::dequantise;
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
    Optional<GgmlRows> quantised = source.quantised(name);
    if (quantised.isPresent()) {
      return quantised(quantised.get());
    }
    MappedTensor stored = source.tensor(name);
    boolean bf16 = precision == Precision.BF16 || precision == Precision.STORED && stored.dtype() == Dtype.BF16;
    MappedTensor into = stored.dtype() == (bf16 ? Dtype.BF16 : Dtype.F32) ? stored : plain(bf16, out, in);
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
    return tensor.dtype() == Dtype.BF16 ? new Bf16Weight(out, in, tensor.data()) : new F32Weight(out, in, tensor.data());
  }

  private MappedTensor plain(boolean bf16, int out, int in) {
    long bytes = (bf16 ? 2L : 4L) * out * in;
    return new MappedTensor(bf16 ? Dtype.BF16 : Dtype.F32, arena.allocate(bytes, 64));
  }

  /** Types that have no kernel are multiplied in bf16: its rounding is far below theirs. */
  private PackedWeight quantised(GgmlRows stored) {
    int out = stored.out();
    int in = stored.in();
    if (precision == Precision.STORED) {
      switch (stored.type()) {
        case Q4_0 -> {
          return new Q4Weight(out, in, packed(stored, Q4Weight.bytes(out, in), Q4Layout::pack));
        }
        case Q8_0 -> {
          return new Q8Weight(out, in, packed(stored, Q8Weight.bytes(out, in), Q8Layout::pack));
        }
        default -> {}
      }
    }
    MappedTensor into = plain(precision != Precision.F32, out, in);
    Workers.all().forEach(
        out,
        (from, to, thread) -> {
          float[] row = new float[in];
          for (int r = from; r < to; r++) {
            stored.dequantise(r, row, 0);
            into.write((long) r * in, row, 0, in);
          }
        });
    return weight(into, out, in);
  }

  private MemorySegment packed(GgmlRows stored, long bytes, Packer packer) {
    MemorySegment packed = arena.allocate(bytes, 64);
    int out = stored.out();
    try (Arena passing = Arena.ofShared()) {
      MemorySegment ggml = stored.inPlace() ? stored.parts().getFirst() : passing.allocate(out * stored.rowBytes(), 64);
      if (!stored.inPlace()) {
        Workers.all().forEach(out, (from, to, thread) -> stored.copy(from, to, ggml));
      }
      int blocks = Math.ceilDiv(out, PackedWeight.BLOCK);
      Workers.all().forEach(blocks, (from, to, thread) -> packer.pack(out, stored.in(), ggml, packed, from, to));
    }
    return packed;
  }
}
