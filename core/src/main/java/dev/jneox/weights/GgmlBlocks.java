package dev.jneox.weights;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.stream.LongStream;

/**
 * Quantised values as ggml lays them out, to and from fp32, bit for bit as ggml's reference
 * functions ({@code dequantize_row_*}, {@code quantize_row_*_ref}) do it without fused
 * multiply-adds. All scales are fp16, little-endian; {@code q} are the stored integers.
 *
 * <pre>
 *   Q8_0  d, q[32] of 8 bits signed               value = d q
 *   Q4_0  d, q[32] of 4 bits, value i and i + 16   value = d (q - 8)
 *         share byte i, the first in its low half
 *   Q4_1  d, m, q[32] of 4 bits as in Q4_0         value = d q + m
 *   Q5_0  d, fifth bits [32], q[32] as in Q4_0     value = d (q - 16); bit i of the fifth bits is that of value i
 *   Q5_1  d, m, fifth bits [32], q[32]             value = d q + m
 *   IQ4_NL d, q[32] of 4 bits as in Q4_0           value = d STEPS[q]
 *   Q2_K  scale and minimum of 4 bits each [16],   value = d scale q - m min, for each 16 values; two bits of 32 bytes
 *         q[256] of 2 bits, d, m                   hold 32 values, the lowest ones first, then those of the next 32 bytes
 *   Q3_K  high bits [256], q[256] of 2 bits, 16    value = d (scale - 32) q, q less 4 where the high bit is 0; q as in
 *         scales of 6 bits in 12 bytes, d          Q2_K, bit b of the 32 bytes of high bits is that of the b-th 32
 *   Q4_K  d, m, 8 scales and 8 minima of 6 bits    value = d scale q - m min, for each 32 values; those of an even 32
 *         in 12 bytes, q[256] of 4 bits            in the low halves of 32 bytes, of the odd one after it in the high
 *   Q5_K  d, m, 12 bytes, fifth bits, four bits    the same; bit b of the 32 bytes of fifth bits is that of the b-th 32
 *   Q6_K  low four bits [128], high two bits [64], value = d scale (q - 32), for each 16 values
 *         16 scales of 8 bits signed, d
 * </pre>
 */
public final class GgmlBlocks {
  private static final ValueLayout.OfShort FP16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FP32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** The steps of IQ4_NL (ggml's kvalues_iq4nl), closer to each other around zero. */
  private static final byte[] STEPS = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
  };

  /** Blocks that one task processes. */
  private static final long BATCH = 4096;

  private GgmlBlocks() {}

  /** Processes the block of an index. */
  private interface Block {
    void at(long block);
  }

  /** Processes all blocks on all cores, in any order, because they are independent. */
  private static void each(long blocks, Block work) {
    LongStream.range(0, (blocks + BATCH - 1) / BATCH)
        .parallel()
        .forEach(
            batch -> {
              long end = Math.min(blocks, (batch + 1) * BATCH);
              for (long block = batch * BATCH; block < end; block++) {
                work.at(block);
              }
            });
  }

  /** Dequantises all blocks of {@code in} to fp32, in the byte order of the machine. */
  public static void dequantise(GgmlType type, MemorySegment in, MemorySegment out) {
    long size = type.blockBytes();
    long values = (long) type.blockValues() * Float.BYTES;
    Decoder decoder =
        switch (type) {
          case Q4_0 -> GgmlBlocks::q4_0;
          case Q4_1 -> GgmlBlocks::q4_1;
          case Q5_0 -> GgmlBlocks::q5_0;
          case Q5_1 -> GgmlBlocks::q5_1;
          case IQ4_NL -> GgmlBlocks::iq4_NL;
          case Q2_K -> GgmlBlocks::q2_K;
          case Q3_K -> GgmlBlocks::q3_K;
          case Q8_0 -> GgmlBlocks::q8_0;
          case Q4_K -> GgmlBlocks::q4_K;
          case Q5_K -> GgmlBlocks::q5_K;
          case Q6_K -> GgmlBlocks::q6_K;
          case F32, F16, BF16 -> throw new IllegalArgumentException(type + " is not quantised");
        };
    each(in.byteSize() / size, block -> decoder.decode(in, block * size, out, block * values));
  }

  /** Dequantises the first {@code n} values of a row of blocks to {@code out[at ...]}. */
  public static void read(GgmlType type, MemorySegment row, int n, float[] out, int at) {
    int all = Math.toIntExact(row.byteSize() / type.blockBytes()) * type.blockValues();
    float[] values = all == n ? out : new float[all];
    int from = all == n ? at : 0;
    dequantise(
        type,
        row,
        MemorySegment.ofArray(values).asSlice((long) from * Float.BYTES, (long) all * Float.BYTES));
    if (all != n) {
      System.arraycopy(values, 0, out, at, n);
    }
  }

  /**
   * Quantises whole blocks of finite fp32 values to {@code type}.
   *
   * @throws IllegalArgumentException for a type other than Q4_0 and Q8_0
   */
  public static void quantise(GgmlType type, MemorySegment in, MemorySegment out) {
    long size = type.blockBytes();
    long values = (long) type.blockValues() * Float.BYTES;
    Encoder encoder =
        switch (type) {
          case Q4_0 -> GgmlBlocks::toQ4_0;
          case Q8_0 -> GgmlBlocks::toQ8_0;
          default ->
              throw new IllegalArgumentException("nothing is written as " + type + " by blocks");
        };
    each(in.byteSize() / values, block -> encoder.encode(in, block * values, out, block * size));
  }

  /** Dequantises the block at byte {@code at} to fp32 at byte {@code to}. */
  private interface Decoder {
    void decode(MemorySegment in, long at, MemorySegment out, long to);
  }

  /** Quantises the fp32 values at byte {@code at} to the block at byte {@code to}. */
  private interface Encoder {
    void encode(MemorySegment in, long at, MemorySegment out, long to);
  }

  private static float scale(MemorySegment in, long at) {
    return Float.float16ToFloat(in.get(FP16, at));
  }

  private static int u8(MemorySegment in, long at) {
    return in.get(ValueLayout.JAVA_BYTE, at) & 0xFF;
  }

  private static void put(MemorySegment out, long to, int index, float value) {
    out.set(FP32, to + (long) index * Float.BYTES, value);
  }

  private static void q8_0(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at);
    for (int i = 0; i < 32; i++) {
      put(out, to, i, in.get(ValueLayout.JAVA_BYTE, at + 2 + i) * d);
    }
  }

  private static void q4_0(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at);
    for (int i = 0; i < 16; i++) {
      int pair = u8(in, at + 2 + i);
      put(out, to, i, ((pair & 0xF) - 8) * d);
      put(out, to, i + 16, ((pair >> 4) - 8) * d);
    }
  }

  private static void q4_1(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at);
    float m = scale(in, at + 2);
    for (int i = 0; i < 16; i++) {
      int pair = u8(in, at + 4 + i);
      put(out, to, i, d * (pair & 0xF) + m);
      put(out, to, i + 16, d * (pair >> 4) + m);
    }
  }

  private static void q5_0(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at);
    for (int i = 0; i < 32; i++) {
      put(out, to, i, (q5(in, at + 2, i) - 16) * d);
    }
  }

  private static void q5_1(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at);
    float m = scale(in, at + 2);
    for (int i = 0; i < 32; i++) {
      put(out, to, i, d * q5(in, at + 4, i) + m);
    }
  }

  /** Unpacks integer {@code i} of 32: 4 bytes of fifth bits, then 16 of four bits. */
  private static int q5(MemorySegment in, long packed, int i) {
    int low = u8(in, packed + 4 + i % 16) >> i / 16 * 4 & 0xF;
    return low | (u8(in, packed + i / 8) >> i % 8 & 1) << 4;
  }

  private static void iq4_NL(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at);
    for (int i = 0; i < 16; i++) {
      int pair = u8(in, at + 2 + i);
      put(out, to, i, d * STEPS[pair & 0xF]);
      put(out, to, i + 16, d * STEPS[pair >> 4]);
    }
  }

  private static void q2_K(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at + 80);
    float m = scale(in, at + 82);
    for (int part = 0; part < 16; part++) {
      int both = u8(in, at + part);
      float scale = d * (both & 0xF);
      float min = m * (both >> 4);
      for (int i = part * 16; i < part * 16 + 16; i++) {
        put(out, to, i, scale * q2(in, at + 16, i) - min);
      }
    }
  }

  private static void q3_K(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at + 108);
    for (int part = 0; part < 16; part++) {
      int low = u8(in, at + 96 + part % 8) >> part / 8 * 4 & 0xF;
      int high = u8(in, at + 104 + part % 4) >> part / 4 * 2 & 3;
      float scale = d * ((low | high << 4) - 32);
      for (int i = part * 16; i < part * 16 + 16; i++) {
        int negative = u8(in, at + i % 32) >> i / 32 & 1;
        put(out, to, i, scale * (q2(in, at + 32, i) - (negative == 0 ? 4 : 0)));
      }
    }
  }

  /** Unpacks integer {@code i} of 256 of two bits: four from each byte, 32 apart. */
  private static int q2(MemorySegment in, long packed, int i) {
    return u8(in, packed + i / 128 * 32 + i % 32) >> i / 32 % 4 * 2 & 3;
  }

  private static void q4_K(MemorySegment in, long at, MemorySegment out, long to) {
    for (int part = 0; part < 8; part++) {
      float scale = scale(in, at) * scale6(in, at + 4, part);
      float min = scale(in, at + 2) * min6(in, at + 4, part);
      long bytes = at + 16 + part / 2 * 32L;
      for (int i = 0; i < 32; i++) {
        int q = u8(in, bytes + i) >> part % 2 * 4 & 0xF;
        put(out, to, part * 32 + i, scale * q - min);
      }
    }
  }

  private static void q5_K(MemorySegment in, long at, MemorySegment out, long to) {
    for (int part = 0; part < 8; part++) {
      float scale = scale(in, at) * scale6(in, at + 4, part);
      float min = scale(in, at + 2) * min6(in, at + 4, part);
      long bytes = at + 48 + part / 2 * 32L;
      for (int i = 0; i < 32; i++) {
        int q = u8(in, bytes + i) >> part % 2 * 4 & 0xF | (u8(in, at + 16 + i) >> part & 1) << 4;
        put(out, to, part * 32 + i, scale * q - min);
      }
    }
  }

  /**
   * Unpacks scale {@code part} of the 12 bytes. The first four lie in the low six bits of bytes
   * 0..3, the others are split over two bytes.
   */
  private static int scale6(MemorySegment in, long packed, int part) {
    return part < 4
        ? u8(in, packed + part) & 63
        : u8(in, packed + part + 4) & 0xF | u8(in, packed + part - 4) >> 6 << 4;
  }

  /**
   * Unpacks minimum {@code part} of the 12 bytes. They are packed like the scales, four bytes later
   * or in the high halves.
   */
  private static int min6(MemorySegment in, long packed, int part) {
    return part < 4
        ? u8(in, packed + part + 4) & 63
        : u8(in, packed + part + 4) >> 4 | u8(in, packed + part) >> 6 << 4;
  }

  private static void q6_K(MemorySegment in, long at, MemorySegment out, long to) {
    float d = scale(in, at + 208);
    for (int half = 0; half < 2; half++) {
      for (int i = 0; i < 128; i++) {
        int quarter = i / 32;
        int low = u8(in, at + half * 64 + i % 64) >> quarter / 2 * 4 & 0xF;
        int high = u8(in, at + 128 + half * 32 + i % 32) >> quarter * 2 & 3;
        int scale = in.get(ValueLayout.JAVA_BYTE, at + 192 + half * 8 + i / 16);
        put(out, to, half * 128 + i, d * scale * ((low | high << 4) - 32));
      }
    }
  }

  private static float value(MemorySegment in, long at, int index) {
    return in.get(FP32, at + (long) index * Float.BYTES);
  }

  /**
   * Quantises a block. The scale maps the largest magnitude to 127; halves round away from zero, as
   * C's roundf does.
   */
  private static void toQ8_0(MemorySegment in, long at, MemorySegment out, long to) {
    float largest = 0;
    for (int i = 0; i < 32; i++) {
      float magnitude = Math.abs(value(in, at, i));
      largest = magnitude > largest ? magnitude : largest;
    }
    float d = largest / 127;
    float inverse = d == 0 ? 0 : 1 / d;
    out.set(FP16, to, Float.floatToFloat16(d));
    for (int i = 0; i < 32; i++) {
      float q = value(in, at, i) * inverse;
      out.set(ValueLayout.JAVA_BYTE, to + 2 + i, (byte) (q < 0 ? -rounded(-q) : rounded(q)));
    }
  }

  /**
   * Rounds half up. {@code q + 0.5f} would round 0.49999997 up. The inverse of a subnormal scale
   * may be infinite.
   */
  private static int rounded(float q) {
    int whole = Math.min((int) q, 127);
    return whole < 127 && q - whole >= 0.5f ? whole + 1 : whole;
  }

  /** Quantises a block. The scale maps the first value of the largest magnitude to -8. */
  private static void toQ4_0(MemorySegment in, long at, MemorySegment out, long to) {
    float largest = 0;
    for (int i = 0; i < 32; i++) {
      float v = value(in, at, i);
      if (Math.abs(v) > Math.abs(largest)) {
        largest = v;
      }
    }
    float d = largest / -8;
    float inverse = d == 0 ? 0 : 1 / d;
    out.set(FP16, to, Float.floatToFloat16(d));
    for (int i = 0; i < 16; i++) {
      int low = Math.clamp((int) (value(in, at, i) * inverse + 8.5f), 0, 15);
      int high = Math.clamp((int) (value(in, at, i + 16) * inverse + 8.5f), 0, 15);
      out.set(ValueLayout.JAVA_BYTE, to + 2 + i, (byte) (low | high << 4));
    }
  }
}
