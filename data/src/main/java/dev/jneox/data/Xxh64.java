package dev.jneox.data;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Computes XXH64 with seed 0, the checksum of zstd frames, over bytes in pieces. */
public final class Xxh64 {
  private static final long P1 = 0x9E3779B185EBCA87L;
  private static final long P2 = 0xC2B2AE3D27D4EB4FL;
  private static final long P3 = 0x165667B19E3779F9L;
  private static final long P4 = 0x85EBCA77C2B2AE63L;
  private static final long P5 = 0x27D4EB2F165667C5L;
  private static final int STRIPE = 32;
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private long a = Long.sum(P1, P2);
  private long b = P2;
  private long c;
  private long d = -P1;
  private long total;
  private final byte[] rest = new byte[STRIPE]; // of total % STRIPE bytes

  /** Starts the hash of no bytes. */
  public Xxh64() {}

  /** Returns the hash of {@code bytes[from..to)}. */
  public static long of(byte[] bytes, int from, int to) {
    Xxh64 hash = new Xxh64();
    hash.update(bytes, from, to);
    return hash.value();
  }

  /** Adds {@code bytes[from..to)}. */
  public void update(byte[] bytes, int from, int to) {
    int filled = (int) (total % STRIPE);
    total += to - from;
    int at = from;
    if (filled > 0) {
      int n = Math.min(STRIPE - filled, to - at);
      System.arraycopy(bytes, at, rest, filled, n);
      at += n;
      if (filled + n < STRIPE) {
        return;
      }
      stripes(rest, 0, STRIPE);
    }
    int whole = at + (to - at) / STRIPE * STRIPE;
    stripes(bytes, at, whole);
    System.arraycopy(bytes, whole, rest, 0, to - whole);
  }

  private void stripes(byte[] bytes, int from, int to) {
    long a = this.a;
    long b = this.b;
    long c = this.c;
    long d = this.d;
    for (int at = from; at < to; at += STRIPE) {
      a = round(a, (long) LONG.get(bytes, at));
      b = round(b, (long) LONG.get(bytes, at + 8));
      c = round(c, (long) LONG.get(bytes, at + 16));
      d = round(d, (long) LONG.get(bytes, at + 24));
    }
    this.a = a;
    this.b = b;
    this.c = c;
    this.d = d;
  }

  private static long round(long sum, long word) {
    return Long.rotateLeft(sum + word * P2, 31) * P1;
  }

  private static long merge(long hash, long sum) {
    return (hash ^ round(0, sum)) * P1 + P4;
  }

  /** Returns the hash of all bytes so far. */
  public long value() {
    long hash = P5;
    if (total >= STRIPE) {
      hash =
          Long.rotateLeft(a, 1)
              + Long.rotateLeft(b, 7)
              + Long.rotateLeft(c, 12)
              + Long.rotateLeft(d, 18);
      hash = merge(merge(merge(merge(hash, a), b), c), d);
    }
    hash += total;
    int n = (int) (total % STRIPE);
    int at = 0;
    for (; at + 8 <= n; at += 8) {
      hash = Long.rotateLeft(hash ^ round(0, (long) LONG.get(rest, at)), 27) * P1 + P4;
    }
    if (at + 4 <= n) {
      hash = Long.rotateLeft(hash ^ ((int) INT.get(rest, at) & 0xFFFF_FFFFL) * P1, 23) * P2 + P3;
      at += 4;
    }
    for (; at < n; at++) {
      hash = Long.rotateLeft(hash ^ (rest[at] & 0xFF) * P5, 11) * P1;
    }
    hash = (hash ^ hash >>> 33) * P2;
    hash = (hash ^ hash >>> 29) * P3;
    return hash ^ hash >>> 32;
  }
}
