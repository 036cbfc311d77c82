package dev.jneox.generate;

/** The type that keys and values are kept in between steps; attention computes in fp32 from either. */
public enum KvPrecision {
  F32,
  /** Half the memory and half the reads, rounded to the nearest. */
  BF16
}
