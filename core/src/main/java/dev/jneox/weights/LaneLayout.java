package dev.jneox.weights;

import static dev.jneox.kernel.PackedWeight.BLOCK;

import dev.jneox.kernel.PackedWeight;
import dev.jneox.kernel.Q4Layout;
import dev.jneox.kernel.Q4Weight;
import dev.jneox.kernel.Q8Layout;
import dev.jneox.kernel.Q8Weight;
import dev.jneox.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Converts rows of ggml's blocks to the order in which kernels read them ({@link Q4Weight}, {@link
 * Q8Weight}), and back.
 */
@SuppressWarnings("exports") // for JNeoX's own modules, as kernels are
public final class LaneLayout {
  private static final ValueLayout.OfShort FP16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private LaneLayout() {}

  /** Supplies the blocks of a matrix. */
  @FunctionalInterface
  interface Rows {
    /**
     * Writes the blocks of a row to {@code into} from byte {@code at} on.
     *
     * @param thread index of the calling thread
     */
    void blocks(int row, MemorySegment into, long at, int thread);
  }

  /** Returns the type that kernels read a stored type as. */
  public static GgmlType kernelType(GgmlType stored) {
    return stored == GgmlType.Q4_0 ? GgmlType.Q4_0 : GgmlType.Q8_0;
  }

  /**
   * Returns the shape of a weight's bytes: tiles of rows, groups of inputs, bytes of a group of a
   * tile.
   */
  public static List<Long> shape(GgmlType type, int out, int in) {
    long tiles = Math.ceilDiv(out, type == GgmlType.Q4_0 ? BLOCK : BLOCK / 2);
    long groups = Math.ceilDiv(in, type.blockValues());
    return List.of(tiles, groups, bytes(type, out, in) / tiles / groups);
  }

  /** Returns the bytes of a weight. */
  public static long bytes(GgmlType type, int out, int in) {
    return type == GgmlType.Q4_0 ? Q4Weight.bytes(out, in) : Q8Weight.bytes(out, in);
  }

  /** Returns a kernel's view of a weight in {@link #bytes} bytes. */
  public static PackedWeight weight(GgmlType type, int out, int in, MemorySegment data) {
    return type == GgmlType.Q4_0 ? new Q4Weight(out, in, data) : new Q8Weight(out, in, data);
  }

  /**
   * Fills {@code packed} with blocks {@code fromBlock} to {@code toBlock} of a weight, 64 rows
   * each, on all cores.
   *
   * @param packed exactly the bytes of these blocks
   * @throws IllegalArgumentException for a scale that is not finite; the message has the row and
   *     the input
   */
  public static void pack(
      GgmlType type, int out, int in, int fromBlock, int toBlock, Rows rows, MemorySegment packed) {
    long rowBytes = type.rowBytes(in);
    long blockBytes = bytes(type, BLOCK, in);
    Workers workers = Workers.all();
    try (Arena arena = Arena.ofShared()) {
      MemorySegment[] scratch = new MemorySegment[workers.count()];
      for (int i = 0; i < scratch.length; i++) {
        scratch[i] = arena.allocate(BLOCK * rowBytes, 64);
      }
      workers.claim(
          toBlock - fromBlock,
          (task, thread) -> {
            int first = (fromBlock + task) * BLOCK;
            int n = Math.min(BLOCK, out - first);
            MemorySegment blocks = scratch[thread].asSlice(0, n * rowBytes);
            for (int r = 0; r < n; r++) {
              rows.blocks(first + r, blocks, r * rowBytes, thread);
              check(type, first + r, blocks.asSlice(r * rowBytes, rowBytes));
            }
            MemorySegment target = packed.asSlice(task * blockBytes, bytes(type, n, in));
            if (type == GgmlType.Q4_0) {
              Q4Layout.pack(n, in, blocks, target, 0, 1);
            } else {
              Q8Layout.pack(n, in, blocks, target, 0, 1);
            }
          });
    }
  }

  /** Checks that the scale at the start of every block is finite. */
  private static void check(GgmlType type, int row, MemorySegment blocks) {
    for (long at = 0; at < blocks.byteSize(); at += type.blockBytes()) {
      if ((blocks.get(FP16, at) & 0x7C00) == 0x7C00) {
        long input = at / type.blockBytes() * type.blockValues();
        throw new IllegalArgumentException(
            "row "
                + row
                + ", input "
                + input
                + ": expected a finite scale, found NaN or an infinity");
      }
    }
  }

  /** Writes a row of a weight as ggml's blocks to {@code into} from byte {@code at} on. */
  static void unpack(PackedWeight weight, int row, MemorySegment into, long at) {
    switch (weight) {
      case Q4Weight q4 -> Q4Layout.unpack(q4, row, into, at);
      case Q8Weight q8 -> Q8Layout.unpack(q8, row, into, at);
      default -> throw new IllegalArgumentException("not quantised: " + weight);
    }
  }
}
